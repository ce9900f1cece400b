"""Several jobs one after the other in one worker, as one node.

Knows: that each of its nodes gives a slice for a slice.  Must never know: which jobs may be
together (`graph.fusion`), or why.

An item is as much by itself between two of them as it is between two workers: sealed as soon as a
job returns it.  Where nothing can tell the difference, all jobs run in one loop, item by item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from conveyor.core.job_node import ItemFailed, JobNode, Node, Piece
from conveyor.core.kernels import QuickLoop, quick_loop
from conveyor.core.nodes import MapNode
from conveyor.core.stamps import Entries, among, has_items, has_marks
from conveyor.items.sealing import Sealed
from conveyor.items.slices import tight

__all__ = ["FusedNode", "loop_through"]


class Inner(Node, Protocol):
    """A node behind the first."""

    def passed_on(self, items: int) -> None: ...
    def keep_marks(self) -> None: ...


def loop_through(nodes: Sequence[Node]) -> QuickLoop | None:
    """One loop for the jobs of all of them, if each allows it (`kernels.quick_loop`)."""
    quick = [node.job for node in nodes if isinstance(node, MapNode) and node.quick is not None]
    return quick_loop(*quick) if len(quick) == len(nodes) else None


class FusedNode:
    """Nodes that give at most one output an item, and end the run with an item that fails.

    `begins` is told which of them begins with which slice: so it is known at whose job a worker
    died, and which items that job may have been given.  `loop` is one for all their jobs, if there
    is one.
    """

    def __init__(
        self,
        first: JobNode,
        others: Sequence[Inner],
        begins: Callable[[int, list[object]], None] = lambda number, items: None,
        loop: QuickLoop | None = None,
    ) -> None:
        self.first = first
        self.others = others
        self.begins = begins
        self.nodes: list[Node] = [first, *others]
        self.loop = loop
        self.tally = first.tally
        self.ends = None  # there is one output for each item, or a mark
        self.failed = 0  # which of them ended the run

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if (
            self.loop is not None
            and not (self.first.is_wary and len(items) == 1)
            and not has_marks(items)
            and not isinstance(items[0], Sealed)
        ):
            # As with one job: if it raises, node by node the item and its error are found again.
            with suppress(Exception):
                out = self.loop(items)
                if len(out) == len(items):
                    for node in (self.first, *self.others):
                        node.passed_on(len(items))
                    return ((out, len(items), 0),)
                self.loop = None  # one of them drops items: which is to be counted
        return self.one_by_one(items, limit)

    def one_by_one(self, items: list[object], limit: int) -> Iterable[Piece]:
        out = items
        failed: ItemFailed | None = None
        for number, node in enumerate(self.nodes):
            if not has_items(out):
                break
            self.begins(number, out)
            out, failure = _up_to_failure(node, out, limit)
            if failure is not None:  # of an earlier item than one that did not come so far
                failed, self.failed = failure, number
        out = among(out, tight)
        return ((out, len(items), 0),) if failed is None else _then_fail(out, failed)

    def keep_marks(self) -> None:
        """From now on there may be marks in slices, and one stands where an item gives nothing."""
        self.first.keep_marks()
        for node in self.others:
            node.keep_marks()

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()


def _up_to_failure(
    node: Node, items: list[object], limit: int
) -> tuple[list[object], ItemFailed | None]:
    """What a node gives for a slice, or for the items before one that failed."""
    given: list[object] = []
    try:
        pieces = node(items, 0, limit)
        if isinstance(pieces, tuple):
            ((given, _, _),) = pieces
        else:
            for out, _, _ in pieces:
                given = joined(given, out)
    except ItemFailed as failed:
        return given, failed
    return given, None


def joined(items: list[object], more: list[object]) -> list[object]:
    """Two slices within a worker as one, with the marks that are in them."""
    both = [*items, *more]
    return Entries(both, (), True) if has_marks(items) or has_marks(more) else both


def _then_fail(out: list[object], failed: ItemFailed) -> Iterator[Piece]:
    """Gives what came of the items before the one that failed, and raises."""
    if out:
        yield out, 0, len(out)
    raise failed
