"""The drive loop: what it asks, in which order it acts, what its tags say, and where it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from conveyor.core.channel import Tag
from conveyor.core.drive import BrokenNode, Drive, DriveSpec, drive
from conveyor.core.job_node import Node, Piece
from conveyor.core.nodes import CollectNode, RelayNode, node_for
from conveyor.core.requests import ALL_ENDED, ChooseInput, ChooseLane, WaitForItems, WaitForRoom
from conveyor.core.snapshots import RestoredNode, Saved
from conveyor.graph.route import Balance, Leaf, Replicate, Route
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import FlatMap, Processor
from tests.core.world import Slices
from tests.jobs import Total, double, only_even, repeated

BOTH = Replicate("fork", (Leaf(0), Leaf(1)))
EITHER = Balance("fork", (Leaf(0), Leaf(1)))


class Recorded(MemoryChannel):
    """A channel that tells what is done to it, in a log that all share."""

    __slots__ = ("log", "name")

    def __init__(self, name: str, log: list[str], capacity: int = 100) -> None:
        super().__init__(capacity)
        self.name = name
        self.log = log

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        super().publish(n, blob, tag)
        self.log.append(f"{self.name} {blob} {tuple(tag)[1:]}")

    def commit(self, upto: int) -> None:
        super().commit(upto)
        self.log.append(f"{self.name} done {upto}")

    def close(self, run: int) -> None:
        super().close(run)
        self.log.append(f"{self.name} end")


class Bench:
    """One worker between channels."""

    def __init__(self, *inputs: Sequence[object], outputs: int = 1, capacity: int = 100) -> None:
        self.log: list[str] = []
        self.inlets = [Recorded(f"in{number}", self.log) for number in range(len(inputs))]
        self.outlets = [Recorded(f"out{number}", self.log, capacity) for number in range(outputs)]
        for inlet, items in zip(self.inlets, inputs, strict=True):
            if items:
                inlet.publish(len(items), list(items), Tag(1, 1, 0, 0, 0, 1))
            inlet.close(1)
        self.log.clear()

    def loop(
        self, node: Node, route: Route | None = None, n: int = 1, run: int = 1
    ) -> Drive[list[object]]:
        driven = DriveSpec(node, self.inlets, self.outlets, route or Leaf(0), "join")
        return drive(run, driven, Slices(lambda: n))

    def run(
        self, node: Node, route: Route | None = None, n: int = 1, answers: Sequence[int] = ()
    ) -> list[str]:
        """Steps the loop to its end, and tells what it did."""
        loop = self.loop(node, route, n)
        left = list(answers)
        answer: int | None = None
        try:
            while True:
                request = loop.send(answer) if answer is not None else next(loop)
                assert isinstance(request, ChooseInput | ChooseLane), (
                    "nothing else has to be waited for here"
                )
                answer = left.pop(0)
        except StopIteration:
            assert not left
        return self.log


def made(fn: Callable[[Any], Any]) -> Node:
    return node_for(Processor(fn), "stage", print)


def total() -> Node:
    stage: Any = Total()
    return node_for(stage, "stage", print)


def many(fn: Callable[[Any], Any] = repeated) -> Node:
    return node_for(FlatMap(fn), "stage", print)


# --------------------------------------------------------------------------- stores and their order


def test_items_are_committed_after_what_came_of_them_was_published() -> None:
    assert Bench([1, 2, 3]).run(made(double), n=2) == [
        "out0 [2, 4] (1, 0, 2, 0, 1)",
        "in0 done 2",
        "out0 [6] (2, 0, 3, 0, 1)",
        "in0 done 3",
        "out0 end",
    ]


def test_an_item_that_gives_nothing_is_committed_without_a_record() -> None:
    assert Bench([1, 2]).run(made(only_even)) == [
        "in0 done 1",
        "out0 [2] (1, 0, 2, 0, 1)",
        "in0 done 2",
        "out0 end",
    ]


def test_a_record_goes_to_all_lanes_of_a_replicate_under_one_tag() -> None:
    assert Bench([1], outputs=2).run(made(double), BOTH) == [
        "out0 [2] (1, 0, 1, 0, 3)",
        "out1 [2] (1, 0, 1, 0, 3)",
        "in0 done 1",
        "out0 end",
        "out1 end",
    ]


def test_a_record_goes_to_the_lane_that_was_chosen() -> None:
    assert Bench([1, 2, 3], outputs=2).run(made(double), EITHER, answers=[1, 1, 0])[:-2] == [
        "out1 [2] (1, 0, 1, 0, 2)",
        "in0 done 1",
        "out1 [4] (2, 0, 2, 0, 2)",
        "in0 done 2",
        "out0 [6] (3, 0, 3, 0, 1)",
        "in0 done 3",
    ]


def test_the_end_of_a_run_is_tagged_as_the_input_behind_the_last() -> None:
    assert Bench([1, 2], [3]).run(total(), answers=[0, 1, 0, ALL_ENDED]) == [
        "in0 done 1",
        "in1 done 1",
        "in0 done 2",
        "out0 [6] (1, 2, 0, 1, 1)",
        "out0 end",
    ]


def test_the_sink_has_nothing_behind_it() -> None:
    bench = Bench([1, 2, 3], outputs=0)
    results: list[object] = []
    sink = DriveSpec(CollectNode(results.extend), bench.inlets, bench.outlets, None)
    loop = drive(1, sink, Slices(lambda: 2))

    assert list(loop) == []
    assert results == [1, 2, 3]
    assert bench.log == ["in0 done 2", "in0 done 3"]


class KeepsTheLastItem(RelayNode):
    """Finishes all items of a slice but its last, and hopes to see that one again."""

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return ((items[:-1], len(items) - 1, 0),)


class GivesNoPiece(RelayNode):
    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return ()


def test_a_node_that_does_not_finish_its_slice_is_told_so() -> None:
    bench = Bench([1, 2, 3])

    with pytest.raises(BrokenNode, match=r"KeepsTheLastItem finished 2 of the 3 items of a slice"):
        list(bench.loop(KeepsTheLastItem(), n=3))
    assert bench.log == ["out0 [1, 2] (1, 0, 2, 0, 1)", "in0 done 2"]


def test_a_node_that_gives_no_piece_for_a_slice_is_told_so() -> None:
    with pytest.raises(BrokenNode, match="GivesNoPiece finished 0 of the 1 items"):
        list(Bench([1]).loop(GivesNoPiece()))


def test_a_restored_node_that_does_not_finish_its_slice_is_told_so() -> None:
    bench = Bench([1, 2])
    restored = RestoredNode(NoState())
    node = restored.around(KeepsTheLastItem())
    driven = DriveSpec(node, bench.inlets, bench.outlets, Leaf(0), restored=restored)

    with pytest.raises(BrokenNode, match="finished 1 of the 2 items"):
        list(drive(1, driven, Slices(lambda: 2)))


class NoState:
    """Keeps nothing: what was saved is asked for by no other worker."""

    def newest(self) -> None:
        return None

    def save(self, saved: Saved) -> None:
        pass


# ------------------------------------------------------------------------------------- what it asks


def test_it_waits_for_an_item_and_then_for_room() -> None:
    bench = Bench([], capacity=1)
    bench.inlets[0].close(0)
    loop = bench.loop(made(double))

    assert isinstance(next(loop), WaitForItems)
    bench.inlets[0].publish(2, [1, 2], Tag(1, 1, 0, 0, 0, 1))
    bench.inlets[0].close(1)
    full = next(loop)
    assert isinstance(full, WaitForRoom)
    assert not full.ready()
    bench.outlets[0].commit(1)
    assert full.ready()
    assert list(loop) == []
    assert bench.outlets[0].items == [2, 4]


def test_no_copy_goes_out_before_there_is_room_in_every_lane() -> None:
    bench = Bench([1, 2], outputs=2, capacity=1)
    loop = bench.loop(made(double), BOTH)
    next(loop)
    bench.outlets[0].commit(1)

    assert [outlet.tail for outlet in bench.outlets] == [1, 1]
    bench.outlets[1].commit(1)
    assert list(loop) == []
    assert [outlet.items for outlet in bench.outlets] == [[2, 4], [2, 4]]


def test_a_slice_is_never_larger_than_the_smallest_channel_behind() -> None:
    bench = Bench([1, 2, 3, 4, 5], outputs=2)
    bench.outlets[1].capacity = 2
    next(bench.loop(made(double), BOTH, n=100))

    assert bench.outlets[0].items == [2, 4]


def test_half_an_item_out_pins_the_merge() -> None:
    bench = Bench([3], [1], capacity=2)
    loop = bench.loop(many(), n=5)

    assert isinstance(next(loop), ChooseInput)
    assert isinstance(loop.send(0), WaitForRoom)
    assert bench.log == ["out0 [3, 3] (1, 0, 0, 2, 1)"]
    again = bench.loop(many(), n=5)  # the worker died, and another comes in its place
    assert isinstance(next(again), WaitForRoom), "it may not ask which input to read"
    bench.outlets[0].commit(2)
    assert isinstance(next(again), ChooseInput)
    assert bench.log[1:] == ["out0 done 2", "out0 [3] (2, 0, 1, 0, 1)", "in0 done 1"]


# --------------------------------------------------------------------------------- where it goes on


def test_a_copy_that_is_missing_is_made_from_one_that_is_there() -> None:
    bench = Bench([1, 2], outputs=3)
    bench.outlets[1].publish(1, ["precious"], Tag(1, 7, 0, 1, 0, 0b110))
    bench.log.clear()
    route = Replicate("fork", (Leaf(0), Leaf(1), Leaf(2)))

    assert bench.run(made(double), route)[:5] == [
        "out2 ['precious'] (7, 0, 1, 0, 6)",
        "in0 done 1",
        "out0 [4] (8, 0, 2, 0, 7)",
        "out1 [4] (8, 0, 2, 0, 7)",
        "out2 [4] (8, 0, 2, 0, 7)",
    ]


def test_an_item_that_ended_without_another_output_is_not_begun_again() -> None:
    bench = Bench([2, 2])
    bench.outlets[0].publish(
        2, [2, 2], Tag(1, 1, 0, 0, 2, 1)
    )  # all of the first item, not yet known to be all
    bench.inlets[0].commit(1)
    bench.log.clear()

    assert bench.run(many()) == ["out0 [2, 2] (2, 0, 2, 0, 1)", "in0 done 2", "out0 end"]


def test_finish_goes_on_where_it_was() -> None:
    bench = Bench([1], [2])
    bench.inlets[0].commit(1)
    bench.inlets[1].commit(1)
    bench.outlets[0].publish(1, [3], Tag(1, 4, 2, 0, 1, 1))
    bench.log.clear()

    assert bench.run(total()) == ["out0 end"]


def test_tags_of_a_run_that_ended_count_on_and_say_nothing_else() -> None:
    bench = Bench([1, 2])
    bench.run(made(double))
    bench.log.clear()
    bench.inlets[0].publish(1, [3], Tag(2, 2, 0, 0, 0, 1))
    bench.inlets[0].close(2)

    assert list(bench.loop(made(double), run=2)) == []
    assert bench.log[2:] == ["out0 [6] (3, 0, 3, 0, 1)", "in0 done 3", "out0 end"]
    assert bench.outlets[0].tag == Tag(2, 3, 0, 3, 0, 1)


def test_a_relay_is_driven_like_any_other() -> None:
    assert Bench(["a"], ["b"]).run(RelayNode(), answers=[1, 0, ALL_ENDED]) == [
        "out0 ['b'] (1, 1, 1, 0, 1)",
        "in1 done 1",
        "out0 ['a'] (2, 0, 1, 0, 1)",
        "in0 done 1",
        "out0 end",
    ]


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_worker_that_did_everything_but_raise_the_end_raises_it(kept: int) -> None:
    bench = Bench([1, 2], outputs=2)
    bench.run(made(double), BOTH)
    for outlet in bench.outlets[kept:]:
        outlet.closed = 0
    bench.log.clear()

    assert bench.run(made(double), BOTH) == ["out0 end", "out1 end"]
