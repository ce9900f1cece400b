"""How a pipeline is built, and what is refused: before anything runs, with the place and with what
would fit."""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import ConveyorError, ImplicitPipeWarning, LifecycleError, TopologyError
from tests.helpers import pipeline
from tests.jobs import Multiplier, Total, double, increment, only_even, repeated

Row = tuple[Any, ...]


def built(*added: Row, **options: Any) -> Any:
    """A pipeline with some rows added."""
    pl = pipeline(**options)
    for row in added:
        pl.add(*row)
    return pl


def refusal(pl: Any, *row: Any) -> str:
    """What the pipeline says when it refuses a row."""
    with pytest.raises(TopologyError) as refused:
        pl.add(*row)
    return str(refused.value)


def number_after(word: str, text: str) -> int:
    """The number that a message gives a row or a lane."""
    found = re.search(rf"\b{word} (\d+)", text)
    assert found, f"no {word} in: {text}"
    return int(found[1])


def reported(pl: Any, *names: str) -> list[str]:
    """Those of the names that a run reports as stages, in its order."""
    return [name for name in pl.run([1]).report.stages if name in names]


def label(thing: Any) -> str:
    """A name for a parameter, the same in every process that collects the tests."""
    row: Any = thing
    if isinstance(thing, tuple):
        return ",".join(map(label, row)) or "nothing"
    return getattr(thing, "__name__", type(thing).__name__) if callable(thing) else repr(thing)


# ------------------------------------------------------------------------------------ what is there


def test_the_seeds_import_paths_give_the_same_objects() -> None:
    here = import_module("conveyor")

    assert import_module("conveyor.pipeline").Pipeline is here.Pipeline
    for name in ("Processor", "Pipe", "ReplicatingFork", "BalancingFork", "Join"):
        assert getattr(import_module("conveyor.stages"), name) is getattr(here, name)


def test_every_refusal_is_a_conveyor_error() -> None:
    assert issubclass(TopologyError, ConveyorError)
    assert issubclass(LifecycleError, ConveyorError)
    assert issubclass(ImplicitPipeWarning, UserWarning)


@pytest.mark.parametrize(
    "stage",
    [Processor(double), Pipe(), ReplicatingFork(2), BalancingFork(2), BalancingFork()],
    ids=label,
)
def test_a_pipeline_may_begin_with_any_stage_but_a_join_or_a_zip(stage: Any) -> None:
    pl = pipeline()

    assert pl.add(stage) is pl


def test_add_returns_the_pipeline_itself() -> None:
    pl = pipeline()

    assert pl.add(ReplicatingFork(2)) is pl
    assert pl.add(Processor(double), Pipe()) is pl
    assert pl.add(Join(2)) is pl


@pytest.mark.processes
def test_kinds_may_be_mixed_in_a_row_and_take_the_lanes_from_left_to_right() -> None:
    pl = pipeline().add(ReplicatingFork(2))
    pl.add(ReplicatingFork(2), Pipe())
    pl.add(Processor(double), Pipe(), Processor(increment))
    pl.add(Join(2), Pipe())
    pl.add(Join(2))

    assert sorted(pl.run([10])) == [10, 11, 20]


@pytest.mark.processes
def test_a_row_of_lane_stages_takes_one_lane_each() -> None:
    pl = built((ReplicatingFork(3),), (Processor(double), Processor(increment), Pipe()), (Zip(3),))

    assert pl.run([1, 5]) == [(2, 2, 1), (10, 6, 5)]


@pytest.mark.processes
def test_a_fork_of_one_lane_is_a_fork() -> None:
    assert built((ReplicatingFork(1),), (Processor(double),), (Join(1),)).run([1, 2, 3]) == [
        2,
        4,
        6,
    ]


# ---------------------------------------------------------------------------- widths and capacities

NO_COUNT = pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None], ids=label)


@NO_COUNT
@pytest.mark.parametrize("kind", [ReplicatingFork, BalancingFork, Join, Zip])
def test_a_width_is_a_whole_number_of_at_least_one(kind: Any, count: Any) -> None:
    with pytest.raises(TopologyError, match=re.escape(repr(count))):
        kind(count)


