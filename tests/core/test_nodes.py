"""What a processor does with a slice: pieces, policies, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.errors import StopTest

from conveyor.core.crashes import FRESH, Past
from conveyor.core.failures import delivered
from conveyor.core.job_node import ALONE, ItemFailed, JobNode, Node, Piece
from conveyor.core.nodes import CollectNode, RelayNode, node_for
from conveyor.core.steering import ControlFlow
from conveyor.errors import JobExited, NotPicklable, RunError
from conveyor.items.sealing import Bundle, Sealed, seal
from conveyor.report import DeadLetter, Tally
from conveyor.stages import Filter, FlatMap, Job, OnError, Processor
from tests.lingers import Told

POLICIES: tuple[OnError, ...] = ("raise", "skip", "dead_letter")
KINDS = ("map", "filter", "flat")


class Unloadable:
    """Goes into a pickle, and never comes back."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return int, ("no number",)


def made(stage: Job[Any, Any]) -> tuple[Node, list[DeadLetter]]:
    """The node of a stage, and the list of its dead letters."""
    letters: list[DeadLetter] = []
    return node_for(stage, "stage", lambda letter: letters.append(delivered(letter))), letters


def opened(items: Iterable[object]) -> list[Any]:
    return [item.open() if isinstance(item, Sealed) else item for item in items]


def fed(
    node: Node, items: list[Any], *, skip: int = 0, limit: int = 100
) -> tuple[list[Piece], ItemFailed | None]:
    """The pieces that a node gives, and the failure that ended it, if one did."""
    pieces: list[Piece] = []
    try:
        for out, done, extra in node(items, skip, limit):
            pieces.append((opened(out), done, extra))
    except ItemFailed as failed:
        return pieces, failed
    return pieces, None


def failure(node: Node, *items: object) -> ItemFailed:
    _, failed = fed(node, list(items))
    assert failed is not None
    return failed


def refuse_odd(item: int) -> int:
    if item % 2:
        raise ValueError(item)
    return item * 10


def repeat(item: int) -> Iterator[int]:
    for _ in range(item):
        yield item


# ------------------------------------------------------------------------- all policies, by a model


@dataclass
class Order:
    """An item that says what its job does: so many outputs, and so many attempts that fail, each
    behind `at` outputs."""

    outputs: int
    failures: int
    at: int
    number: int = 0
    seen: list[int] = field(default_factory=list[int])


orders = st.builds(Order, st.integers(0, 3), st.sampled_from([0, 0, 0, 1, 2, 5]), st.integers(0, 3))
slices = st.lists(st.lists(orders, min_size=1, max_size=5), min_size=1, max_size=4)


class Obedient:
    """A job of each kind, which does what its items say and changes them."""

    def __init__(self) -> None:
        self.attempts: dict[int, int] = {}

    def fails(self, order: Order) -> bool:
        assert not order.seen, "this attempt sees what another has left"
        order.seen.append(1)
        attempt = self.attempts[order.number] = self.attempts.get(order.number, 0) + 1
        return attempt <= order.failures

    def map(self, order: Order) -> object:
        if self.fails(order):
            raise ValueError(order.number)
        return (order.number, 0) if order.outputs else None

    def keep(self, order: Order) -> object:
        if self.fails(order):
            raise ValueError(order.number)
        return order.outputs

    def flat(self, order: Order) -> Iterator[object]:
        fails = self.fails(order)
        for index in range(order.outputs):
            if fails and index == order.at:
                break
            yield order.number, index
        if fails:
            raise ValueError(order.number)

    def stage(self, kind: str, on_error: OnError, retries: int) -> Job[Any, Any]:
        if kind == "map":
            return Processor(self.map, on_error=on_error, retries=retries)
        if kind == "filter":
            return Filter(self.keep, on_error=on_error, retries=retries)
        return FlatMap(self.flat, on_error=on_error, retries=retries)


@dataclass
class Outcome:
    """What became of a run of slices."""

    outputs: list[object] = field(default_factory=list[object])
    tally: Tally = field(default_factory=Tally)
    letters: list[int] = field(default_factory=list[int])
    failed_at: int | None = None


