"""An ordered join gives back the order of its fork, whatever its lanes drop, multiply, or give at
the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.core.channel import Tag
from conveyor.core.job_node import ItemFailed
from conveyor.core.nodes import node_for
from conveyor.core.ordered import FINISH, MARK, SEALED, VALUE, OrderedInlet, StampNode, TrackedNode
from conveyor.items.sealing import Sealed, seal
from conveyor.items.slices import opened
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import (
    BalancingFork,
    FlatMap,
    Join,
    OnError,
    Pipe,
    Processor,
    ReplicatingFork,
    Stage,
)
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


def lane(*items: tuple[Any, ...], ended: bool = True) -> MemoryChannel:
    channel = MemoryChannel(100)
    channel.start(1)
    if items:
        channel.publish(len(items), list(items), Tag(1, 1, 0, 0, 0, 1))
    if ended:
        channel.close(1)
    return channel


def test_an_inlet_waits_for_the_origin_whose_turn_it_is() -> None:
    early, late = lane((VALUE, "b", 1, True)), lane(ended=False)
    inlet = OrderedInlet([early, late], balanced=True, depth=0)

    assert not inlet.pending()
    assert not inlet.ended()
    late.publish(1, [(VALUE, "a", 0, True)], Tag(1, 1, 0, 0, 0, 1))
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
        lane((MARK, None, 0, True), (VALUE, "c", 2, True)),
        lane((MARK, None, 1, True), (MARK, None, 3, True)),
    )
    inlet = OrderedInlet([one, other], balanced=True, depth=0)

    assert inlet.peek(9) == ["c"]
    assert inlet.position(1) == 3
    inlet.commit(3)
    assert not inlet.pending()
    assert (one.queued(), other.queued()) == (0, 0)


def test_a_slice_of_an_inlet_is_uniform() -> None:
    data = seal([1]).data
    inlet = OrderedInlet(
        [lane((VALUE, "a", 0, True), (SEALED, data, 1, True), (VALUE, "b", 2, True))],
        balanced=True,
        depth=0,
    )
    seen: list[object] = []
    while inlet.pending():
        items = inlet.peek(9)
        assert len({type(item) is Sealed for item in items}) == 1
        seen += opened(items)
        inlet.commit(inlet.position(len(items)))

    assert seen == ["a", [1], "b"]


def test_what_came_at_the_end_waits_until_all_lanes_are_at_their_end() -> None:
    one, other = lane((VALUE, "z", FINISH, False)), lane(ended=False)
    inlet = OrderedInlet([one, other], balanced=True, depth=0)

    assert not inlet.pending()
    other.publish(2, [(VALUE, "a", 0, True), (VALUE, "y", FINISH, False)], Tag(1, 1, 0, 0, 0, 1))
    assert inlet.peek(9)[0] == "a"
    seen: list[object] = []
    while inlet.pending():
        items = inlet.peek(9)
        seen += items
        inlet.commit(inlet.position(len(items)))
    assert seen == ["a", "z", "y"]


# ---------------------------------------------------------------------------------------- the nodes


def tracked(fn: Any, kind: type[Any] = Processor, depth: int = 1, **options: Any) -> TrackedNode:
    return TrackedNode(node_for(kind(fn, **options), "stage", print), depth)


def test_each_output_has_the_stamp_of_its_item_and_the_last_says_so() -> None:
    node = tracked(repeated, FlatMap, depth=2)
    items: list[object] = [
        (VALUE, 2, 5, True, 7, True),
        (VALUE, 0, 5, True, 8, False),
        (MARK, None, 9, True, 9, True),
    ]
    ((out, done, extra),) = node(items, 0, 9)

    assert out == [
        (VALUE, 2, 5, False, 7, False),
        (VALUE, 2, 5, True, 7, True),
        (MARK, None, 5, True, 8, False),
        (MARK, None, 9, True, 9, True),
    ]
    assert (done, extra) == (3, 0)


def test_outputs_and_items_that_can_change_travel_as_bytes() -> None:
    def job(item: list[int]) -> list[int]:
        return [*item, 0]

    ((out, _, _),) = tracked(job)([(SEALED, seal([1]).data, 4, True)], 0, 9)

    assert out == [(SEALED, seal([1, 0]).data, 4, True)]


def test_an_item_that_is_skipped_leaves_one_mark() -> None:
    def refuse(item: object) -> object:
        raise ValueError(item)

    ((out, _, _),) = tracked(refuse, on_error="skip", retries=1)(
        [(VALUE, 1, 0, True), (VALUE, 2, 1, True)], 0, 9
    )

    assert out == [(MARK, None, 0, True), (MARK, None, 1, True)]


def test_pieces_of_tracked_items_say_how_far_they_came() -> None:
    node = tracked(repeated, FlatMap)
    pieces = list(node([(VALUE, 1, 0, True), (VALUE, 3, 1, True), (VALUE, 2, 2, True)], 0, 2))

    assert [(len(out), done, extra) for out, done, extra in pieces] == [
        (1, 1, 0),
        (2, 1, 2),
        (1, 2, 0),
        (2, 3, 0),
    ]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 5))
def test_tracked_outputs_are_cut_as_if_each_item_had_come_alone_and_counted_with_their_piece(
    items: list[int], limit: int
) -> None:
    node, alone = tracked(repeated, FlatMap), tracked(repeated, FlatMap)
    stamped: list[object] = [(VALUE, item, index, True) for index, item in enumerate(items)]

    cuts = [out for item in stamped for out, _, _ in alone([item], 0, limit) if out]
    left = list(cuts)
    for out, done, extra in node(stamped, 0, limit):
        assert len(out) <= limit
        record: list[object] = []
        while left and len(record) < len(out):
            record += left.pop(0)
        assert out == record
        assert node.tally.done == done
        assert node.tally.items_out == sum(
            item[0] == VALUE for cut in cuts[: len(cuts) - len(left)] for item in _parts(cut)
        )
        assert node.tally.in_hand == bool(extra)
    assert not left


def _parts(cut: list[object]) -> list[tuple[object, ...]]:
    return [item for item in cut if isinstance(item, tuple)]


def test_a_tracked_item_that_fails_ends_the_run_behind_what_was_given() -> None:
    def job(item: int) -> int:
        return 1 // item

    pieces = tracked(job)([(VALUE, 1, 0, True), (VALUE, 0, 1, True)], 0, 9)

    assert next(pieces) == ([(VALUE, 1, 0, True)], 1, 0)
    with pytest.raises(ItemFailed):
        next(pieces)


def test_a_stamp_counts_what_the_fork_has_taken() -> None:
    there = 10
    stage: Any = Processor(double)
    node = StampNode(node_for(stage, "stage", print), lambda: there, 0)
    ((out, done, extra),) = node([1, 2], 0, 9)

    assert (out, done, extra) == ([(VALUE, 2, 10, True), (VALUE, 4, 11, True)], 2, 0)


def test_a_stamp_inside_goes_behind_those_outside() -> None:
    node = StampNode(tracked(double), lambda: 3, 1)
    ((out, _, _),) = node([(VALUE, 2, 8, True)], 0, 9)

    assert out == [(VALUE, 4, 8, True, 3, True)]
