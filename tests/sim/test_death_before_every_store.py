"""Every worker dies before every store it makes, and comes back at every decision later, under
every schedule: nothing shows.

The pipelines are those of `tests/core/test_death_before_each_store`, whose jobs number their
calls.  Each rule of the protocol is then broken on purpose, and must be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import conveyor.core.drive
from conveyor.core.channel import ZipInlet, bring_to
from conveyor.core.ordered import OrderedInlet
from conveyor.graph.topology import Topology
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedulers.exhaustive import Exhaustive, Redundant
from conveyor.sim.search.simulation import Attempt, Simulator
from conveyor.sim.world import loop
from conveyor.sim.world.crash_recovery import CrashRecovery
from tests.core.test_concurrent_drive import CASES as SIDE_BY_SIDE
from tests.core.test_death_before_each_store import CASES as ONE_BY_ONE
from tests.core.world import compiled
from tests.helpers import PROVE

pytestmark = pytest.mark.slow

CASES = ONE_BY_ONE | {f"side by side: {name}": each for name, each in SIDE_BY_SIDE.items()}
SOME = 11  # schedules for each place to die: enough to miss each rule
LARGE = {
    "balanced in both lanes of a replicate",
    "joined, flat-map, replicated",
    "side by side: behind a join",
}  # tens of thousands with two items
MOST = 1 << 30 if PROVE else SOME  # schedules in which one worker dies before one store
SMALL = [name for name in CASES if name not in LARGE]


def every_death(topology: Topology, n_items: int, most: int = 1 << 30) -> Iterator[Attempt]:
    """Each schedule, up to `most`, of each run in which one worker dies."""
    plan = PreparedPipeline(topology)
    simulator = Simulator(plan, range(n_items))
    several = plan.deciding > 1
    for worker in plan.workers:
        for store in count():
            scheduler = Exhaustive(several)
            died = 0
            while died < most and scheduler.begin():
                try:
                    attempt = simulator.attempt(
                        scheduler, [simulator.crash_plan(worker, before=store)]
                    )
                except Redundant:
                    continue
                if attempt.deaths:
                    died += 1
                    yield attempt
            if not died:
                break


def check(name: str, attempt: Attempt, n_items: int) -> None:
    """What came out is what must, and the report knows what became of every item."""
    if attempt.error is not None:
        raise attempt.error
    CASES[name].holds(attempt.outputs, n_items)
    for tally in attempt.tallies:
        assert tally.in_hand == 0 or tally.items_out == 0  # the sink keeps no account
    assert len({(letter.stage, letter.ordinal) for letter in attempt.letters}) == len(
        attempt.letters
    )


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("cap", "lane"), [(2, 1), (3, 3)])
def test_a_death_anywhere_in_any_schedule_is_not_to_be_seen(name: str, cap: int, lane: int) -> None:
    seen = 0
    topology = compiled(*CASES[name].rows(cap, lane))
    for attempt in islice(every_death(topology, 2, most=MOST), 5000):
        check(name, attempt, 2)
        seen += 1
    assert seen >= 7  # of each item the note, the record and the commit, and then the end


@pytest.mark.parametrize("name", sorted(LARGE))
def test_nor_where_there_are_very_many_schedules(name: str) -> None:
    for attempt in islice(every_death(compiled(*CASES[name].rows(2, 1)), 1), 1500):
        check(name, attempt, 1)


# -------------------------------------------------------------------------- rules broken on purpose


def changed(module: ModuleType, *replacements: tuple[str, str]) -> dict[str, Any]:
    """What a module would define if its text read otherwise."""
    assert module.__file__ is not None
    text = Path(module.__file__).read_text(encoding="utf-8")
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {module.__name__}"
        text = text.replace(old, new)
    names: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(text, f"{module.__name__}, changed", "exec"), names)
    return names


SEND_THEN_COMMIT = """\
            if out:
                yield from sender.send(out, source, upto, extra)
            if done > finished:
                inlet.commit(upto)
                finished = done
"""
COMMIT_THEN_SEND = """\
            if done > finished:
                inlet.commit(upto)
                finished = done
            if out:
                yield from sender.send(out, source, upto, extra)
"""
SEND_COPIES = """\
    if len(there) < len(lanes):  # there was room"""
SEND_NO_COPIES = """\
    if False:  # there was room"""
RUN_AGAIN = """\
    inlet = spec.inlets[tag.input]
    lanes = [each for bit, each in enumerate(spec.outlets) if tag.lanes >> bit & 1]
    if any(_ordinal(each) != tag.ordinal for each in lanes):
        return ResumePoint(tag.ordinal, tag.input, 0)
    if inlet.head < tag.upto:
"""
PUBLISH = """\
        for target in targets:
            target.publish(items, blob, tag)
"""
PUBLISH_WHERE_IT_LACKS = """\
        for target in targets:
            last = target.last_tag()
            if last is None or last[2:5] != tag[2:5]:
                target.publish(items, blob, tag)
"""
FROM_THE_TAG = """\
    tag = send_missing(run, spec.outlets) if spec.outlets else None
    if tag is None or tag.run != run:  #"""