def by_plain_loops(
    kind: str, slices: list[list[Order]], on_error: OnError, retries: int
) -> Outcome:
    there = Outcome()
    tally = there.tally
    for orders in slices:
        tally.items_in += len(orders)
        for order in orders:
            gives_up = order.failures > retries
            if kind == "flat":
                n = min(order.at, order.outputs) if gives_up else order.outputs
                there.outputs += [(order.number, index) for index in range(n)]
            elif order.outputs and not gives_up:
                there.outputs.append((order.number, 0) if kind == "map" else order.number)
            if not gives_up:
                tally.passed += bool(order.outputs)
                tally.dropped += not order.outputs
            elif on_error == "raise":
                tally.failed += 1
                there.failed_at = order.number
                return there
            elif on_error == "skip":
                tally.skipped += 1
            else:
                tally.dead_lettered += 1
                there.letters.append(order.number)
    return there


@given(
    st.sampled_from(KINDS),
    slices,
    st.sampled_from(POLICIES),
    st.integers(0, 3),
    st.integers(1, 4),
    st.booleans(),
)
def test_each_item_has_its_attempts_and_then_what_its_stage_says(
    kind: str, slices: list[list[Order]], on_error: OnError, retries: int, limit: int, sealed: bool
) -> None:
    for number, order in enumerate(order for orders in slices for order in orders):
        order.number = number
    expected = by_plain_loops(kind, slices, on_error, retries)
    expected.tally.items_out = len(expected.outputs)
    node, letters = made(Obedient().stage(kind, on_error, retries))
    there = Outcome(tally=node.tally)
    for orders in slices:
        items = [
            seal(order) if sealed else Order(order.outputs, order.failures, order.at, order.number)
            for order in orders
        ]
        pieces, failed = fed(node, items, limit=limit if kind == "flat" else 100)
        there.outputs += [
            item.number if isinstance(item, Order) else item for out, _, _ in pieces for item in out
        ]
        if failed is not None:
            there.failed_at = failed.ordinal
            assert (type(failed.error), failed.attempts) == (ValueError, retries + 1)
            break
        finished = [done for _, done, _ in pieces]
        assert finished == sorted(finished)
        assert finished.count(len(items)) == 1, "the last item seems to end twice"
    there.letters = [letter.ordinal for letter in letters]

    assert there == expected
    for letter in letters:
        assert (letter.stage, letter.attempts, type(letter.exception)) == (
            "stage",
            retries + 1,
            ValueError,
        )
        assert isinstance(letter.item, Order)
        assert (letter.item.number, letter.item.seen) == (letter.ordinal, [])


# ---------------------------------------------------------------------------------- items that fail


@pytest.mark.parametrize(
    "items",
    [[0, 2, 3, 4], [0, 2, 3], [seal(0), seal(2), seal(3)]],
    ids=["inside", "last", "sealed"],
)
def test_results_before_an_item_that_fails_are_given_out(items: list[object]) -> None:
    node, _ = made(Processor(refuse_odd))
    pieces, failed = fed(node, items)

    assert pieces == [([0, 20], 2, 0)]
    assert failed is not None
    assert (failed.ordinal, failed.item, repr(failed.error), failed.attempts) == (
        2,
        "3",
        "ValueError(3)",
        1,
    )
    assert failed.__cause__ is failed.error
    assert node.tally == Tally(items_in=len(items), items_out=2, passed=2, failed=1)
    assert node.tally.in_hand == len(items) - 3


def test_results_of_a_flat_map_before_its_failure_are_given_out() -> None:
    def job(item: int) -> Iterator[int]:
        yield item
        yield item
        raise ValueError(item)

    node, _ = made(FlatMap(job))
    pieces, failed = fed(node, [7, 8])

    assert pieces == [([7, 7], 0, 2)]
    assert failed is not None
    assert failed.ordinal == 0


def test_ordinals_count_all_items_of_the_run() -> None:
    node, letters = made(Processor(refuse_odd, on_error="dead_letter"))
    for items in ([0, 1], [2], [4, 3, 6, 5]):
        fed(node, items)

    assert [letter.ordinal for letter in letters] == [1, 4, 6]
    assert [letter.item for letter in letters] == [1, 3, 5]