@NO_COUNT
def test_a_capacity_is_a_whole_number_of_at_least_one(count: Any) -> None:
    with pytest.raises(TopologyError, match=re.escape(repr(count))):
        Pipe(count)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True], ids=label)
def test_max_lanes_is_a_whole_number_of_at_least_one(count: Any) -> None:
    with pytest.raises(TopologyError, match=re.escape(repr(count))):
        BalancingFork(max_lanes=count)


# ---------------------------------------------------------------------------------- stages and jobs


def test_a_bare_function_is_refused_and_shown_as_a_processor() -> None:
    text = refusal(pipeline(), double)

    assert "double" in text
    assert "Processor(" in text


@pytest.mark.parametrize(
    "thing", [3, None, "double", [Processor(double)], Processor, Total], ids=label
)
def test_what_is_no_stage_is_refused(thing: Any) -> None:
    refusal(pipeline(), thing)


def test_a_row_of_nothing_is_refused() -> None:
    refusal(pipeline())
    refusal(built((Processor(double),)))


def no_argument() -> int:
    return 1


def two_arguments(left: int, right: int) -> int:
    return left + right


def keyword_needed(item: int, *, key: int) -> int:
    return item + key


class Pair:
    def __init__(self, left: int, right: int) -> None:
        self.both = left, right


@pytest.mark.parametrize("kind", [Processor, FlatMap, Filter])
@pytest.mark.parametrize(
    "fn",
    [
        no_argument,
        two_arguments,
        keyword_needed,
        lambda: 1,
        divmod,
        functools.partial(pow, 2, 3, 4),
        Pair,
        3,
        "print",
    ],
    ids=label,
)
def test_a_job_that_cannot_take_exactly_one_item_is_refused(kind: Any, fn: Any) -> None:
    with pytest.raises(TopologyError):
        pipeline().add(kind(fn))


def more_is_possible(item: int, more: int = 1) -> int:
    return item + more


def any_number(*items: int) -> tuple[int, ...]:
    return items


def nothing_needed(item: int = 1) -> int:
    return item


TAKE_ONE_ITEM: list[Any] = [
    double,
    more_is_possible,
    any_number,
    nothing_needed,
    lambda item: item,  # pyright: ignore[reportUnknownLambdaType]
    functools.partial(pow, 2),
    functools.partial(two_arguments, right=1),
    Multiplier(3),
    Multiplier(3).times,
    Multiplier,
    print,
    len,
    str,
    int,
    math.sqrt,
    dict[str, int]().get,
]


@pytest.mark.parametrize("fn", TAKE_ONE_ITEM, ids=label)
def test_a_job_may_be_anything_that_can_be_called_with_one_item(fn: Any) -> None:
    pipeline().add(Processor(fn))


# ----------------------------------------------------------------------------------- lanes and rows

ONE_LANE: tuple[Row, ...] = ((Processor(double),),)
TWO_LANES: tuple[Row, ...] = ((ReplicatingFork(2),),)
THREE_LANES: tuple[Row, ...] = ((BalancingFork(3),),)


@pytest.mark.parametrize(
    ("before", "row", "is_open"),
    [
        (ONE_LANE, (Processor(double), Pipe()), 1),
        (ONE_LANE, (Join(2),), 1),
        (ONE_LANE, (Zip(2),), 1),
        (TWO_LANES, (Processor(double),), 2),
        (TWO_LANES, (Pipe(), Pipe(), Pipe()), 2),
        (TWO_LANES, (Join(3),), 2),
        (TWO_LANES, (Join(2), Pipe()), 2),
        (TWO_LANES, (ReplicatingFork(2),), 2),
        (THREE_LANES, (Join(2),), 3),
        (THREE_LANES, (Join(2), Join(2)), 3),
        (THREE_LANES, (Zip(2),), 3),
    ],
    ids=label,
)
def test_a_row_that_takes_another_number_of_lanes_is_refused_and_told_how_many_are_open(
    before: tuple[Row, ...], row: Row, is_open: int
) -> None:
    text = refusal(built(*before), *row)

    assert number_after("row", text)
    assert "lane" in text
    assert re.search(rf"\b{is_open}\b", text)


