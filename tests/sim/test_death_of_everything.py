"""Everything dies before every store of a run that has a checkpoint, under every schedule, and
begins again: what its sink holds at the end is what an undisturbed run could have put there.

Each rule of the protocol is then broken on purpose, and must be missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import pytest

from conveyor import (
    Batch,
    Faults,
    Filter,
    FlatMap,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Throttle,
    Zip,
)
from conveyor.core import snapshots
from conveyor.core.barriers import GatedInlet
from conveyor.core.channel import UNBOUNDED, ZipInlet
from conveyor.core.concurrent_drive import InHand
from conveyor.core.epochs import Epochs, Manifest
from conveyor.core.generations import Generation
from conveyor.core.requests import ChooseInput
from conveyor.core.set_aside import KeptZipInlet, SetAside, ZipState
from conveyor.core.snapshots import Entry, RestoredNode, StateLog
from conveyor.errors import CheckpointMismatch, Deadlock, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedulers.exhaustive import Exhaustive, Redundant
from conveyor.sim.search.simulation import Attempt, Simulator
from conveyor.sim.world.machine import BlackoutPlan, Machine
from conveyor.stages import Stage
from tests.core.world import compiled
from tests.helpers import PROVE
from tests.jobs import same
from tests.sim.parts import labelled
from tests.sim.topologies import TOPOLOGIES, rows

MOST = 1 << 30 if PROVE else 2  # schedules in which everything dies before one store
N_ITEMS = 3


class Numbers(Processor[Any, Any]):
    """Numbers what comes, and goes on where it was."""

    def __init__(self) -> None:
        super().__init__(name="numbers")
        self.n = 0

    def process(self, item: Any) -> Any:
        self.n += 1
        return (item, self.n)

    def snapshot(self) -> int:
        return self.n

    def restore(self, state: int) -> None:
        self.n = state


class Forgetful(Processor[Any, Any]):
    """Keeps something that nothing saves."""

    n = 0

    def process(self, item: Any) -> Any:
        self.n += 1
        return (item, self.n)


class Shared(Processor[Any, Any]):
    """Numbers what comes, two in hand at once, each seeing what was when it began."""

    def __init__(self) -> None:
        super().__init__(name="shared", concurrency=2, ordered=False)
        self.n = 0

    async def process(self, item: Any) -> Any:
        n = self.n
        await asyncio.sleep(0)
        self.n = n + 1
        return (item, n)

    def snapshot(self) -> int:
        return self.n

    def restore(self, state: int) -> None:
        self.n = state


class Refused(Exception):
    """What a job raises for some items."""


def refuses_one() -> Processor[Any, Any]:
    """Gives up an item, two in hand at once."""

    def job(item: Any) -> Any:
        if item == 1:
            raise Refused(item)
        return item

    return Processor(job, name="refuses", concurrency=2, ordered=False, on_error="dead_letter")


def is_odd(item: int) -> bool:
    return item % 2 == 1


def is_even(item: int) -> bool:
    return item % 2 == 0


def odd() -> Filter[int]:
    return Filter(is_odd)


def even() -> Filter[int]:
    return Filter(is_even)


def bursts(of: int) -> FlatMap[int, int]:
    """Nothing of most items, and three at once of every third: of the first, second or third."""

    def job(item: int) -> list[int]:
        return [item] * 3 if item % 3 == of else []

    return FlatMap(job, name=f"bursts-{of}")


def drops_all() -> Filter[Any]:
    def job(item: Any) -> bool:
        return False

    return Filter(job, name="drops-all")


def pipes(n: int, capacity: int) -> list[Stage]:
    return [Pipe(capacity) for _ in range(n)]


STATEFUL: dict[str, Callable[[], Sequence[Sequence[Stage]]]] = {
    "a state in a line": lambda: [[Numbers()]],
    "states in the lanes of a join": lambda: [*rows("R"), [Numbers(), Numbers()], *rows("11 J")],
    "a state behind a join": lambda: [*rows("R ab 11 J"), [Numbers()]],
    "states behind one another": lambda: [[Numbers()], *rows("1"), [Numbers()], *rows("R ab J")],
    "a batch that is not full": lambda: [[Batch(2)], *rows("R ab J")],
    "a state behind an ordered join": lambda: [*rows("B 11 ab 11 O"), [Numbers()]],
    # by the clock
    "held up": lambda: [[Throttle(1)]],
    "lists cut by the time": lambda: [[Throttle(1)], [Batch(2, within_s=1.5)]],
    "lists cut by the time, behind a join": lambda: [*rows("R 11 J"), [Batch(3, within_s=1.0)]],
    "keys that are let go of": lambda: [
        [Throttle(1)],
        [PerKey(is_odd, Numbers, idle_s=1.5, name="keys")],
    ],
    # several in hand
    "items that are given up, two in hand": lambda: [[refuses_one()]],
    "a state that two in hand share": lambda: [[Shared()]],
    "a state that two in hand share, in a lane": lambda: [
        *rows("R 11"),
        [Shared(), Pipe(1)],
        *rows("11 J"),
    ],
}


def zip_behind_a_lane(room: int) -> list[list[Stage]]:
    """A lane of bursts goes into a join, and into a zip before it, which has so much room there."""
    before: list[list[Stage]] = [*rows("R"), pipes(2, 2), [bursts(0), bursts(1)]]
    return [*before, *rows("R1"), [Pipe(1), Pipe(room), Pipe(1)], *rows("1Z J")]


# Lanes that drop and add items have different numbers of them before a barrier.
ZIPPED: dict[str, Callable[[], Sequence[Sequence[Stage]]]] = {
    "a zip of lanes in step": lambda: rows("R 11 ab 11 Z"),
    "a zip of lanes that drop": lambda: [*rows("R 11"), [odd(), even()], *rows("11 Z")],
    "a zip of bursts": lambda: [
        *rows("R"),
        pipes(2, 2),
        [bursts(0), bursts(1)],
        *rows("11 Z 1"),
        [Numbers()],
    ],
    "a zip of numbered bursts": lambda: [
        *rows("R"),
        pipes(2, 2),
        [bursts(0), bursts(1)],
        [Numbers(), Pipe(1)],
        *rows("1- Z"),
    ],
    "a zip of three lanes": lambda: [
        [ReplicatingFork(3)],
        pipes(3, 2),
        [bursts(0), bursts(1), Processor(same)],
        [Pipe(1), Pipe(1), Pipe(2)],
        [Zip(3)],
    ],
    "a zip of lanes of which one is left over": lambda: [
        *rows("R 1-"),
        [even(), labelled("b")],
        *rows("1- Z"),
    ],
    "a zip of a lane that is held up": lambda: [
        *rows("R"),
        [Throttle(1), bursts(0)],
        *rows("-- Z"),
    ],
    "a zip of a zip of a lane that is held up": lambda: [
        [ReplicatingFork(3)],
        [Throttle(1), bursts(0), labelled("c")],
        *rows("Z- Z"),
    ],
    "a zip in a lane of a join": TOPOLOGIES["a zip that starves"],
    "a zip in the second lane of a join, out of a lane of the first": lambda: zip_behind_a_lane(1),
    "a zip of which nothing comes, out of a lane of a join": lambda: [
        *rows("R --"),
        [labelled("a"), drops_all()],
        *rows("R- 111 1Z J"),
    ],
    "joins in lanes of a zip": TOPOLOGIES["diamonds side by side, zipped"],
    "a join of uneven lanes in a lane of a zip": lambda: [
        *rows("R R1"),
        [even(), odd(), labelled("c")],
        *rows("11- J- 11 Z"),
    ],
    "an ordered join in a lane of a zip": lambda: [
        *rows("R B1"),
        [bursts(0), bursts(0), labelled("c")],
        *rows("11- O1 Z"),
    ],
    "a zip of a zip": lambda: [
        [ReplicatingFork(3)],
        pipes(3, 2),
        [odd(), even(), bursts(1)],
        [Pipe(1), Pipe(1), Pipe(3)],
        *rows("Z- Z"),
    ],
    "a zip behind a zip": lambda: [
        [ReplicatingFork(3)],
        pipes(3, 2),
        [odd(), even(), labelled("c")],
        [Pipe(1), Pipe(1), Pipe(3)],
        *rows("Z- d- 1- Z"),
    ],
}
# What is set aside needs no room in its lane: so a run may come out that a lane with more has.
ROOMIER: dict[str, Callable[[], Sequence[Sequence[Stage]]]] = {
    "a zip in the second lane of a join, out of a lane of the first": lambda: zip_behind_a_lane(3)
}
MOST_OF = {  # where there are thousands for each store
    name: min(MOST, 50)
    for name in (
        "a zip in a lane of a join",
        "joins in lanes of a zip",
        "an ordered join in a lane of a zip",
    )
}
ENDS_EARLY = ("fail", "starves", "zip", "drift apart", "ahead of a join", "adapting")
KEPT = {
    **STATEFUL,
    **ZIPPED,
    **{
        name: made
        for name, made in TOPOLOGIES.items()
        if not any(word in name.lower() for word in ENDS_EARLY)
    },
}
SOME = [
    *STATEFUL,
    *("a zip of lanes that drop", "a zip of bursts", "a zip of lanes of which one is left over"),
    *("a zip of which nothing comes, out of a lane of a join", "a zip of a zip"),
    *("diamond", "tight all around", "a lane that drops", "tight balance", "nested joins"),
    *("many out of one, balanced", "partitioned", "ordered", "ordered balance"),
    "an ordered split in an ordered replicate",
    *(
        "as they are done, tight",
        "many out of one, as they are done",
        "as they are done, in a lane",
    ),
]


def schedules(simulator: Simulator, plan: Callable[[], list[BlackoutPlan]]) -> Iterator[Attempt]:
    """Every schedule of the runs by a plan."""
    several = simulator.pipeline.deciding > 1
    scheduler = Exhaustive(several)
    while scheduler.begin():
        try:
            yield simulator.attempt(scheduler, plan())
        except Redundant:
            continue


def every_death(
    simulator: Simulator, every: int, in_one: bool, most: int = MOST
) -> Iterator[Attempt]:
    """Each schedule, up to so many for each store, of each run in which everything dies."""
    for store in count():
        died = 0
        for attempt in schedules(simulator, lambda: [BlackoutPlan(every, store, (), in_one)]):  # noqa: B023
            if not attempt.deaths:
                break
            died += 1
            yield attempt
            if died == most:
                break
        if not died:
            return


def undisturbed(simulator: Simulator) -> set[str]:
    return {outcome(simulator, attempt) for attempt in schedules(simulator, list)}


def possible(name: str, simulator: Simulator) -> set[str]:
    """The outcomes that a kept run may have."""
    roomier = ROOMIER.get(name)
    found = undisturbed(simulator)
    return found if roomier is None else found | undisturbed(simulator_of(roomier, N_ITEMS))


def outcome(simulator: Simulator, attempt: Attempt) -> str:
    """What came out, and when, and what became of the items of each stage and of each zip."""
    if attempt.error is not None:
        raise attempt.error
    nodes = simulator.pipeline.nodes
    tallies = [
        tally.counts()
        for node, tally in zip(nodes, attempt.tallies, strict=True)
        if node.spec.stage is not None
    ]
    letters = [(each.stage, each.ordinal) for each in attempt.letters]
    zips = [(each.tuples, each.left_over) for ends in attempt.zips for each in ends.values()]
    return f"{attempt.outputs} {attempt.times} {letters} {tallies} {zips}"


def simulator_of(made: Callable[[], Sequence[Sequence[Stage]]], n_items: int) -> Simulator:
    pipeline = PreparedPipeline(compiled(*made()))
    simulator = Simulator(pipeline, range(n_items), checked=False)
    simulator.world.goes_back = False  # each run counts from its beginning
    return simulator


@pytest.mark.parametrize("in_one", [False, True], ids=["two phases", "one transaction"])
@pytest.mark.parametrize("name", KEPT if PROVE else SOME)
def test_a_sink_ends_as_if_nothing_had_died(name: str, in_one: bool) -> None:
    simulator = simulator_of(KEPT[name], N_ITEMS)
    could_be = possible(name, simulator)
    assert not lacks_epochs(simulator)
    for every in (1, 2):
        deaths = every_death(simulator, every, in_one, MOST_OF.get(name, MOST))
        found = {outcome(simulator, each) for each in deaths}
        assert found
        assert found <= could_be


def remainder(item: int) -> int:
    return item % 3


def test_a_state_that_is_written_in_parts_is_there_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "FEW", 0)
    monkeypatch.setattr(snapshots, "PART", 1)  # a key whenever the state is saved
    begun, completed = 0, 0
    entry = StateLog.entry

    def noted(log: StateLog, is_last: bool) -> Entry:
        nonlocal begun, completed
        given = entry(log, is_last)
        begun += given.begins and not given.is_whole
        completed += given.is_whole and not given.begins
        return given

    monkeypatch.setattr(StateLog, "entry", noted)
    simulator = simulator_of(lambda: [[PerKey(remainder, Numbers, name="keys")]], 9)
    could_be = undisturbed(simulator)
    assert {outcome(simulator, each) for each in every_death(simulator, 2, False)} <= could_be
    assert begun > completed > 100


# -------------------------------------------------------------------------- rules broken on purpose


def reads_on(gate: GatedInlet) -> bool:
    """An input that has come to a barrier is read on while others have not."""
    return gate.inlet.barrier > gate.passed and not gate.inlet.pending()


def keeps_no_state(machine: Machine[Any], node: Any, *, is_last: bool) -> None:
    saved, node.saved = node.saved, None
    KEEP(machine, node, is_last=is_last)
    node.saved = saved


def gives_on_what_is_behind(in_hand: InHand) -> int:
    """Of several in hand, one from behind a barrier is given on before that is passed."""
    return UNBOUNDED


def gives_again(restored: RestoredNode) -> None:
    """What had come of several in hand is taken for not out."""


def leaves_in_its_lane(zipped: KeptZipInlet) -> bool:
    """What has no partner before a barrier is not set aside."""
    if any(gate.is_at_barrier for gate in zipped.gates):
        return all(inlet.ended() for inlet in zipped.inlets)
    return ENDED(zipped)


def puts_first(aside: SetAside, changes: tuple[list[tuple[int, list[object]]], list[int]]) -> None:
    """What was set aside later comes first."""
    added, taken = changes
    for lane, items in added:
        aside.lanes[lane].extendleft(items)
    APPLY(aside, ([], taken))


def takes_for_the_end(zipped: KeptZipInlet) -> bool:
    """What has no partner before a barrier is dropped."""
    return ZipInlet.ended(zipped)


def keeps_nothing_set_aside(zipped: KeptZipInlet) -> ZipState:
    return STATE(zipped)._replace(aside=None)


def counts_no_tuples(zipped: KeptZipInlet) -> ZipState:
    return STATE(zipped)._replace(tuples=0)


def asks_until_one_has_not_ended(choice: ChooseInput) -> bool:
    return all(inlet.ended() for inlet in choice.inlets)


def forgets_where_the_barrier_is(
    machine: Machine[Any], position: int, *, is_finished: bool = False
) -> None:
    """The source goes on from where it stands."""
    stands = machine.first + machine.source.head
    COMPLETE(machine, position if is_finished else stands, is_finished=is_finished)


def commits_before_the_manifest(epochs: Epochs, manifest: Manifest) -> None:
    epochs.sink.prepare(epochs.epoch)
    epochs.sink.commit(epochs.epoch)
    epochs.manifests.write(manifest)
    epochs.manifests.forget(epochs.epoch)
    epochs.epoch += 1


def prepares_behind_the_manifest(epochs: Epochs, manifest: Manifest) -> None:
    epochs.manifests.write(manifest)
    epochs.sink.prepare(epochs.epoch)
    epochs.sink.commit(epochs.epoch)
    epochs.manifests.forget(epochs.epoch)
    epochs.epoch += 1


def forgets_before_the_commit(epochs: Epochs, manifest: Manifest) -> None:
    epochs.sink.prepare(epochs.epoch)
    epochs.manifests.write(manifest)
    epochs.manifests.forget(epochs.epoch)
    epochs.sink.commit(epochs.epoch)
    epochs.epoch += 1


def commits_nothing_again(epochs: Epochs) -> Manifest | None:
    manifests = epochs.manifests.newest()
    epochs.epoch = manifests[0].epoch + 1 if manifests else 0
    epochs.sink.open(epochs.epoch)
    return manifests[0] if manifests else None


MACHINE: Any = Machine
KEEP, COMPLETE = MACHINE.keep, MACHINE.complete
ENDED, STATE = KeptZipInlet.ended, KeptZipInlet.state
APPLY: Any = getattr(SetAside, "_apply")  # noqa: B009  # nobody else calls it


class Broken(NamedTuple):
    """What does otherwise than it must, and the pipeline that shows it."""

    owner: type
    method: str
    instead: object
    shown_by: str
    in_one: bool = False


BROKEN = {
    "a join reads behind a barrier": Broken(
        GatedInlet, "is_at_barrier", property(reads_on), "tight all around"
    ),
    "a state is not kept": Broken(Machine, "keep", keeps_no_state, "a state in a line"),
    "what is behind a barrier is given on before it": Broken(
        InHand, "until", property(gives_on_what_is_behind), "as they are done"
    ),
    "a shared state knows of what is behind a barrier": Broken(
        Generation, "looks_behind_barriers", True, "a state that two in hand share"
    ),
    "what is out is sent again": Broken(
        RestoredNode, "begins_run", gives_again, "a state that two in hand share"
    ),
    "what has no partner stays in a lane that is full": Broken(
        KeptZipInlet, "ended", leaves_in_its_lane, "a zip of bursts"
    ),
    "what has no partner before a barrier is dropped": Broken(
        KeptZipInlet, "ended", takes_for_the_end, "a zip of bursts"
    ),
    "what is set aside is not kept": Broken(
        KeptZipInlet, "state", keeps_nothing_set_aside, "a zip of lanes that drop"
    ),
    "what is set aside is given in another order": Broken(
        SetAside, "_apply", puts_first, "a zip of numbered bursts"
    ),
    "the tuples of earlier lives are not counted": Broken(
        KeptZipInlet, "state", counts_no_tuples, "a zip of lanes that drop"
    ),
    "a join does not ask a zip while it waits for another": Broken(
        ChooseInput,
        "all_ended",
        asks_until_one_has_not_ended,
        "a zip in the second lane of a join, out of a lane of the first",
    ),
    "the source goes on where it stands": Broken(
        Machine, "complete", forgets_where_the_barrier_is, "tight lanes"
    ),
    "the sink commits before the manifest": Broken(
        Epochs, "complete", commits_before_the_manifest, "a state in a line"
    ),
    "the sink prepares behind the manifest": Broken(
        Epochs, "complete", prepares_behind_the_manifest, "a state in a line"
    ),
    "the manifest before is forgotten too early": Broken(
        Epochs, "complete", forgets_before_the_commit, "a state in a line", in_one=True
    ),
    "what was prepared is not committed again": Broken(
        Epochs, "resume", commits_nothing_again, "a state in a line"
    ),
}


def lacks_epochs(simulator: Simulator) -> bool:
    """Is there a run, in which nothing dies, some barrier of which does not come through?"""
    for _ in islice(schedules(simulator, lambda: [BlackoutPlan(1)]), 10 * MOST):
        machine = simulator.world.machine
        assert machine is not None
        if machine.epochs.epoch != machine.source.barrier + 1:  # and the end
            return True
    return False


def differs(name: str, in_one: bool) -> bool:
    """Does a death of everything show, or that there was none to go on from?"""
    simulator = simulator_of(KEPT[name], N_ITEMS)
    if lacks_epochs(simulator):
        return True
    could_be = possible(name, simulator)
    return any(
        each.error is not None or outcome(simulator, each) not in could_be
        for each in every_death(simulator, 1, in_one)
    )


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_that_is_broken_is_missed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, method, instead, shown_by, in_one = BROKEN[rule]
    assert not differs(shown_by, in_one)
    monkeypatch.setattr(owner, method, instead)
    try:
        shows = differs(shown_by, in_one)
    except (CheckpointMismatch, AssertionError, Deadlock):
        shows = True  # it shows at once
    assert shows


# ---------------------------------------------------------------------------- as a user asks for it


def test_a_search_finds_what_dies_with_the_machine_and_replays_it() -> None:
    numbers = Pipeline[int]().add(Numbers())
    everything = Faults([], machine=True)
    assert numbers.explore(range(3), schedules=60, faults=everything).outputs == {
        ((0, 1), (1, 2), (2, 3))
    }

    found = numbers.explore(range(3), lambda run: "machine" not in run.schedule, faults=everything)
    assert found.failure is not None
    assert "everything dies before store 0" in str(found.failure)
    assert numbers.replay(range(3), "cv1:!~machine.1.before12") == [(0, 1), (1, 2), (2, 3)]


def test_nothing_is_searched_where_a_state_would_be_lost() -> None:
    pipeline = Pipeline[int]().add(Forgetful(name="forgetful"))
    with pytest.raises(TopologyError, match="'forgetful' keeps a state"):
        pipeline.explore([1], faults=Faults(machine=True))


# ------------------------------------------------------------------------------- what can be kept


def test_a_state_that_nothing_saves_is_refused() -> None:
    with pytest.raises(TopologyError, match="'forgetful' keeps a state that a checkpoint cannot"):
        check_can_be_kept(compiled([Forgetful(name="forgetful")]))


@pytest.mark.parametrize("name", KEPT)
def test_all_else_is_not(name: str) -> None:
    check_can_be_kept(compiled(*KEPT[name]()))
