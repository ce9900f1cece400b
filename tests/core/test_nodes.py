"""What a processor does with a slice: pieces, policies, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec import Sealed, seal
from conveyor.nodes import ItemFailed, Node, Piece, node_for
from conveyor.report import DeadLetter, Tally
from conveyor.stages import Filter, FlatMap, Job, OnError, Processor

POLICIES: tuple[OnError, ...] = ("raise", "skip", "dead_letter")
Given = tuple[list[object], list[Piece], ItemFailed | None]


class Unloadable:
    """Goes into a pickle, and never comes back."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return int, ("no number",)


def made(stage: Job[Any, Any]) -> tuple[Node, list[DeadLetter]]:
    letters: list[DeadLetter] = []
    return node_for(stage, "stage", letters.append), letters


def opened(items: Iterable[object]) -> list[object]:
    return [item.open() if isinstance(item, Sealed) else item for item in items]


def fed(node: Node, items: list[Any], *, skip: int = 0, limit: int = 100) -> Given:
    """What a node gives for a slice: all outputs, opened; the pieces; and the failure that ended it."""
    pieces: list[Piece] = []
    failed = None
    try:
        pieces.extend(piece for piece in node(items, skip, limit))
    except ItemFailed as error:
        failed = error
    return [item for out, _, _ in pieces for item in opened(out)], pieces, failed


def grown(pieces: Iterable[Piece]) -> list[Piece]:
    """`pieces` into a list that keeps what came before a failure."""
    return list(pieces)


def refuse_odd(item: int) -> int:
    if item % 2:
        raise ValueError(item)
    return item * 10


# ------------------------------------------------------------------------------------------------ all policies, by a model


@dataclass
class Order:
    """An item that says what its job does: so many outputs, and how many attempts fail, each after `at` outputs."""

    number: int
    outputs: int
    failures: int
    at: int


orders = st.builds(Order, st.integers(0, 9), st.integers(0, 3), st.sampled_from([0, 0, 0, 1, 2, 5]), st.integers(0, 3))
slices = st.lists(st.lists(orders, min_size=1, max_size=5), max_size=4)


class Obedient:
    """A job of each kind that does what its items say, and spoils them."""

    def __init__(self) -> None:
        self.attempts: dict[int, int] = {}
        self.ordinal = -1

    def begin(self, order: Order) -> bool:
        """Is this attempt to fail?"""
        assert not hasattr(order, "spoiled"), "an attempt sees what another has left"
        attempt = self.attempts[order.number] = self.attempts.get(order.number, 0) + 1
        order.__dict__["spoiled"] = True
        return attempt <= order.failures

    def map(self, order: Order) -> object:
        if self.begin(order):
            raise ValueError(order.number)
        return (order.number, 0) if order.outputs else None

    def keep(self, order: Order) -> object:
        if self.begin(order):
            raise ValueError(order.number)
        return order.outputs

    def flat(self, order: Order) -> Iterator[object]:
        fails = self.begin(order)
        for index in range(order.outputs):
            if fails and index == order.at:
                raise ValueError(order.number)
            yield order.number, index
        if fails:
            raise ValueError(order.number)


def stage_of(kind: str, job: Obedient, on_error: OnError, retries: int) -> Job[Any, Any]:
    if kind == "map":
        return Processor(job.map, on_error=on_error, retries=retries)
    if kind == "filter":
        return Filter(job.keep, on_error=on_error, retries=retries)
    return FlatMap(job.flat, on_error=on_error, retries=retries)


def outputs_of(kind: str, order: Order, gives_up: bool) -> list[object]:
    if kind == "flat":
        return [(order.number, index) for index in range(min(order.at, order.outputs) if gives_up else order.outputs)]
    if gives_up or not order.outputs:
        return []
    return [(order.number, 0)] if kind == "map" else [order.number]


@given(
    st.sampled_from(["map", "filter", "flat"]),
    slices,
    st.sampled_from(POLICIES),
    st.integers(0, 3),
    st.integers(1, 4),
    st.booleans(),
)
def test_each_item_has_its_attempts_and_then_what_its_stage_says(
    kind: str, slices: list[list[Order]], on_error: OnError, retries: int, limit: int, sealed: bool
) -> None:
    node, letters = made(stage_of(kind, Obedient(), on_error, retries))
    number = 0
    expected: list[object] = []
    given_up: list[tuple[int, int, int]] = []
    tally = Tally()
    for orders in slices:
        for order in orders:  # each by a number of its own, for the attempts
            order.number = number
            number += 1
        ended = False
        for order in orders:
            gives_up = order.failures > retries
            expected += outputs_of(kind, order, gives_up)
            if gives_up:
                given_up.append((order.number, order.number, retries + 1))
                ended = on_error == "raise"
            else:
                tally.passed += bool(order.outputs)
                tally.dropped += not order.outputs
            if ended:
                break
        tally.items_in += len(orders)
        before = list(expected)
        del expected[:]
        items = [seal(order) for order in orders] if sealed or kind == "filter" or on_error == "raise" else list(orders)
        out, pieces, failed = fed(node, items, limit=limit if kind == "flat" else 100)

        assert [item.number if isinstance(item, Order) else item for item in out] == before
        tally.items_out += len(out)
        assert all(earlier[1] <= later[1] for earlier, later in pairwise(pieces))
        assert [done for _, done, _ in pieces].count(len(items)) == (failed is None)
        if ended:
            assert failed is not None
            assert (failed.ordinal, failed.attempts, type(failed.error)) == (given_up[-1][0], retries + 1, ValueError)
            assert failed.__cause__ is failed.error
            tally.failed += 1
            break
        assert failed is None
    if on_error == "skip":
        tally.skipped = len(given_up)
    if on_error == "dead_letter":
        tally.dead_lettered = len(given_up)
        assert [(letter.ordinal, getattr(letter.item, "number"), letter.attempts) for letter in letters] == given_up  # noqa: B009
        assert all(letter.stage == "stage" and type(letter.exception) is ValueError for letter in letters)
    else:
        assert letters == []
    assert node.tally == tally