class Leaves(BaseException):
    """Is no `Exception`, and nobody's but the job's."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, Leaves])
@pytest.mark.parametrize("kind", [Processor, Filter])
def test_a_job_that_would_end_more_than_its_item_has_failed_on_it(
    error: type[BaseException], kind: type[Processor[Any, Any]]
) -> None:
    def job(item: object) -> object:
        raise error

    node, letters = made(kind(job, on_error="dead_letter", retries=2))
    pieces, failed = fed(node, [1])

    assert failed is None
    assert not any(out for out, _, _ in pieces)
    assert [(type(letter.exception), letter.attempts) for letter in letters] == [(JobExited, 3)]
    assert type(letters[0].exception.__cause__) is error


@pytest.mark.parametrize(
    "error", [pytest.skip.Exception, pytest.fail.Exception, StopTest, ControlFlow]
)
@pytest.mark.parametrize("on_error", POLICIES)
def test_what_steers_a_test_ends_the_run_whatever_the_stage_says(
    error: Callable[[str], BaseException], on_error: OnError
) -> None:
    def job(item: object) -> object:
        raise error("0")

    for stage in (
        Processor(job, on_error=on_error, retries=5),
        Filter(job, on_error=on_error, retries=5),
    ):
        failed = failure(made(stage)[0], 1)
        assert (type(failed.error), failed.attempts) == (error, 1)


def test_a_flat_map_that_exits_gives_what_it_had_given() -> None:
    def job(item: object) -> Iterator[object]:
        yield item
        raise SystemExit

    pieces, failed = fed(made(FlatMap(job, on_error="skip"))[0], [1, 2])
    assert failed is None
    assert [out for out, _, _ in pieces] == [[1, 2]]


def test_an_item_that_cannot_be_opened_fails_as_an_item() -> None:
    node, letters = made(Processor(str, on_error="dead_letter"))
    pieces, failed = fed(node, [seal("a"), seal(Unloadable()), seal("b")])

    assert failed is None
    assert [item for out, _, _ in pieces for item in out] == ["a", "b"]
    assert [(letter.ordinal, letter.item) for letter in letters] == [
        (1, "<an item that cannot be unpickled>")
    ]
    assert type(letters[0].exception) is NotPicklable
    assert (
        failure(made(Processor(str))[0], seal(Unloadable())).item
        == "<an item that cannot be unpickled>"
    )


def test_a_result_that_cannot_be_pickled_fails_as_an_item() -> None:
    def job(item: int) -> object:
        return (lambda: item) if item else [item]

    node, letters = made(Processor(job, on_error="dead_letter"))
    pieces, _ = fed(node, [0, 1, 0])

    assert [item for out, _, _ in pieces for item in out] == [[0], [0]]
    assert [(letter.ordinal, type(letter.exception)) for letter in letters] == [(1, NotPicklable)]


def test_a_retry_sees_the_item_as_it_came() -> None:
    attempts: list[list[int]] = []

    def job(item: list[int]) -> object:
        attempts.append(list(item))
        item.append(0)
        raise ValueError

    node, letters = made(Processor(job, on_error="dead_letter", retries=2))
    fed(node, [[1], [2]])

    assert attempts == [[1]] * 3 + [[2]] * 3
    assert [letter.item for letter in letters] == [[1], [2]]


# ------------------------------------------------------------------------------------ the quick way


def test_a_job_of_operators_runs_a_slice_at_once() -> None:
    def job(item: Any) -> object:
        return (item, 10 // item) if item != 4 else None

    node, _ = made(Processor(job))

    assert fed(node, [1, 4, 5]) == ([([(1, 10), (5, 2)], 3, 0)], None)
    assert fed(node, [1]) == ([([(1, 10)], 1, 0)], None)
    assert fed(node, [seal(1), seal(2)]) == ([([(1, 10), (2, 5)], 2, 0)], None)
    assert node.tally == Tally(items_in=6, items_out=5, passed=5, dropped=1)


def test_where_workers_have_died_it_does_so_again_when_items_come_together_again() -> None:
    """Those that may be to blame come one by one, and each is asked about."""
    asked: list[int] = []

    def past(index: int) -> Past:
        asked.append(index)
        return FRESH

    def job(item: Any) -> object:
        return item + 1

    node = node_for(Processor(job), "job", lambda letter: None, ALONE._replace(past=past))
    assert [fed(node, [item])[0] for item in range(3)] == [
        [([item + 1], 1, 0)] for item in range(3)
    ]
    assert len(asked) == 3
    assert fed(node, [3, 4, 5])[0] == [([4, 5, 6], 3, 0)]
    assert len(asked) == 3
    assert node.tally == Tally(items_in=6, items_out=6, passed=6)


def test_it_still_finds_the_item_that_fails() -> None:
    def job(item: Any) -> object:
        return 10 // item

    node, _ = made(Processor(job))
    pieces, failed = fed(node, [1, 2, 0, 5])

    assert pieces == [([10, 5], 2, 0)]
    assert failed is not None
    assert (failed.ordinal, type(failed.error)) == (2, ZeroDivisionError)


@pytest.mark.parametrize("results", [[1, [2], 3], [[1], [2], [3]], [1, 2, 3]], ids=repr)
def test_a_piece_has_sealed_items_only_or_none(results: list[object]) -> None:
    def map_job(index: int) -> object:
        return results[index]

    def flat_job(item: object) -> object:
        return iter(results)

    flat: Any = flat_job
    slices: list[tuple[Node, list[object]]] = [
        (made(Processor(map_job))[0], [0, 1, 2]),
        (made(FlatMap(flat))[0], [0]),
    ]
    for node, items in slices:
        ((out, _, _),) = node(items, 0, 100)
        assert len({type(item) is Sealed for item in out}) == 1
        assert opened(out) == results


# ---------------------------------------------------------------------------------------- flat-maps


def packed(items: list[int], limit: int, skip: int) -> list[list[tuple[int, int]]]:
    """The outputs, as (item, its how-manieth), in records: each item's cut after every `limit`,
    whole cuts side by side."""
    records: list[list[tuple[int, int]]] = [[]]
    for index, item in enumerate(items):
        outputs = [(index, number) for number in range(skip if not index else 0, item)]
        for cut in (outputs[at : at + limit] for at in range(0, len(outputs), limit)):
            if len(records[-1]) + len(cut) > limit:
                records.append([])
            records[-1] += cut
    return records


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 6))
def test_the_outputs_of_a_flat_map_are_cut_as_if_each_item_had_come_alone(
    items: list[int], limit: int, skip: int
) -> None:
    skip = min(skip, items[0])
    pieces, _ = fed(made(FlatMap(repeat))[0], items, skip=skip, limit=limit)

    records = packed(items, limit, skip)
    assert [out for out, _, _ in pieces] == [
        [items[index] for index, _ in record] for record in records
    ]
    assert [piece[1:] for piece in pieces] == [
        *(record[0] for record in records[1:]),
        (len(items), 0),
    ]


class Twice(Processor[int, int]):
    """Gives what it was given at the end, each twice."""

    def setup(self) -> None:
        self.there: list[int] = []

    def process(self, item: int, /) -> None:
        self.there += [item, item]

    def finish(self) -> list[int]:
        return self.there


def lingering(stage: Job[Any, Any], answers: list[bool]) -> Node:
    return node_for(stage, "stage", print, ALONE._replace(linger=Told(answers)))


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(1, 50),
    st.lists(st.booleans(), max_size=12),
    st.booleans(),
)
def test_outputs_that_have_gathered_for_long_leave_and_every_piece_says_how_far_it_comes(
    items: list[int], limit: int, late: list[bool], keeps_marks: bool
) -> None:
    outputs: list[list[object]] = [
        [item for _ in range(item)] or ([None] if keeps_marks else []) for item in items
    ]
    node = lingering(FlatMap(repeat), list(late))
    assert isinstance(node, JobNode)
    if keeps_marks:
        node.keep_marks()

    pieces, _ = fed(node, list(items), limit=limit)

    given_out: list[object] = []
    for out, done, extra in pieces:
        given_out += out
        assert len(out) <= limit
        assert given_out == [each for one in outputs[:done] for each in one] + (
            outputs[done][:extra] if extra else []
        )
        if keeps_marks and extra:
            assert extra < len(outputs[done]), "an item's last output does not say that it is"
    assert pieces[-1][1:] == (len(items), 0)


def test_an_output_that_comes_late_leaves_before_the_next_is_asked_for() -> None:
    asked: list[int] = []

    def job(item: int) -> Iterator[int]:
        for number in range(item):
            asked.append(number)
            yield number

    pieces = iter(lingering(FlatMap(job), [True, False, False, True])([9], 0, 100))

    assert next(pieces) == ([0], 0, 1)
    assert asked == [0]
    assert next(pieces) == ([1, 2, 3, 4], 0, 5)  # looked at with 1, 2 and 4
    assert asked == [0, 1, 2, 3, 4]


def test_so_it_is_with_what_comes_at_the_end() -> None:
    node = lingering(Twice(), [True, False, True])
    node.stage.setup()  # type: ignore[attr-defined]  # of the nodes of jobs
    fed(node, [1, 2, 3])

    assert [out for out, _, _ in node.finish(0, 100)] == [[1], [1, 2], [2, 3, 3]]


def test_a_flat_map_gives_its_next_output_only_when_there_is_room() -> None:
    taken: list[int] = []

    def job(item: int) -> Iterator[int]:
        for number in range(item):
            taken.append(number)
            yield number

    node, _ = made(FlatMap(job))
    pieces = iter(node([100], 0, 3))
    for _ in range(4):
        next(pieces)

    assert len(taken) == 4 * 3 + 1  # one more: to know that there is more


def test_a_flat_map_that_is_left_in_the_middle_has_not_failed() -> None:
    node, letters = made(FlatMap(repeat, on_error="dead_letter"))
    pieces = node([5], 0, 2)
    assert isinstance(pieces, Iterator)
    next(pieces)
    getattr(pieces, "close")()  # noqa: B009

    assert letters == []
    assert node.tally == Tally(items_in=1, items_out=2)


@pytest.mark.parametrize("result", [None, 3, len], ids=repr)
def test_a_flat_map_must_give_an_iterable(result: object) -> None:
    job: Any = {1: result}.get
    failed = failure(made(FlatMap(job))[0], 1)

    assert type(failed.error) is TypeError
    assert "stage is a FlatMap: its function must give an iterable" in str(failed.error)


def test_a_flat_map_that_gives_less_when_it_is_run_again_is_an_error() -> None:
    failed = None
    try:
        list(made(FlatMap(repeat))[0]([2], 3, 100))
    except ItemFailed as error:
        failed = error

    assert failed is not None
    assert type(failed.error) is RunError
    assert "stage gave at least 3 outputs for an item, and only 2 when it was run again" in str(
        failed.error
    )


# ------------------------------------------------------------------------------------------- finish


class Flush(Processor[int, object]):
    """Gives `n` outputs at the end, the odd ones lists; fails behind them if it is to."""

    def __init__(self, n: int, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.n = n
        self.error = error

    def process(self, item: int, /) -> object:
        return item

    def finish(self) -> Iterator[object]:
        for number in range(self.n):
            yield [number] if number % 2 else number
        if self.error is not None:
            raise self.error


@given(st.integers(0, 7), st.integers(0, 7), st.integers(1, 4))
def test_finish_goes_on_behind_what_is_already_out(n: int, skip: int, limit: int) -> None:
    skip = min(skip, n)
    node, _ = made(Flush(n))
    pieces = [(opened(out), done, extra) for out, done, extra in node.finish(skip, limit)]

    expected = [[number] if number % 2 else number for number in range(skip, n)]
    assert [item for out, _, _ in pieces for item in out] == expected
    assert [len(out) for out, _, _ in pieces[:-1]] == [limit] * len(pieces[:-1])
    assert all(out and not done for out, done, _ in pieces)
    assert [extra for _, _, extra in pieces] == [
        skip + at for at in [*range(limit, n - skip, limit), n - skip][: len(pieces)]
    ]
    assert node.tally == Tally(flushed=n - skip, items_out=n - skip)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_finish_that_fails_ends_the_run_behind_what_it_gave(error: type[BaseException]) -> None:
    node, _ = made(Flush(2, error))
    pieces = iter(node.finish(0, 2))

    assert opened(next(pieces)[0]) == [0, [1]]
    with pytest.raises(ItemFailed) as failed:
        next(pieces)
    assert (failed.value.ordinal, failed.value.item, type(failed.value.error)) == (
        None,
        "finish()",
        error,
    )


def test_a_finish_that_is_left_in_the_middle_has_not_failed() -> None:
    pieces = made(Flush(9))[0].finish(0, 2)
    assert isinstance(pieces, Iterator)
    next(pieces)
    getattr(pieces, "close")()  # noqa: B009

    assert list(pieces) == []


def test_a_stage_without_finish_gives_nothing_more() -> None:
    assert list(made(Processor(refuse_odd))[0].finish(0, 5)) == []


# ----------------------------------------------------------------------------------- relay and sink


def test_a_relay_passes_on_what_it_gets() -> None:
    node = RelayNode()
    sealed = [seal([1])]

    assert fed(node, [1, 2]) == ([([1, 2], 2, 0)], None)
    assert fed(node, sealed) == ([([[1]], 1, 0)], None)
    assert list(node.finish(0, 5)) == []
    assert node.tally == Tally(items_in=3, items_out=3, passed=3)


def test_a_relay_makes_one_item_of_a_bundle() -> None:
    ((out, _, _),) = RelayNode()([Bundle((1, seal([2])))], 0, 5)

    assert [type(item) for item in out] != [Bundle]
    assert opened(out) == [(1, [2])]


def test_the_sink_opens_what_arrives() -> None:
    results: list[object] = []
    node = CollectNode(results.extend)

    assert fed(node, [1, 2]) == ([([], 2, 0)], None)
    assert fed(node, [seal([3]), Bundle((4, seal([5])))]) == ([([], 2, 0)], None)
    assert results == [1, 2, [3], (4, [5])]
    assert list(node.finish(0, 5)) == []
    assert node.tally == Tally(items_in=4)
