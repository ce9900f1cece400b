"""The document that a monitor sends: a snapshot as plain data, with what has changed since the
snapshot before it.

Knows: two snapshots.  Must never know: when they were taken by the clock, who reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypedDict

from conveyor.monitor.snapshot import Activity, Snapshot
from conveyor.progress import Progress, StageProgress

__all__ = [
    "ChannelStatus",
    "FailureStatus",
    "StageStatus",
    "Status",
    "WorkerStatus",
    "status_of",
]


class StageStatus(TypedDict):
    """A stage.  `rate` is items done a second, and `busy`, `waiting` and `blocked` are shares of
    the time, all since the status before; the counts are those of the whole run."""

    name: str
    kind: str
    state: str
    rate: float
    busy: float
    waiting: float
    blocked: float
    items_in: int
    items_out: int
    dropped: int
    skipped: int
    dead_lettered: int
    failed: int
    in_hand: int
    queued: int
    restarts: int


class ChannelStatus(TypedDict):
    """A channel; the first is number 0 of the topology."""

    queued: int
    capacity: int


class WorkerStatus(TypedDict):
    """A worker.  `memory` is what is resident, in bytes, None where it is not known; `node` the
    name of its machine, None if that is the program's."""

    stages: list[str]
    pid: int | None
    cores: list[int]
    state: str
    memory: int | None
    restarts: int
    node: str | None


class FailureStatus(TypedDict):
    """Something that went wrong, `at_s` seconds after the run began."""

    at_s: float
    stage: str
    text: str


class Status(TypedDict):
    """A run.  `rate` is that of the whole run, `recent_rate` the one since the status before;
    `ended` is None, or "done", "failed" or "stopped"."""

    elapsed_s: float
    total: int | None
    done: int
    rate: float
    recent_rate: float
    remaining_s: float | None
    slowest: str | None
    ended: str | None
    stages: list[StageStatus]
    channels: list[ChannelStatus]
    workers: list[WorkerStatus]
    failures: list[FailureStatus]


class Shares(NamedTuple):
    """How a stage spends its time; together 1 at the most."""

    busy: float
    waiting: float
    blocked: float

    def main(self) -> Activity:
        """What takes most of it."""
        shares = {
            Activity.WORKING: self.busy,
            Activity.WAITING: self.waiting,
            Activity.BLOCKED: self.blocked,
        }
        return max(shares, key=shares.__getitem__)


SHORTEST_S: Final = 1e-3
AT_WORK: Final = (Activity.WORKING, Activity.WAITING, Activity.BLOCKED)


def status_of(before: Snapshot | None, now: Snapshot, memory: Mapping[int, int]) -> Status:
    """The document of a snapshot; `memory` is what processes have, by pid.

    >>> status_of(None, Snapshot(Progress(2.0, 10, 4, 2.0, 3.0)), {})["recent_rate"]
    2.0
    """
    last, progress = before.progress if before is not None else NOTHING, now.progress
    seconds = max(SHORTEST_S, progress.elapsed_s - last.elapsed_s)
    slowest = progress.slowest
    return Status(
        elapsed_s=progress.elapsed_s,
        total=progress.total,
        done=progress.done,
        rate=progress.rate,
        recent_rate=max(0, progress.done - last.done) / seconds,
        remaining_s=progress.remaining_s,
        slowest=None if slowest is None else slowest.name,
        ended=None if now.ended is None else now.ended.value,
        stages=[
            stage_status(last, progress, stage, now.states.get(stage.name))
            for stage in progress.stages.values()
        ],
        channels=[
            ChannelStatus(queued=each.queued, capacity=each.capacity) for each in now.channels
        ],
        workers=[
            WorkerStatus(
                stages=[*each.stages],
                pid=each.pid,
                cores=[*each.cores],
                state=each.state.value,
                memory=None if each.pid is None else memory.get(each.pid),
                restarts=each.restarts,
                node=each.node,
            )
            for each in now.workers
        ],
        failures=[
            FailureStatus(at_s=each.at_s, stage=each.stage, text=each.text) for each in now.failures
        ],
    )


NOTHING: Final = Progress(0.0, None, 0, 0.0, None)


def stage_status(
    last: Progress, now: Progress, stage: StageProgress, state: Activity | None
) -> StageStatus:
    """One stage, with what it did since `last`; a stage without a worker has no state."""
    seconds = max(SHORTEST_S, now.elapsed_s - last.elapsed_s)
    before = last.stages.get(stage.name)
    done = stage.items_in - stage.in_hand
    done_before = 0 if before is None else before.items_in - before.in_hand
    shares = shares_since(last, now, before, stage, state)
    if state in AT_WORK and any(shares):
        state = shares.main()
    return StageStatus(
        name=stage.name,
        kind=stage.kind,
        state="" if state is None else state.value,
        rate=max(0, done - done_before) / seconds,
        busy=shares.busy,
        waiting=shares.waiting,
        blocked=shares.blocked,
        items_in=stage.items_in,
        items_out=stage.items_out,
        dropped=stage.dropped,
        skipped=stage.skipped,
        dead_lettered=stage.dead_lettered,
        failed=stage.failed,
        in_hand=stage.in_hand,
        queued=stage.queued,
        restarts=stage.restarts,
    )


def shares_since(
    last: Progress,
    now: Progress,
    before: StageProgress | None,
    stage: StageProgress,
    state: Activity | None,
) -> Shares:
    """How a stage spent the time since `last`.

    A worker notes its times when it comes to the end of what it is at; what it has not noted yet is
    spent on that.
    """
    seconds = max(SHORTEST_S, now.elapsed_s - last.elapsed_s)
    was = (0.0, 0.0, 0.0) if before is None else (before.busy, before.waiting, before.blocked)
    spent = [
        max(0.0, share * now.elapsed_s - share_before * last.elapsed_s) / seconds
        for share, share_before in zip((stage.busy, stage.waiting, stage.blocked), was, strict=True)
    ]
    if sum(spent) > 1:
        spent = [share / sum(spent) for share in spent]
    if state in AT_WORK:
        spent[AT_WORK.index(state)] += max(0.0, 1 - sum(spent))
    return Shares(*spent)
