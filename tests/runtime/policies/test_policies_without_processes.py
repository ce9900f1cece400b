"""Restart policy, time limits and watchdog on workers and channels that are plain objects: what an
engine elsewhere than on this machine has to offer them is no more than this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from conveyor import Join, Pipe, Processor, ReplicatingFork
from conveyor.core.crashes import Moment, WorkerDeath
from conveyor.errors import Deadlock, ItemTimeout, WorkerCrashed
from conveyor.graph.compiler import compile_topology
from conveyor.graph.draft import Draft
from conveyor.graph.topology import Topology
from conveyor.report import Tally
from conveyor.runtime.policies import limits, restart_policy, watchdog
from conveyor.runtime.policies.restart_policy import RestartPolicy
from conveyor.runtime.policies.watchdog import Watchdog
from conveyor.runtime.step.contract import FOR_ITEMS, FOR_NOTHING, FOR_ROOM, WaitReason
from conveyor.stages import Stage, Zip

RUN = 1


def topology_of(*rows: tuple[Stage, ...]) -> Topology:
    draft = Draft(strict=False)
    for row in rows:
        draft = draft.add(row)
    return compile_topology(draft, 1)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def ns(self) -> int:
        return int(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    chosen = Clock()
    monkeypatch.setattr(restart_policy, "monotonic", chosen)
    monkeypatch.setattr(watchdog, "monotonic", chosen)
    monkeypatch.setattr(limits, "perf_counter_ns", chosen.ns)
    return chosen


@dataclass
class FarWorker:
    """All that the policies ask of a worker, wherever it is."""

    at: Moment = Moment.AT_WORK
    hand: WorkerDeath | None = None
    done: int = 0
    running: int = 1
    item_since: int = 0
    begun: bool = True
    sleeps: int = 0
    reason: WaitReason = FOR_NOTHING
    soft_limits_lifted: bool = False
    stopped: bool = False

    def has_begun(self) -> bool:
        return self.begun

    def moment(self, run: int, has_input: bool) -> Moment:
        return self.at

    def take_death(self, run: int, running: bool, timed_out: bool, how: str) -> WorkerDeath | None:
        return None if self.hand is None else self.hand._replace(timed_out=timed_out, how=how)

    def tally(self, run: int) -> Tally:
        return Tally()

    def wait_reason(self) -> WaitReason:
        return self.reason

    def lift_soft_limits(self) -> None:
        self.soft_limits_lifted = True

    def is_stopped(self) -> bool:
        return self.stopped

    def was_stopped(self) -> bool:
        return False


@dataclass
class FarInputs:
    commits: dict[int, int] = field(default_factory=dict[int, int])

    def committed(self, node: int) -> int:
        return self.commits.get(node, 0)

    def has_input(self, node: int) -> bool:
        return True


@dataclass
class FarChannel:
    queued: int = 0
    capacity: int = 4
    ended: int = 0

    def is_empty(self) -> bool:
        return self.queued == 0

    def has_room_for(self, items: int) -> bool:
        return self.capacity - self.queued >= items


class Adding(Processor[int, int]):
    """Keeps a sum that cannot be saved."""

    def process(self, item: int) -> int:
        return item


def policy_for(job: Processor[Any, Any]) -> tuple[RestartPolicy, FarWorker, FarInputs]:
    topology = topology_of((job,))
    workers, inputs = [FarWorker() for _ in topology.nodes], FarInputs()
    policy = RestartPolicy(topology, workers, inputs, lambda node: workers[node])
    policy.begin_run(RUN)
    policy.started(1)
    return policy, workers[1], inputs


def test_a_worker_that_died_is_replaced_at_once_and_the_third_in_a_row_after_a_wait(
    clock: Clock,
) -> None:
    policy, worker, _ = policy_for(Processor(abs))
    worker.hand = WorkerDeath(0, 5, 6)
    waits: list[float] = []
    for _ in range(4):
        policy.died(1, 77, -9)
        waits.append(round(policy.due[1] - clock.now, 3))
        clock.now = policy.due[1]
        assert policy.now_due() == [1]
        policy.started(1)
    assert waits == [0.0, 0.0, 0.01, 0.02]
    assert policy.restarts(1) == 4
    assert [death.first for death in policy.history(1)[0]] == [5] * len(policy.history(1)[0])


def test_ten_deaths_without_a_commit_end_the_run_and_a_commit_between_them_does_not(
    clock: Clock,
) -> None:
    policy, _, inputs = policy_for(Processor(abs))
    for number in range(30):  # each has done one item
        inputs.commits[1] = number
        policy.died(1, 77, -9)
        clock.now = policy.due[1]
        policy.started(1)
    for _ in range(9):
        policy.died(1, 77, -9)
        policy.started(1)
    with pytest.raises(WorkerCrashed, match="was killed by SIGKILL"):
        policy.died(1, 77, -9)


def test_a_state_that_is_gone_ends_the_run_and_what_was_done_before_does_not(clock: Clock) -> None:
    policy, worker, _ = policy_for(Adding())
    worker.done = RUN
    policy.died(1, 77, 3)
    assert policy.now_due() == []
    worker.done = 0
    with pytest.raises(WorkerCrashed, match=r"left with exit code 3 .*its state died with it"):
        policy.now_due()


def test_an_item_that_takes_too_long_costs_its_worker(clock: Clock) -> None:
    policy, worker, _ = policy_for(Processor(abs, timeout_s=2))
    worker.item_since = clock.ns()
    assert policy.overdue() == []
    clock.now += 1.9
    assert policy.overdue() == []
    clock.now += 0.2
    assert policy.overdue() == [1]
    assert policy.overdue() == []  # once
    worker.hand = WorkerDeath(0, 5, 6)
    policy.died(1, 77, -9)
    assert [death.timed_out for death in policy.history(1)[0]] == [True]


def test_one_whose_state_is_gone_with_it_ends_the_run(clock: Clock) -> None:
    policy, worker, _ = policy_for(Adding(timeout_s=2))
    worker.item_since = clock.ns()
    clock.now += 3
    assert policy.overdue() == [1]
    with pytest.raises(ItemTimeout, match="timeout_s=2"):
        policy.died(1, 77, -9)


def watched(
    *rows: tuple[Stage, ...],
) -> tuple[Topology, list[FarWorker], list[FarChannel], set[int], Watchdog]:
    topology = topology_of(*rows)
    workers = [FarWorker() for _ in topology.nodes]
    channels = [FarChannel(capacity=channel.capacity) for channel in topology.channels]
    notified: set[int] = set()
    dog = Watchdog(
        topology,
        workers,
        channels.__getitem__,
        notified.__contains__,
        lambda: any(worker.is_stopped() for worker in workers),
    )
    return topology, workers, channels, notified, dog


def test_a_worker_that_sleeps_although_its_items_are_there_is_found_in_the_second_look(
    clock: Clock,
) -> None:
    _, workers, channels, notified, dog = watched((Processor(abs),))
    workers[1].reason = WaitReason(FOR_ITEMS, 1)
    channels[0].queued = 1
    parents = {0: FOR_NOTHING, 2: FOR_NOTHING}
    assert dog.look(RUN, parents).forgotten == []
    assert dog.look(RUN, parents).forgotten == []  # a look too soon is none
    clock.now += 1
    assert dog.look(RUN, parents).forgotten == [1]
    notified.add(1)
    clock.now += 1
    assert dog.look(RUN, parents).forgotten == []


def test_one_that_has_been_awake_in_between_is_not(clock: Clock) -> None:
    _, workers, channels, _, dog = watched((Processor(abs),))
    workers[1].reason = WaitReason(FOR_ITEMS, 1)
    channels[0].queued = 1
    for _ in range(3):
        assert dog.look(RUN, {0: FOR_NOTHING, 2: FOR_NOTHING}).forgotten == []
        workers[1].sleeps += 1
        clock.now += 1


def test_nor_is_one_while_a_worker_is_stopped_that_may_be_about_to_wake_it(clock: Clock) -> None:
    _, workers, channels, _, dog = watched((Processor(abs),))
    workers[1].reason = WaitReason(FOR_ITEMS, 1)
    channels[0].queued = 1
    for is_stopped in (True, True, False):
        workers[2].stopped = is_stopped
        assert dog.look(RUN, {0: FOR_NOTHING, 2: FOR_NOTHING}).forgotten == []
        clock.now += 1
    assert dog.look(RUN, {0: FOR_NOTHING, 2: FOR_NOTHING}).forgotten == [1]


def stuck() -> tuple[list[FarWorker], dict[int, WaitReason], Watchdog]:
    """The one lane before the zip is full, and there is nothing in the other."""
    topology, workers, channels, _, dog = watched(
        (ReplicatingFork(2),), (Pipe(4), Pipe(4)), (Zip(2),)
    )
    full, empty = (channels[each.index] for each in topology.channels[:2])
    full.queued = full.capacity
    empty.queued = 0
    parents = {0: WaitReason(FOR_ROOM, 0b01, 1), 1: WaitReason(FOR_ITEMS, 0b10)}
    return workers, parents, dog


def test_a_circle_of_full_and_empty_channels_is_a_deadlock(clock: Clock) -> None:
    _, parents, dog = stuck()
    with pytest.raises(Deadlock, match=r"source waits for room .* c0 .* is full: 4 of 4 items"):
        dog.look(RUN, parents)


def test_a_join_of_the_same_channels_is_none(clock: Clock) -> None:
    _, _, channels, _, dog = watched((ReplicatingFork(2),), (Pipe(4), Pipe(4)), (Join(2),))
    channels[0].queued = channels[0].capacity
    parents = {0: WaitReason(FOR_ROOM, 0b01, 1), 1: FOR_NOTHING}
    assert dog.look(RUN, parents).yielding == []
