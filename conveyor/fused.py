"""Several jobs one after the other in one worker, as one node.

Knows: that each of its nodes gives a slice for a slice.  Must never know: which jobs may be together (`fusing`), or why.

An item is as much by itself between two of them as it is between two workers: sealed as soon as a job returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from conveyor.codec import uniform
from conveyor.nodes import ItemFailed, JobNode, Node, Piece

__all__ = ["FusedNode"]


class FusedNode:
    """Nodes that give at most one output an item, and end the run with an item that fails.

    `names` are those of their stages; `mark` is told which of them begins with a slice, counted from 1, but for the first.  So
    it is known at whose job a worker died, though such an item is given up before it comes to the first.
    """

    def __init__(
        self, first: JobNode, others: Sequence[Node], names: Sequence[str], mark: Callable[[int], None] = lambda number: None
    ) -> None:
        self.first = first
        first.names = names
        self.mark = mark
        self.nodes = [first, *others]
        self.tally = first.tally
        self.failed = 0  # which of them ended the run

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        out = items
        failed: ItemFailed | None = None
        for number, node in enumerate(self.nodes):
            if not out:
                break
            if number:
                self.mark(number + 1)
            try:
                pieces = node(out, 0, limit)
            except ItemFailed:  # the first refuses an item that killed its workers
                self.failed = self.first.past.part
                raise
            if isinstance(pieces, tuple):
                ((out, _, _),) = pieces
            else:
                out, failure = _up_to_failure(pieces)
                if failure is not None:  # of an earlier item than one that did not come so far
                    failed, self.failed = failure, number
        return ((out, len(items), 0),) if failed is None else _then_fail(out, failed)

    @property
    def offset(self) -> int:
        """Of the slice, in what the drive loop has in hand."""
        return self.first.offset

    @offset.setter
    def offset(self, items: int) -> None:
        self.first.offset = items

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()


def _up_to_failure(pieces: Iterable[Piece]) -> tuple[list[object], ItemFailed | None]:
    given: list[object] = []
    try:
        for out, _, _ in pieces:
            given += out
    except ItemFailed as failed:
        return uniform(given), failed
    return uniform(given), None


def _then_fail(out: list[object], failed: ItemFailed) -> Iterator[Piece]:
    """What came of the items before the one that failed; nobody will go on behind that."""
    if out:
        yield out, 0, len(out)
    raise failed