def test_a_refusal_names_the_row() -> None:
    in_second = refusal(built((Processor(double),)), double)
    in_third = refusal(built((Processor(double),), (Pipe(),)), double)

    assert number_after("row", in_third) == number_after("row", in_second) + 1


def test_a_refusal_names_the_lane() -> None:
    in_first = refusal(built(*TWO_LANES), double, Pipe())
    in_second = refusal(built(*TWO_LANES), Pipe(), double)

    assert number_after("lane", in_second) == number_after("lane", in_first) + 1


@pytest.mark.parametrize(
    "stage", [Join(1), Join(2), Join(), Zip(1), Zip(2), Join(2, ordered=True)], ids=label
)
@pytest.mark.parametrize("strict", [False, True])
def test_a_pipeline_cannot_begin_with_a_join_or_a_zip(stage: Any, strict: bool) -> None:
    assert number_after("row", refusal(pipeline(strict=strict), stage)) in (0, 1)


@pytest.mark.processes
def test_the_lanes_of_an_adapting_fork_are_joined_by_a_join_without_a_number() -> None:
    refusal(built((BalancingFork(),), (Processor(double),)), Join(2))

    assert sorted(built((BalancingFork(),), (Processor(double),), (Join(),)).run([1, 2, 3])) == [
        2,
        4,
        6,
    ]


def test_a_join_without_a_number_joins_nothing_but_an_adapting_fork() -> None:
    refusal(built(*TWO_LANES), Join())
    refusal(built(*ONE_LANE), Join())


# ------------------------------------------------------------------------------------ ordered joins


def test_an_ordered_join_takes_all_lanes_of_a_fork() -> None:
    for fork in (ReplicatingFork(2), BalancingFork(2)):
        built((fork,), (Processor(double), Pipe()), (Join(2, ordered=True),))


def test_an_ordered_join_takes_lanes_that_were_joined_in_order() -> None:
    inner: tuple[Row, ...] = (
        (ReplicatingFork(2), Pipe()),
        (Pipe(), Pipe(), Pipe()),
        (Join(2, ordered=True), Pipe()),
    )

    built((ReplicatingFork(2),), *inner, (Join(2, ordered=True),))


def test_an_ordered_join_refuses_lanes_of_two_forks() -> None:
    pl = built((ReplicatingFork(2),), (ReplicatingFork(2), ReplicatingFork(2)))

    refusal(pl, Pipe(), Join(2, ordered=True), Pipe())


def test_an_ordered_join_refuses_a_first_come_join_inside() -> None:
    pl = built((ReplicatingFork(2),), (ReplicatingFork(2), Pipe()), (Join(2), Pipe()))

    refusal(pl, Join(2, ordered=True))


@pytest.mark.parametrize("inner", [Join(2), Join(2, ordered=True)], ids=label)
def test_an_ordered_join_refuses_a_join_inside_of_some_lanes_of_its_fork(inner: Join) -> None:
    # Either the join of two lanes of three is refused, or the one behind it.
    with pytest.raises(TopologyError):
        built((ReplicatingFork(3),), (inner, Pipe()), (Join(2, ordered=True),))


# ---------------------------------------------------------------------- a refused add has no effect


@pytest.mark.processes
@pytest.mark.parametrize(
    "row",
    [
        (double,),
        (Processor(increment), Pipe()),
        (Join(2),),
        (Zip(2),),
        (Processor(increment), double),
        (None,),
        (),
    ],
    ids=label,
)
def test_a_refused_add_changes_nothing(row: Row) -> None:
    pl = built((Processor(double),))
    before = pl.topology

    refusal(pl, *row)

    assert pl.topology == before
    assert pl.run([1, 2, 3]) == [2, 4, 6]


@pytest.mark.processes
@pytest.mark.parametrize(
    "row",
    [(Processor(increment),), (Join(3),), (Pipe(), double), (Zip(2), Pipe()), (Join(),)],
    ids=label,
)
def test_a_refused_add_leaves_the_lanes_open_as_they_were(row: Row) -> None:
    pl = built((ReplicatingFork(2),), (Processor(double), Pipe()))

    refusal(pl, *row)

    assert pl.add(Join(2, ordered=True)).run([1, 2]) == [2, 1, 4, 2]


