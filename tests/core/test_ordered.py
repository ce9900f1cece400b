"""An ordered join gives back the order of its fork, whatever its lanes drop, multiply, or give at
the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.core.channel import Note, Tag
from conveyor.core.fused_node import FusedNode
from conveyor.core.job_node import ItemFailed, JobNode, Surroundings
from conveyor.core.nodes import node_for
from conveyor.core.ordered import OrderedInlet, StampNode, TrackedNode, words_of_ordered
from conveyor.core.stamp_columns import FINISH, Column, Groups, appended, next_origin, run_of
from conveyor.core.stamps import MARK, Entries, items_of
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Sealed, seal
from conveyor.items.slices import opened
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    OnError,
    Pipe,
    Processor,
    ReplicatingFork,
    Stage,
)
from conveyor.stages.throttle import Throttle
from tests.core.world import World, compiled
from tests.jobs import double, only_even, repeated
from tests.model import side_by_side

# ------------------------------------------ any nest of forks and ordered joins, by plain recursion

Item: TypeAlias = tuple[
    int, ...
]  # where it came by, one number after the other; sometimes as a list


@dataclass(frozen=True)
class Work:
    """A job: how many outputs it gives for an item, by the item's sum modulo 3; what it gives at
    the end; whether it fails."""

    site: int
    times: tuple[int, int, int]
    endings: int
    on_error: OnError
    retries: int
    is_list: bool

    def outputs(self, item: Item) -> list[Item]:
        return [(*item, self.site, number) for number in range(self.times[sum(item) % 3])]

    def last(self) -> list[Item]:
        return [(-1, self.site, number) for number in range(self.endings)]

    def fails(self, item: Item) -> bool:
        return sum(item) % 5 == 0

    def gives_up(self, item: Item) -> bool:
        return self.fails(item) and not self.retries


@dataclass(frozen=True)
class Nest:
    """A fork, its lanes and their ordered join."""

    fork: str
    lanes: tuple[Chain, ...]


@dataclass(frozen=True)
class Tight:
    """A pipe."""

    capacity: int


Chain: TypeAlias = tuple[Work | Nest | Tight, ...]


class Job(FlatMap[Any, Any]):
    """Does what a `Work` says: any number of outputs an item."""

    def __init__(self, work: Work) -> None:
        super().__init__(name=f"work{work.site}", on_error=work.on_error, retries=work.retries)
        self.work = work
        self.failed: list[Item] = []

    def process(self, item: Sequence[int], /) -> Iterator[object]:
        came = tuple(item)
        for output in self.work.outputs(came):
            yield self.shaped(output)
        if self.work.fails(came) and (not self.work.retries or came not in self.failed):
            self.failed.append(came)
            raise ValueError(came)

    def finish(self) -> Iterable[object]:
        self.failed.clear()
        return map(self.shaped, self.work.last())

    def shaped(self, item: Item) -> object:
        return list(item) if self.work.is_list else item


class OneJob(Processor[Any, Any]):
    """The same with one output an item at most."""

    def __init__(self, work: Work) -> None:
        super().__init__(name=f"work{work.site}", on_error=work.on_error, retries=work.retries)
        self.many = Job(work)

    def process(self, item: Sequence[int], /) -> object:
        outputs = list(self.many.process(item))
        return outputs[0] if outputs else None

    def finish(self) -> Iterable[object]:
        return self.many.finish()


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    sites = iter(range(100))

    def work() -> Work:
        most = draw(st.integers(1, 2))
        times = draw(st.tuples(*[st.integers(0, most)] * 3))
        on_error = draw(st.sampled_from(["skip", "dead_letter"]))
        endings, retries = draw(st.sampled_from([0, 0, 1, 3])), draw(st.integers(0, 1))
        return Work(
            next(sites),
            times,
            endings,
            "skip" if on_error == "skip" else "dead_letter",
            retries,
            draw(st.booleans()),
        )

    def nest(depth: int) -> Nest:
        fork = draw(
            st.sampled_from(
                ["replicate", "balance", "adapt"] if depth == 2 else ["replicate", "balance"]
            )
        )
        if fork == "replicate":
            return Nest(fork, tuple(chain(depth - 1, 0) for _ in range(draw(st.integers(1, 3)))))
        lane = chain(depth - 1 if fork == "balance" else 0, 1)
        return Nest(fork, (lane,) * (1 if fork == "adapt" else draw(st.integers(1, 3))))

    def chain(depth: int, least: int) -> Chain:
        kinds = draw(
            st.lists(
                st.sampled_from(["work", "pipe", "nest"] if depth else ["work", "pipe"]),
                min_size=least,
                max_size=2,
            )
        )
        return tuple(
            (
                work()
                if kind == "work"
                else Tight(draw(st.integers(1, 2)))
                if kind == "pipe"
                else nest(depth)
            )
            for kind in kinds
        )

    return (*chain(0, 0), nest(2), *chain(1, 0))


def rows(chain: Chain) -> list[list[Any]]:
    found: list[list[Any]] = []
    for part in chain:
        if isinstance(part, Work):
            found.append([OneJob(part) if max(part.times) == 1 else Job(part)])
        elif isinstance(part, Tight):
            found.append([Pipe(part.capacity)])
        elif part.fork == "adapt":
            found += [[BalancingFork(max_lanes=2)], *rows(part.lanes[0]), [Join(ordered=True)]]
        else:
            fork = ReplicatingFork if part.fork == "replicate" else BalancingFork
            width = len(part.lanes)
            found += [
                [fork(width)],
                *side_by_side([rows(lane) for lane in part.lanes]),
                [Join(width, ordered=True)],
            ]
    return found


def trails(outputs: list[Any]) -> list[Item]:
    return [tuple(output) for output in outputs]


def of_item(chain: Chain, item: Item) -> list[Item]:
    """What comes of one item."""
    items = [item]
    for part in chain:
        items = [output for item in items for output in of_item_in(part, item)]
    return items


def of_item_in(part: Work | Nest | Tight, item: Item) -> list[Item]:
    if isinstance(part, Work):
        is_slice_job = max(part.times) == 1
        # A flat-map had given its outputs before
        return [] if is_slice_job and part.gives_up(item) else part.outputs(item)
    if isinstance(part, Tight):
        return [item]
    lanes = part.lanes if part.fork == "replicate" else part.lanes[:1]
    return [output for lane in lanes for output in of_item(lane, item)]


def at_the_end(chain: Chain) -> list[Item]:
    """What comes after all that came of items."""
    items: list[Item] = []
    for part in chain:
        items = [output for item in items for output in of_item_in(part, item)]
        if isinstance(part, Work):
            items += part.last()
        elif isinstance(part, Nest):
            lanes = part.lanes * 2 if part.fork == "adapt" else part.lanes
            items += [item for lane in lanes for item in at_the_end(lane)]
    return items


@settings(
    deadline=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@pytest.mark.slow
@given(chains(), st.integers(0, 9), st.integers(0, 2**32), st.sampled_from([1, 2, 5, 100]))
def test_ordered_joins_give_what_plain_recursion_gives(
    chain: Chain, n_items: int, seed: int, most: int
) -> None:
    random = Random(seed)
    world = World(compiled(*rows(chain)), slices=lambda: random.randint(1, most))
    items: list[Item] = [(number,) for number in range(n_items)]
    expected = [output for item in items for output in of_item(chain, item)] + at_the_end(chain)

    assert trails(world.shuffle(items, random)) == expected
    assert trails(world.run(items, random.randrange)) == expected, (
        "in the second run of the same workers"
    )
    assert trails(world.shuffle(items, random)) == expected


def labelled(label: str) -> Processor[object, object]:
    def job(item: object) -> object:
        return label, item

    return Processor(job, name=label)


def test_what_an_item_became_comes_by_lane_and_then_as_it_was_made() -> None:
    rows: list[list[Stage]] = [
        [ReplicatingFork(2)],
        [labelled("a"), FlatMap(repeated)],
        [Pipe(1), labelled("b")],
    ]
    out = World(compiled(*rows, [Join(2, ordered=True)])).shuffle(range(3), Random(0))

    assert out == [("a", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 2)]


@pytest.mark.parametrize("capacity", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_lanes_that_drop_do_not_starve_a_tight_join(capacity: int, seed: int) -> None:
    rows: list[list[Stage]] = [
        [BalancingFork(3)],
        [Processor(only_even) for _ in range(3)],
        [Pipe(capacity) for _ in range(3)],
    ]
    out = World(compiled(*rows, [Join(3, ordered=True)])).shuffle(range(40), Random(seed))

    assert out == list(range(0, 40, 2))


# ---------------------------------------------------------------------------------------- the inlet

Entry: TypeAlias = tuple[Any, ...]  # an item or a mark, and its stamps as pairs of origin and last


def entries(*given: Entry) -> Entries:
    """A slice in a lane."""
    columns = zip(*[stamps(*pairs) for _, *pairs in given], strict=True)
    items = [item for item, *_ in given]
    return Entries(items, tuple(map(list, columns)), MARK in items)


def stamps(*pairs: Any) -> list[int]:
    return [2 * origin + last for origin, last in zip(pairs[::2], pairs[1::2], strict=True)]


def told(slice_: list[object]) -> list[Entry]:
    """What a slice in a lane says of each of its entries."""
    assert isinstance(slice_, Entries)
    assert slice_.has_marks or MARK not in slice_
    rows = zip(*slice_.stamps, strict=True)
    pairs = [[part for stamp in row for part in (stamp >> 1, bool(stamp & 1))] for row in rows]
    return [(item, *row) for item, row in zip(slice_, pairs, strict=True)]


def lane(*items: Entry, ended: bool = True) -> MemoryChannel:
    channel = MemoryChannel(100)
    channel.start(1)
    if items:
        channel.publish(len(items), entries(*items), Tag(1, 1, 0, 0, 0, 1))
    if ended:
        channel.close(1)
    return channel


END = FINISH >> 1


def all_of(inlet: OrderedInlet, most: int = 9) -> list[object]:
    """What an inlet gives, slice after slice."""
    seen: list[object] = []
    while inlet.pending():
        items = inlet.peek(most)
        seen += opened(items)
        inlet.commit(inlet.position(len(items)))
    return seen


def test_an_inlet_waits_for_the_origin_whose_turn_it_is() -> None:
    early, late = lane(("b", 1, True)), lane(ended=False)
    inlet = OrderedInlet([early, late], balanced=True)

    assert not inlet.pending()
    assert not inlet.ended()
    late.publish(1, entries(("a", 0, True)), Tag(1, 1, 0, 0, 0, 1))
    late.close(1)
    assert inlet.pending()
    assert inlet.peek(9) == ["a", "b"]
    assert (inlet.head, inlet.position(0), inlet.position(1), inlet.position(2)) == (0, 0, 1, 2)
    inlet.commit(inlet.position(1))
    assert (early.head, late.head, inlet.head) == (0, 1, 1)
    inlet.commit(inlet.position(1))
    assert inlet.ended()


def test_marks_are_taken_away_and_never_seen() -> None:
    one, other = (
        lane((MARK, 0, True), ("c", 2, True)),
        lane((MARK, 1, True), (MARK, 3, True)),
    )
    inlet = OrderedInlet([one, other], balanced=True)

    assert all_of(inlet) == ["c"]
    assert inlet.head == 4
    assert (one.queued(), other.queued()) == (0, 0)


def test_a_position_counts_the_marks_before_an_item() -> None:
    inlet = OrderedInlet([lane(("a", 0, True), (MARK, 1, True), ("c", 2, True))], balanced=True)

    assert inlet.peek(9) == ["a", "c"]
    assert [inlet.position(n) for n in range(3)] == [0, 1, 3]
    inlet.commit(1)
    assert inlet.position(1) == 3


def test_a_mark_that_is_the_last_of_an_outer_origin_is_given_on() -> None:
    inlet = OrderedInlet(
        [lane((MARK, 4, False, 0, True), (MARK, 4, True, 1, True), ("c", 5, True, 2, True))],
        balanced=True,
    )

    assert told(inlet.peek(9)) == [(MARK, 4, True), ("c", 5, True)]
    assert inlet.position(1) == 2


def test_behind_a_fork_to_all_lanes_an_outer_origin_ends_in_the_last() -> None:
    one = lane(("a", 4, True, 0, True), ("b", 5, True, 1, True))
    other = lane(("c", 4, True, 0, True), ("d", 5, False, 1, False), ("e", 5, True, 1, True))
    inlet = OrderedInlet([one, other], balanced=False)

    assert told(inlet.peek(9)) == [
        ("a", 4, False),
        ("c", 4, True),
        ("b", 5, False),
        ("d", 5, False),
        ("e", 5, True),
    ]


class Lane:
    """A lane, of whose entries `there` have come so far; it gives a column as a range where that
    can be, as a ring does."""

    def __init__(self, given: Sequence[Entry]) -> None:
        self.given = given
        self.there = 0
        self.head = 0

    def start(self, run: int) -> None: ...

    def pending(self) -> bool:
        return self.head < self.there

    def ended(self) -> bool:
        return self.head == len(self.given)

    def peek(self, n: int) -> list[object]:
        part = entries(*self.given[self.head : min(self.head + n, self.there)])
        whole = min(map(run_length, part.stamps))
        part = part.part(0, whole)
        part.stamps = tuple(map(as_range, part.stamps))
        return part

    def look(self, n: int) -> list[object]:
        return self.peek(n)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        assert self.head <= upto <= self.there
        self.head = upto


def run_length(column: Column) -> int:
    """How far it is one run."""
    pairs = enumerate(pairwise(column), 1)
    breaks = (place for place, (one, other) in pairs if next_origin(one) != other >> 1)
    return next(breaks, len(column))


def as_range(column: Column) -> Column:
    regular = run_of(column[0] >> 1, len(column))
    return regular if list(regular) == list(column) else column


def test_lanes_whose_origins_have_one_entry_each_are_interleaved() -> None:
    width = 3
    lanes = [
        Lane([(MARK if (name, at) == ("b", 0) else f"{name}{at}", at, True) for at in range(9)])
        for name in "abc"
    ]
    for each in lanes:
        each.there = 9
    inlet = OrderedInlet(lanes, balanced=False)

    assert inlet.peek(9) == ["a0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]
    for committed in (1, 5, 6, 10):  # wherever a commit cuts a round
        inlet.commit(committed)
        full, more = divmod(committed, width)
        assert [each.head for each in lanes] == [full + (at < more) for at in range(width)]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_what_came_of_an_origin_in_one_lane_comes_together_and_can_be_committed_in_parts(
    step: int,
) -> None:
    one = Lane([("a", 0, False), ("b", 0, True), ("c", 1, True), ("d", 2, True)])
    other = Lane([("x", 0, True), ("y", 1, False), ("z", 1, True), (MARK, 2, True)])
    one.there = other.there = 4
    note = Note([0] * words_of_ordered(2))
    inlet = OrderedInlet([one, other], False, note)
    there = ["a", "b", "x", "c", "y", "z", "d", MARK]

    assert inlet.peek(9) == there[:-1]
    for committed in [*range(step, 8, step), 8]:
        inlet.commit(committed)
        assert one.head == sum(item in ("a", "b", "c", "d") for item in there[:committed])
        assert one.head + other.head == committed
        if committed < 7:  # to look at a mark alone takes it away
            again = OrderedInlet([one, other], False, note)
            again.start(1)
            assert again.peek(9) == there[committed:-1]


@dataclass
class Fork:
    """What a fork gave to its lanes, what came of it there, and what its ordered join gives."""

    balanced: bool
    lanes: list[list[Entry]]
    joined: list[Entry]


@st.composite
def forks(draw: st.DrawFn) -> Fork:
    """Runs of origins to one lane each, or all origins to all lanes, inside of another such
    fork."""
    width, balanced = draw(st.integers(1, 3)), draw(st.booleans())
    times = st.sampled_from([1] * 8 + [0, 2, 3]) if draw(st.booleans()) else st.just(1)
    lanes: list[list[Entry]] = [[] for _ in range(width)]
    joined: list[Entry] = []
    outer = draw(st.integers(0, 5))
    origin = 0
    for run in draw(st.lists(st.integers(1, 6), max_size=5)):
        chosen = [draw(st.integers(0, width - 1))] if balanced else range(width)
        for _ in range(run):
            last = draw(st.integers(0, 3)) > 0
            for at in chosen:
                n = draw(times)
                is_last = last and (balanced or at == width - 1)
                for number in range(max(n, 1)):
                    item = (origin, at, number) if n else MARK
                    ends = number + 1 >= n
                    lanes[at].append((item, outer, last and ends, origin, ends))
                    if n or is_last:
                        joined.append((item, outer, is_last and ends))
            outer += last
            origin += 1
    for at, each in enumerate(lanes):
        for number in range(draw(st.integers(0, 2))):
            each.append((("end", at, number), END, False, END, False))
            joined.append((("end", at, number), END, False))
    return Fork(balanced, lanes, joined)


@given(forks(), st.booleans(), st.randoms(use_true_random=False))
def test_a_join_gives_what_its_fork_took_in_any_slices_and_after_any_deaths(
    fork: Fork, is_inside: bool, random: Random
) -> None:
    lanes = [
        Lane([(entry[0], *entry[1 if is_inside else 3 :]) for entry in each]) for each in fork.lanes
    ]
    note = Note([0] * words_of_ordered(len(lanes)))
    inlet = OrderedInlet(lanes, fork.balanced, note)
    seen: list[Entry] = []
    while not inlet.ended():
        for each in lanes:
            each.there = random.randint(each.there, len(each.given))
        if random.random() < 0.2:
            inlet = OrderedInlet(lanes, fork.balanced, note)
            inlet.start(1)
        if inlet.pending():
            most = random.randint(1, 9)
            items = inlet.peek(most)
            assert 0 < len(items) <= most
            parts = sorted({random.randint(1, len(items)) for _ in range(2)})
            seen += (told(items) if is_inside else [(item,) for item in items])[: parts[-1]]
            for before, done in pairwise([0, *parts]):
                inlet.commit(inlet.position(done - before))

    if is_inside:
        assert seen == fork.joined
    else:
        assert seen == [(item,) for item, *_ in fork.joined if item is not MARK]
    assert all(each.ended() for each in lanes)


def test_a_slice_of_an_inlet_is_uniform() -> None:
    one, other = lane(("a", 0, True), ("b", 2, True)), lane((seal([1]), 1, True))
    for balanced in (True, False):
        inlet = OrderedInlet([one, other], balanced)
        seen: list[object] = []
        while inlet.pending():
            items = inlet.peek(9)
            assert len({type(item) is Sealed for item in items}) == 1
            seen += opened(items)
            inlet.commit(inlet.position(len(items)))
        if balanced:
            assert seen == ["a", [1], "b"]


def test_what_came_at_the_end_waits_until_all_lanes_are_at_their_end() -> None:
    one, other = lane(("z", END, False)), lane(ended=False)
    inlet = OrderedInlet([one, other], balanced=True)

    assert not inlet.pending()
    other.publish(2, entries(("a", 0, True), ("y", END, False)), Tag(1, 1, 0, 0, 0, 1))
    assert inlet.peek(9)[0] == "a"
    assert all_of(inlet) == ["a", "z", "y"]


# ---------------------------------------------------------------------------------------- the nodes


def tracked(fn: Any, kind: type[Any] = Processor, depth: int = 1, **options: Any) -> TrackedNode:
    return TrackedNode(node_for(kind(fn, **options), "stage", print), depth)


def test_each_output_has_the_stamp_of_its_item_and_the_last_says_so() -> None:
    node = tracked(repeated, FlatMap, depth=2)
    items = entries((2, 5, True, 7, True), (0, 5, True, 8, False), (MARK, 9, True, 9, True))
    ((out, done, extra),) = node(items, 0, 9)

    assert told(out) == [
        (2, 5, False, 7, False),
        (2, 5, True, 7, True),
        (MARK, 5, True, 8, False),
        (MARK, 9, True, 9, True),
    ]
    assert (done, extra) == (3, 0)


def test_outputs_that_can_change_are_sealed_among_marks() -> None:
    def job(item: list[int]) -> list[int] | None:
        return [*item, 0] if item else None

    items = entries((MARK, 3, True), (seal([1]), 4, True), (seal([]), 5, True), (MARK, 6, True))
    ((out, _, _),) = tracked(job)(items, 0, 9)

    assert [each if each is MARK else type(each).__name__ for each in out][::3] == [MARK, MARK]
    assert list(opened(items_of(out))) == [[1, 0]]
    assert [origin for _, origin, _ in told(out)] == [3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["operators", "any code", "a filter"])
def test_what_drops_items_leaves_marks_in_their_places(kind: str) -> None:
    def operators(item: int) -> int | None:
        return item if item % 3 else None

    def any_code(item: int) -> int | None:
        return int(item) if item % 3 else None

    def a_filter(item: int) -> int:
        return item % 3

    node = {
        "operators": tracked(operators),
        "any code": tracked(any_code),
        "a filter": tracked(a_filter, Filter),
    }[kind]
    for _ in range(2):  # nothing of a slice shows in the next
        ((out, done, extra),) = node(Entries(range(1, 8), (run_of(4, 7),)), 0, 9)

        assert out == [1, 2, MARK, 4, 5, MARK, 7]
        assert told(out) == [(item, origin, True) for origin, item in enumerate(out, 4)]
        assert (done, extra) == (7, 0)
        ((out, _, _),) = node(Entries([1, 2], (run_of(11, 2),)), 0, 9)
        assert told(out) == [(1, 11, True), (2, 12, True)]
    assert (node.tally.items_in, node.tally.passed, node.tally.dropped) == (18, 14, 4)


@pytest.mark.parametrize("kind", [Processor, Filter, FlatMap])
def test_an_item_among_marks_has_the_place_that_its_entry_has(kind: type[Any]) -> None:
    seen: list[str] = []

    def job(item: int) -> Any:
        assert isinstance(CURRENT.job, JobNode)
        seen.append(CURRENT.job.context().item_id)
        return [item]

    def place(index: int) -> tuple[int, int]:
        return 0, 100 + index

    around = Surroundings(place=place)
    node = TrackedNode(node_for(kind(job), "stage", print, around), 1)
    given = entries((MARK, 0, True), (1, 1, True), (MARK, 2, True), (2, 3, True))

    list(node(given, 0, 9))
    assert seen == ["stage:0:101", "stage:0:103"]


def test_neighbours_in_one_worker_keep_the_marks_between_them() -> None:
    def job(fn: Any) -> JobNode:
        return node_for(Processor(fn), "stage", print, Surroundings(fused=True))

    def only_odd(item: int) -> int | None:
        return int(item) if item % 2 else None

    odd, small = job(only_odd), job(below_four)
    begun: list[tuple[int, list[object]]] = []
    fused = FusedNode(odd, [small], lambda number, items: begun.append((number, list(items))))
    ((out, done, _),) = TrackedNode(fused, 1)(Entries(range(6), (run_of(3, 6),)), 0, 9)

    assert told(out) == [
        (item, origin, True) for origin, item in enumerate([MARK, 1, MARK, 3, MARK, MARK], 3)
    ]
    assert done == 6
    assert begun == [(0, [*range(6)]), (1, [MARK, 1, MARK, 3, MARK, 5])]
    assert (odd.tally.dropped, small.tally.items_in, small.tally.dropped) == (3, 3, 1)


def below_four(item: int) -> int | None:
    return item if item < 4 else None


def test_what_only_passes_items_on_counts_no_marks() -> None:
    stage: Any = Throttle(5, per_s=1)
    node = TrackedNode(node_for(stage, "stage", print), 1)
    ((out, _, _),) = node(entries((MARK, 0, True), (1, 1, True)), 0, 9)

    assert told(out) == [(MARK, 0, True), (1, 1, True)]
    assert (node.tally.items_in, node.tally.items_out) == (1, 1)


def test_an_item_that_is_skipped_leaves_one_mark() -> None:
    def refuse(item: object) -> object:
        raise ValueError(item)

    pieces = tracked(refuse, on_error="skip", retries=1)(entries((1, 0, True), (2, 1, True)), 0, 9)

    assert [entry for out, _, _ in pieces for entry in told(out)] == [
        (MARK, 0, True),
        (MARK, 1, True),
    ]


def test_pieces_of_tracked_items_say_how_far_they_came() -> None:
    node = tracked(repeated, FlatMap)
    pieces = list(node(entries((1, 0, True), (3, 1, True), (2, 2, True)), 0, 2))

    assert [(len(out), done, extra) for out, done, extra in pieces] == [
        (1, 1, 0),
        (2, 1, 2),
        (1, 2, 0),
        (2, 3, 0),
    ]


@given(st.lists(st.integers(-1, 6), min_size=1, max_size=6), st.integers(1, 5))
def test_tracked_outputs_are_cut_as_if_each_item_had_come_alone_and_counted_with_their_piece(
    items: list[int], limit: int
) -> None:
    node, alone = tracked(repeated, FlatMap), tracked(repeated, FlatMap)
    given = [(MARK if item < 0 else item, index, True) for index, item in enumerate(items)]

    cuts = [told(out) for item in given for out, _, _ in alone(entries(item), 0, limit) if out]
    left = list(cuts)
    for out, done, extra in node(entries(*given), 0, limit):
        assert len(out) <= limit
        record: list[Entry] = []
        while left and len(record) < len(out):
            record += left.pop(0)
        assert told(out) == record
        assert node.tally.done == sum(item >= 0 for item in items[:done])
        assert node.tally.items_out == sum(
            item is not MARK for cut in cuts[: len(cuts) - len(left)] for item, *_ in cut
        )
        assert not extra or node.tally.in_hand
    assert not left


def test_a_tracked_item_that_fails_ends_the_run_behind_what_was_given() -> None:
    def job(item: int) -> int:
        return 1 // item

    pieces = iter(tracked(job)(entries((MARK, 0, True), (1, 1, True), (0, 2, True)), 0, 9))

    out, done, extra = next(pieces)
    assert (told(out), done, extra) == ([(MARK, 0, True), (1, 1, True)], 2, 0)
    with pytest.raises(ItemFailed):
        next(pieces)


def test_a_stamp_counts_what_the_fork_has_taken() -> None:
    there = 10
    stage: Any = Processor(double)
    node = StampNode(node_for(stage, "stage", print), lambda: there)
    ((out, done, extra),) = node([1, 2], 0, 9)

    assert (told(out), done, extra) == ([(2, 10, True), (4, 11, True)], 2, 0)


def test_a_stamp_inside_goes_behind_those_outside() -> None:
    node = StampNode(tracked(double), lambda: 3)
    ((out, _, _),) = node(entries((2, 8, True)), 0, 9)

    assert told(out) == [(4, 8, True, 3, True)]


class WatchedLane(MemoryChannel):
    """A lane that notes how often its entries are looked at, and knows its front without that."""

    looked_at = 0

    def front(self) -> int:
        (first,) = super().peek(1)
        assert isinstance(first, str)
        return 2 * int(first) + 1

    def peek(self, n: int) -> list[object]:
        self.looked_at += 1
        return super().peek(n)


def test_a_lane_is_not_looked_at_before_its_turn_has_come() -> None:
    early, late = WatchedLane(9), WatchedLane(9)
    inlet = OrderedInlet([early, late], balanced=True)
    inlet.start(1)
    late.publish(2, Entries(["2", "3"], (run_of(2, 2),)), Tag(1, 1, 0, 0, 0, 1))
    assert not inlet.pending()
    assert (early.looked_at, late.looked_at) == (0, 0)

    early.publish(2, Entries(["0", "1"], (run_of(0, 2),)), Tag(1, 2, 0, 0, 0, 1))
    assert inlet.peek(2) == ["0", "1"]
    assert (early.looked_at > 0, late.looked_at) == (True, 0)
    assert inlet.peek(9) == ["0", "1", "2", "3"]


@given(st.integers(0, 99), st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_the_stamps_of_groups_are_those_of_each_of_their_entries(
    origin: int, sizes: list[int], data: st.DataObject
) -> None:
    stamps: list[int] = []
    for number, size in enumerate(sizes, origin):
        stamps += [2 * number] * (size - 1) + [2 * number + 1]
    column = Groups(origin, [*accumulate(sizes)])
    start = data.draw(st.integers(0, len(stamps)))
    stop = data.draw(st.integers(start, len(stamps)))

    assert (len(column), [*column]) == (len(stamps), stamps)
    assert [column[at] for at in range(-len(stamps), len(stamps))] == stamps * 2
    assert [*column[start:stop]] == stamps[start:stop]
    assert [[*each] for each in appended((column[:start],), (column[start:],))] == [stamps]
    behind = Groups(origin + len(sizes), [2, 3])
    (whole,) = appended((column,), (behind,))
    assert isinstance(whole, Groups)
    assert [*whole] == [*column, *behind]
