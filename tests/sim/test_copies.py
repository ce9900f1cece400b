"""With `copy=False` items go on as they are: quicker, and what one lane changes another may see."""

from __future__ import annotations

from typing import Any

from conveyor import Join, Pipe, Processor, ReplicatingFork
from conveyor.graph.topology import Topology
from conveyor.sim.search.api import explored, simulated
from conveyor.sim.search.options import SearchOptions
from tests.core.world import compiled


class Bag:
    """An item that can be changed, and is no plain list."""

    def __init__(self) -> None:
        self.marks: list[str] = []


def mark(bag: Bag) -> Bag:
    bag.marks.append("seen")
    return bag


def marks(bag: Bag) -> int:
    return len(bag.marks)


def marked_by_one_lane() -> Topology:
    return compiled(
        (ReplicatingFork(2),),
        (Processor(mark), Pipe()),
        (Processor(marks), Processor(marks)),
        (Join(2),),
    )


def test_each_lane_has_a_copy_of_its_own() -> None:
    given = Bag()

    assert sorted(map(str, simulated(marked_by_one_lane(), [given], 0, None, None))) == ["0", "1"]
    assert given.marks == []


def test_without_copies_what_one_lane_changes_another_sees() -> None:
    given = Bag()

    assert simulated(marked_by_one_lane(), [given], 0, None, None, copy=False) == [1, 1]
    assert given.marks == ["seen"]


def test_without_copies_an_item_need_not_be_picklable() -> None:
    def same(item: Any) -> Any:
        return item

    items = [lambda: 1, lambda: 2]

    assert simulated(compiled((Processor(same),)), items, 0, None, None, copy=False) == items


def test_a_search_without_copies_says_that_a_job_changes_its_item() -> None:
    found = explored(
        marked_by_one_lane(),
        [Bag()],
        None,
        SearchOptions(
            strategy="random",
            schedules=5,
            expired=lambda: False,
            seed=0,
            faults=None,
            copy=False,
        ),
    )

    assert found.failure is not None
    assert "mark" in str(found.failure.error)