@pytest.mark.processes
def test_a_refused_add_uses_up_no_name() -> None:
    pl = pipeline()
    refusal(pl, Processor(double), Processor(double))

    assert reported(pl.add(Processor(double)), "double", "double#2", "double#3") == ["double"]


# -------------------------------------------------------------------------------------------- names


@pytest.mark.processes
def test_a_stage_is_named_after_its_function_or_its_class() -> None:
    pl = built((Processor(double),), (Processor(Multiplier(3)),), (FlatMap(repeated),), (Total(),))

    expected = ["double", "Multiplier", "repeated", "Total"]
    assert reported(pl, *expected) == expected


@pytest.mark.processes
def test_a_name_that_is_given_is_used() -> None:
    pl = built(
        (Processor(double, name="twice"),),
        (Filter(bool, name="not none"),),
        (FlatMap(repeated, name="many"),),
    )

    expected = ["twice", "not none", "many"]
    assert reported(pl, *expected) == expected


@pytest.mark.processes
def test_a_name_that_comes_again_is_numbered_in_the_order_of_add() -> None:
    pl = built(
        (Processor(double),),
        (ReplicatingFork(2),),
        (Processor(double), Processor(double)),
        (Join(2),),
    )

    expected = ["double", "double#2", "double#3"]
    assert reported(pl, *expected) == expected


@pytest.mark.processes
def test_names_that_are_given_twice_are_told_apart() -> None:
    pl = built((Processor(double, name="step"),), (Processor(increment, name="step"),))

    expected = ["step", "step#2"]
    assert reported(pl, *expected) == expected


# ------------------------------------------------------------------------------------------- strict


@pytest.mark.parametrize(
    "stage",
    [Pipe(), ReplicatingFork(2), BalancingFork(2), BalancingFork(), Join(2), Zip(2)],
    ids=label,
)
def test_a_strict_pipeline_begins_with_a_processor(stage: Any) -> None:
    assert "processor" in refusal(pipeline(strict=True), stage).lower()


@pytest.mark.parametrize("stage", [Processor(double), Total()], ids=label)
def test_a_strict_pipeline_may_begin_with_any_processor(stage: Any) -> None:
    pipeline(strict=True).add(stage)


@pytest.mark.processes
def test_a_strict_pipeline_warns_of_a_pipe_that_it_puts_in_and_says_where() -> None:
    pl = built((Processor(double),), strict=True)

    with pytest.warns(ImplicitPipeWarning) as warned:
        pl.add(Processor(increment))

    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert "Pipe" in str(warned[0].message)
    assert pl.run([1, 2]) == [3, 5]


@pytest.mark.processes
def test_a_strict_pipeline_whose_pipes_are_written_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pl = built((Processor(double),), (Pipe(),), (Processor(increment),), strict=True)
        assert pl.run([1, 2]) == [3, 5]


@pytest.mark.processes
def test_a_pipeline_that_is_not_strict_puts_pipes_in_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert built((Processor(double),), (Processor(increment),)).run([1, 2]) == [3, 5]


# ------------------------------------------------------------------------------- run needs one lane


@pytest.mark.processes
@pytest.mark.parametrize("call", ["run", "stream"])
def test_a_run_with_several_open_lanes_is_refused_until_they_are_joined(call: str) -> None:
    pl = built((ReplicatingFork(2),), (Processor(double), Processor(only_even)))

    with pytest.raises(TopologyError, match=r"\b2\b.*[Jj]oin|[Jj]oin.*\b2\b"):
        getattr(pl, call)([1])

    assert sorted(pl.add(Join(2)).run([1, 2])) == [2, 2, 4]


@pytest.mark.processes
@pytest.mark.parametrize("call", ["run", "stream"])
def test_a_run_of_a_pipeline_without_stages_is_refused(call: str) -> None:
    pl = pipeline()

    with pytest.raises(TopologyError):
        getattr(pl, call)([1])

    assert pl.add(Processor(double)).run([1]) == [2]


