"""A real run, done again in memory as it was recorded.

Knows: what a recording says, and which crash plans and decisions that means.  Must never
know: how a recording was made, files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from conveyor.core.failures import TEARDOWN, delivered
from conveyor.errors import ScheduleMismatch
from conveyor.graph.topology import Topology
from conveyor.items.fingerprint import Fingerprint
from conveyor.recording.reader import Recording
from conveyor.reporting.build import ordered_letters
from conveyor.sim.prepare.intake import as_given, taken_in
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedulers.replay import ReplayRecording
from conveyor.sim.search.simulation import Attempt, Simulator
from conveyor.sim.world.faulty_channel import CrashPlan, RecordedCrashPlan

__all__ = ["accepted", "follow", "followed"]

DEADLOCK: Final = "conveyor.errors.Deadlock"
FULL: Final = re.compile(r"(c\d+) \([^)]*\) is (?:too )?full")
NEVER_SENT: Final = "an item that never went in"


def followed(
    topology: Topology, items: Iterable[object], recording: Recording, lanes: int | None = None
) -> tuple[Simulator, Attempt]:
    """The run that was recorded; `lanes` is what its schedule has to say of forks that adapt.

    Raises `ScheduleMismatch` if that was another pipeline, other items, or it does not fit.
    """
    recording.check(topology)
    simulator = simulator_for(topology, items, recording, lanes)
    return simulator, follow(simulator, recording)


def simulator_for(
    topology: Topology, items: Iterable[object], recording: Recording, lanes: int | None = None
) -> Simulator:
    pipeline = PreparedPipeline(
        topology, timers=recording.has_timers, lanes=lanes, is_recorded=True
    )
    return Simulator(pipeline, of_interest(topology, items, recording))


def follow(simulator: Simulator, recording: Recording) -> Attempt:
    """Does a recorded run again with a simulator that is made already."""
    recording.check(simulator.pipeline.topology)
    recording.check_items(as_given(simulator.items))
    scheduler = ReplayRecording(recording)
    scheduler.begin()
    scheduler.comes_in = how_many(simulator.pipeline.topology, recording)
    attempt = simulator.attempt(scheduler, recorded_crash_plans(simulator, recording))
    if attempt.error is None:
        scheduler.check_end(simulator.world.decided())
        for crash_plan in simulator.world.crash_plans.values():
            if isinstance(crash_plan, RecordedCrashPlan) and crash_plan.left and recording.is_whole:
                raise ScheduleMismatch(
                    f"{recording.name}: the worker {crash_plan.worker!r} never came to where it "
                    f"died: {crash_plan.left[0]}"
                )
    return attempt


def of_interest(topology: Topology, items: Iterable[object], recording: Recording) -> list[object]:
    """The items that can have come in; there may be no end of others."""
    most = how_many(topology, recording)
    return taken_in(islice(items, most), expected=recording.given.count if most is None else most)


def how_many(topology: Topology, recording: Recording) -> int | None:
    """How many items came in, where the run did not come to the end of them.

    If it failed, as many more as can fill all pipes: it may have failed because they were full.
    """
    if recording.is_whole:
        return None
    failed = recording.end is not None and recording.end.how == "failed"
    more = (
        sum(channel.capacity for channel in topology.channels) + len(topology.nodes)
        if failed
        else 0
    )
    return recording.given.count + more


def recorded_crash_plans(simulator: Simulator, recording: Recording) -> list[CrashPlan]:
    """The plans by which the workers die that died in the run."""
    names = dict.fromkeys(crash.worker for crash in recording.crashes)
    unknown = [name for name in names if name not in simulator.pipeline.workers]
    if unknown:
        raise ScheduleMismatch(
            f"{recording.name}: the worker {unknown[0]!r} died, and here there is none of that name"
        )
    end = recording.end
    crashed = (
        end.stage if end is not None and end.error[0] == "conveyor.errors.WorkerCrashed" else None
    )
    return [
        RecordedCrashPlan(
            name,
            simulator.inputs_of(name),
            [each for each in recording.crashes if each.worker == name],
            name == crashed,
        )
        for name in names
    ]


def accepted(recording: Recording) -> str:
    """What is different when the pipeline that a recording has kept follows it; empty if nothing
    is.

    Raises `ScheduleMismatch` where the two part, and what unpickling the pipeline raises.
    """
    topology = recording.topology()
    if topology is None or recording.items is None:
        raise ScheduleMismatch(
            f"{recording.name} did not keep its {'pipeline' if topology is None else 'input'}: "
            "it is too large"
        )
    end = recording.end
    is_stuck = end is not None and end.error[0] == DEADLOCK
    # Had there been no more items than those that went in, the source would have ended, and no node
    # would have waited for it.
    items = (*recording.items, NEVER_SENT) if is_stuck else recording.items
    recording.check(topology)
    simulator = simulator_for(topology, items, recording)
    simulator.searches_capacities = False
    attempt = follow(simulator, recording)
    if end is None:
        return ""
    if end.how == "done" and any(failure.where == TEARDOWN for failure in simulator.world.failures):
        attempt.error = None  # a run is over before anything is torn down
    if is_stuck and simulator.world.source.head > len(recording.items):
        return (
            f"the run got stuck before its item {len(recording.items)}, "
            "and its replay goes on with it"
        )
    if attempt.error is not None or end.how == "failed":
        return difference_of_errors(attempt, recording)
    outputs = Fingerprint()
    outputs.add(attempt.outputs)
    if (outputs.count, outputs.sum) != (end.results, end.outputs):
        return (
            f"the run gave {end.results} outputs, "
            f"and its replay {outputs.count} that are not the same"
        )
    letters = tuple(
        (each.stage, each.ordinal, each.attempts, type(each.exception).__qualname__)
        for each in ordered_letters(topology, map(delivered, attempt.letters))
    )
    if end.how == "done" and letters != end.letters:
        return f"the run had the dead letters {end.letters}, and its replay {letters}"
    return ""


def difference_of_errors(attempt: Attempt, recording: Recording) -> str:
    end, error = recording.end, attempt.error
    assert end is not None
    kind = "" if error is None else f"{type(error).__module__}.{type(error).__qualname__}"
    if kind == DEADLOCK == end.error[0]:
        mine, theirs = ({*FULL.findall(text)} for text in (end.error[1], str(error)))
        return (
            ""
            if mine == theirs
            else f"in the run the pipes {sorted(mine)} were full, "
            f"and in its replay {sorted(theirs)}"
        )
    if kind == end.error[0] or (end.how == "failed" and not end.stage and end.error[0] != DEADLOCK):
        return ""  # what the source raised is not replayed
    return (
        f"the run ended with {end.error[0] or 'no error'}: {end.error[1]}; "
        f"its replay with {kind or 'no error'}: {error}"
    )