FROM_NOTHING = """\
    tag = None
    if tag is None or tag.run != run:  #"""
LANES_OF_THE_TAG = (
    "    lanes = [(bit, outlet) for bit, outlet in enumerate(outlets) if tag.lanes >> bit & 1]\n"
)
ALL_LANES = "    lanes = list(enumerate(outlets))\n"
COMMIT_WHAT_IS_OUT = "    inlet = spec.inlets[tag.input]\n    if inlet.head < tag.upto:\n"
SAVE_THEN_COMMIT = """\
    restored.memory.save(Saved(sender.run, False, there, positions, _decided(spec)))
    inlet.commit(upto)
"""
COMMIT_THEN_SAVE = """\
    inlet.commit(upto)
    restored.memory.save(Saved(sender.run, False, there, positions, _decided(spec)))
"""
COME_DUE_AND_SAVE = """\
    spec.timer.come_due()
    note_due(sender, spec, spec.timer)
"""
COME_DUE_UNSAVED = """\
    spec.timer.come_due()
"""


class Mutant(NamedTuple):
    """What is changed in the text of the drive loop, and the pipeline that shows it."""

    shown_by: str
    changes: tuple[tuple[str, str], ...]


MUTANTS = {
    "commit first": Mutant("linear", ((SEND_THEN_COMMIT, COMMIT_THEN_SEND),)),
    "no tags": Mutant("linear", ((FROM_THE_TAG, FROM_NOTHING),)),
    "lanes not in the tag": Mutant("balanced", ((LANES_OF_THE_TAG, ALL_LANES),)),
    "copies that are missing are not made": Mutant("replicated", ((SEND_COPIES, SEND_NO_COPIES),)),
    "copies made by running the job again": Mutant(
        "replicated",
        (
            (SEND_COPIES, SEND_NO_COPIES),
            (COMMIT_WHAT_IS_OUT, RUN_AGAIN),
            (PUBLISH, PUBLISH_WHERE_IT_LACKS),
        ),
    ),
    "merge not kept": Mutant(
        "joined, flat-map",
        (
            (
                "elif not skip and (restored is None or not restored.left):",
                "elif restored is None or not restored.left:",
            ),
        ),
    ),
    "outputs of the item in hand not counted": Mutant(
        "joined, flat-map", (("tag.extra if half_out else 0)", "0)"),)
    ),
    "outputs of the end not counted": Mutant(
        "stateful",
        (
            (
                "ResumePoint(ordinal, tag.input, tag.extra)",
                "ResumePoint(ordinal, tag.input, 0)",
            ),
        ),
    ),
    "state saved behind the commit": Mutant("stateful", ((SAVE_THEN_COMMIT, COMMIT_THEN_SAVE),)),
    "what is due given out and not saved before": Mutant(
        "batches cut by time", ((COME_DUE_AND_SAVE, COME_DUE_UNSAVED),)
    ),
    "time passes while outputs come again": Mutant(
        "batches cut by time, of batches",
        (
            (
                "elif not skip and (restored is None or not restored.left):",
                "elif not skip:",
            ),
        ),
    ),
}


def look_for_harm(name: str) -> None:
    for cap, lane in ((2, 1), (3, 3)):
        for attempt in every_death(compiled(*CASES[name].rows(cap, lane)), 2, most=SOME):
            check(name, attempt, 2)


@pytest.mark.parametrize("name", sorted({mutant.shown_by for mutant in MUTANTS.values()}))
def test_the_protocol_as_it_is_passes_what_catches_the_others(name: str) -> None:
    look_for_harm(name)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_drive_loop_without_this_rule_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loop, "drive", changed(conveyor.core.drive, *MUTANTS[name].changes)["drive"]
    )

    with pytest.raises(Exception):  # noqa: B017, PT011  # lost, repeated, stuck or refused: all the same here
        look_for_harm(MUTANTS[name].shown_by)


def lane_by_lane(zipped: ZipInlet, positions: list[int]) -> None:
    bring_to(zipped.inlets, positions)


def says_nothing(of: CrashRecovery, ordinal: int) -> None:
    """As if nothing had to be said again."""


def from_the_beginning(joined: OrderedInlet, run: int) -> None:
    for inlet in joined.inlets:
        inlet.start(run)


FORGETFUL: list[tuple[type[object], str, Callable[..., Any], str]] = [
    (ZipInlet, "keep", lane_by_lane, "zipped"),
    (OrderedInlet, "start", from_the_beginning, "ordered, balanced"),
    (CrashRecovery, "void", says_nothing, "dead letters"),
]


@pytest.mark.parametrize(
    ("owner", "method", "instead", "name"),
    FORGETFUL,
    ids=[
        "the end of a tuple committed piecemeal",
        "the order forgotten",
        "dead letters told twice",
    ],
)
def test_nor_does_this_go_unseen(
    owner: type[object],
    method: str,
    instead: Callable[..., Any],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, method, instead)

    with pytest.raises(Exception):  # noqa: B017, PT011  # as above
        look_for_harm(name)