def test_a_run_inside_an_adapting_fork_is_refused() -> None:
    with pytest.raises(TopologyError, match="Join"):
        built((BalancingFork(),), (Processor(double),)).run([1])


# ---------------------------------------------------------------------------------------- lifecycle


def opened_twice(pl: Any) -> None:
    pl.open()
    try:
        pl.open()
    finally:
        pl.close()


def closed_twice(pl: Any) -> None:
    pl.open()
    pl.close()
    pl.close()


def opened_inside_with(pl: Any) -> None:
    with pl:
        pl.open()


def closed_inside_with(pl: Any) -> None:
    with pl:
        pl.close()


def entered_inside_with(pl: Any) -> None:
    with pl, pl:
        pass


def run_while_a_stream_is_open(pl: Any) -> None:
    with pl.stream([1, 2, 3]) as stream:
        next(stream)
        pl.run([1])


def streamed_while_a_stream_is_open(pl: Any) -> None:
    with pl.stream([1, 2, 3]):
        pl.stream([1])


def run_by_the_source_of_a_run(pl: Any) -> None:
    def source() -> Iterator[int]:
        yield from pl.run([1])

    pl.run(source())


def added_to_after_open(pl: Any) -> None:
    pl.open()
    try:
        pl.add(Pipe())
    finally:
        pl.close()


def added_to_after_a_run(pl: Any) -> None:
    pl.run([1])
    pl.add(Pipe())


def added_to_after_a_run_inside_with(pl: Any) -> None:
    with pl:
        pl.run([1])
        pl.add(Pipe())


def added_to_after_close(pl: Any) -> None:
    pl.open()
    pl.close()
    pl.add(Pipe())


Misuse = Callable[[Any], None]
DIFFERENT: tuple[Misuse, ...] = (
    opened_twice,
    closed_twice,
    opened_inside_with,
    closed_inside_with,
    run_while_a_stream_is_open,
    added_to_after_a_run,
)
MISUSES: tuple[Misuse, ...] = (
    *DIFFERENT,
    entered_inside_with,
    streamed_while_a_stream_is_open,
    run_by_the_source_of_a_run,
    added_to_after_open,
    added_to_after_a_run_inside_with,
    added_to_after_close,
)


def complaint(misuse: Misuse) -> str:
    with pytest.raises(LifecycleError) as refused:
        misuse(built((Processor(double),)))
    return str(refused.value)


@pytest.mark.processes
@pytest.mark.parametrize("misuse", MISUSES, ids=label)
def test_a_pipeline_refuses_to_be(misuse: Misuse) -> None:
    assert complaint(misuse)


@pytest.mark.processes
def test_each_misuse_has_a_text_of_its_own() -> None:
    texts = [complaint(misuse) for misuse in DIFFERENT]

    assert len(set(texts)) == len(texts)


@pytest.mark.processes
@pytest.mark.parametrize("misuse", MISUSES, ids=label)
def test_a_pipeline_works_as_before_after_it_was(misuse: Misuse) -> None:
    pl = built((Processor(double),))
    with pytest.raises(LifecycleError):
        misuse(pl)

    assert pl.run([1, 2, 3]) == [2, 4, 6]


@pytest.mark.processes
def test_a_misuse_does_not_disturb_the_stream_that_is_open() -> None:
    pl = built((Processor(double),))

    with pl.stream([1, 2, 3]) as stream:
        assert next(stream) == 2
        with pytest.raises(LifecycleError):
            pl.run([1])
        assert list(stream) == [4, 6]


@pytest.mark.processes
def test_a_pipeline_may_be_built_inside_with() -> None:
    with pipeline() as pl:
        pl.add(Processor(double))
        assert pl.run([1]) == [2]


@pytest.mark.processes
def test_a_pipeline_may_be_opened_again() -> None:
    pl = built((Processor(double),))
    for _ in range(2):
        pl.open()
        assert pl.run([1]) == [2]
        pl.close()
    with pl:
        assert pl.run([1]) == [2]
