"""The report of a run, read from what its workers share with the program.

Knows: where each figure is.  Must never know: how a report is counted or printed.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from conveyor.graph.fusion import home, written_name
from conveyor.graph.pace import Paces, StagePace
from conveyor.graph.route import LANES_BY_DEFAULT
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.report import Report, Tally
from conveyor.reporting.build import Figures, report_of
from conveyor.reporting.hints import ITEMS, SECONDS, WorkerPace, hints, one_thread_notes
from conveyor.runtime.parent.supervisor import Supervisor
from conveyor.runtime.placement import usable_cores
from conveyor.runtime.process.numeric_threads import numeric_libraries

__all__ = ["WOKEN_BY_THE_NET", "run_report", "stage_paces"]

WOKEN_BY_THE_NET: Final = "woken by the net"  # a note of the report that should never be there

S_PER_NS: Final = 1e-9
# From here on a stage that was at work for so large a part of the run may want more cores.
LONG_S: Final = 1.0
AT_WORK: Final = 0.5


def run_report(
    topology: Topology,
    supervisor: Supervisor,
    source: Tally,
    seconds: float,
    missed_wakeups: int,
    notes: tuple[str, ...],
) -> Report:
    """All workers and zips of `topology`, in the order in which their stages were added.

    `source`: what came in; `missed_wakeups`: how often a worker was found asleep though there was
    work for it; `notes`: what else there is to say.
    """
    said = supervisor.notes + supervisor.pins.notes + supervisor.crew.remarks() + notes
    if missed_wakeups:
        said += (
            f"{WOKEN_BY_THE_NET}: a worker slept {missed_wakeups} times although there was work "
            "for it",
        )
    said += tuple(
        f"{fork!r} had {lanes} lanes open: of that the simulator tells only with lanes={lanes}"
        for fork, lanes in supervisor.lanes.most.items()
        if lanes > LANES_BY_DEFAULT
    )

    said += one_thread_notes(one_thread_workers(supervisor, seconds), free_cores(supervisor))
    said += hints(map(partial(pace_of, supervisor), supervisor.processes.plan.specs), seconds)
    figures, read_zip = partial(figures_of, supervisor, source), supervisor.shared.control.read_zip
    return report_of(topology, figures, read_zip, seconds, said)


def one_thread_workers(supervisor: Supervisor, seconds: float) -> dict[str, tuple[str, ...]]:
    """The stages that were at work most of a run of so many seconds on one core, and the numeric
    libraries that are loaded in their workers, where there are some."""
    blocks, processes = supervisor.shared.blocks, supervisor.processes
    return {
        written_name(supervisor.topology.nodes[node]): libraries
        for node, handle in processes.handles.items()
        if seconds >= LONG_S
        and supervisor.crew.where(node) is None  # else its process is not here to be looked at
        and processes.plan.threads[node] == 1
        and blocks[node].times()[0] * S_PER_NS >= AT_WORK * seconds
        and (libraries := numeric_libraries(handle.pid))
    }


def free_cores(supervisor: Supervisor) -> int:
    """How many cores no worker can use."""
    processes = supervisor.processes
    return len(usable_cores()) - sum(processes.plan.threads[node] for node in processes.handles)


def pace_of(supervisor: Supervisor, spec: NodeSpec) -> WorkerPace:
    """What the worker of a node did with its items, all its jobs together."""
    topology, blocks = supervisor.topology, supervisor.shared.blocks
    parts = spec.parts or (spec.index,)
    moving, in_jobs, sampled = blocks[spec.index].pace()
    busy = sum(blocks[part].times()[0] for part in parts)
    # Where no call could be timed nothing is opened and nothing made safe.
    work = busy * in_jobs / sampled if sampled else busy
    return WorkerPace(
        " + ".join(written_name(topology.nodes[part]) for part in parts),
        blocks[spec.index].tally(supervisor.run).items_in,
        work * S_PER_NS,
        (busy - work + moving) * S_PER_NS,
    )


def stage_paces(supervisor: Supervisor, seconds: float) -> Paces:
    """What this run of so many seconds has told of the stages; nothing, if it was over in a moment
    or had few items."""
    found: dict[str, StagePace] = {}
    topology, blocks = supervisor.topology, supervisor.shared.blocks
    for spec in supervisor.processes.plan.specs if seconds >= SECONDS else ():
        worker = pace_of(supervisor, spec)
        if worker.items < ITEMS:
            continue
        parts = spec.parts or (spec.index,)
        busy = [blocks[part].times()[0] * S_PER_NS for part in parts]
        moving = max(0.0, worker.work_s + worker.handing_s - sum(busy))
        for part, spent in zip(parts, busy, strict=True):
            pace = StagePace(
                worker.work_s * spent / max(sum(busy), S_PER_NS),
                spent,
                moving / max(spent, S_PER_NS) if not spec.parts else None,
            )
            name = written_name(topology.nodes[part])
            found[name] = max(pace, found.get(name, pace), key=lambda pace: pace.busy_s)
    return found


def figures_of(supervisor: Supervisor, source: Tally, node: int) -> Figures:
    """What the control block says of a node; the source has none."""
    if node == supervisor.shared.ends_of_program[0]:
        return Figures(source)
    worker = home(supervisor.topology, node)
    block, cores = supervisor.shared.blocks[node], supervisor.crew.cores(worker)
    busy = waiting = blocked = batches = 0
    if block.has_begun_with(supervisor.run):  # else they are still those of the run before
        busy, waiting, blocked, batches = block.times()
    return Figures(
        tally=block.tally(supervisor.run),
        busy_s=busy * S_PER_NS,
        waiting_s=waiting * S_PER_NS,
        blocked_s=blocked * S_PER_NS,
        batches=batches,
        side_by_side=block.side_by_side,
        restarts=supervisor.restart_policy.restarts(worker),
        pid=supervisor.processes.pid(node),
        cores=cores,
        node=supervisor.crew.where(worker),
    )
