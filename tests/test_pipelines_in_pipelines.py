"""A pipeline that is added to another one stands for its stages: the same as if they had been
written there."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Zip,
)
from conveyor.errors import ImplicitPipeWarning, LifecycleError, StageTypeError, TopologyError
from conveyor.graph.topology import DONE, STEP
from conveyor.sim import Faults
from conveyor.sim.schedule import CUT, IN, LANES, LEFT, MACHINE, NEXT, RESTART, SAVES, STOP, TIMER
from tests.helpers import pipeline
from tests.jobs import double, increment, is_even, repeated


def parse(line: str) -> int:
    return int(line)


def reciprocal(number: int) -> int:
    return 1 // number


def half(number: int) -> float:
    return number / 2


def refused(kind: type[Exception], make: Callable[[], object]) -> str:
    with pytest.raises(kind) as failed:
        make()
    return str(failed.value)


def names(pl: Any) -> list[str]:
    return [stage.name for stage in pl.topology.stages]


def shape(pl: Any) -> list[tuple[object, ...]]:
    """The graph without names."""
    nodes = [(node.kind, node.inputs, node.depth, node.stamps) for node in pl.topology.nodes]
    return [*nodes, *pl.topology.channels]


def chain(pl: Any) -> Any:
    return pl.add(Processor(increment)).add(Pipe(3)).add(Filter(is_even)).add(FlatMap(repeated))


def diamond(pl: Any) -> Any:
    return pl.add(ReplicatingFork(2)).add(Processor(double), Pipe(2)).add(Join(2))


def pairs(pl: Any) -> Any:
    return pl.add(ReplicatingFork(2)).add(Processor(double), Processor(increment)).add(Zip(2))


def ordered(pl: Any) -> Any:
    lanes = pl.add(BalancingFork(2)).add(FlatMap(repeated), FlatMap(repeated))
    return lanes.add(Join(2, ordered=True))


def adapting(pl: Any) -> Any:
    return pl.add(BalancingFork()).add(Processor(double)).add(Join(ordered=True))


def nested(pl: Any) -> Any:
    return pl.add(diamond(pipeline())).add(Processor(double))


PARTS = [chain, diamond, pairs, ordered, adapting, nested]


@pytest.mark.parametrize("part", PARTS)
def test_it_is_the_graph_of_its_stages(part: Callable[[Any], Any]) -> None:
    added = pipeline().add(Processor(double)).add(part(pipeline())).add(Processor(str))
    written = part(pipeline().add(Processor(double))).add(Processor(str))
    assert shape(added) == shape(written)
    assert names(added) == names(written)


@pytest.mark.processes
@pytest.mark.parametrize("part", PARTS)
def test_it_gives_the_same_in_both_worlds(part: Callable[[Any], Any]) -> None:
    added = pipeline().add(part(pipeline(name="part"))).add(Processor(str))
    written = part(pipeline()).add(Processor(str))
    assert sorted(added.run(range(5))) == sorted(written.run(range(5)))
    assert added.simulate(range(5), seed=3) == written.simulate(range(5), seed=3)
    assert added.count(range(3)) == written.count(range(3))


@pytest.mark.parametrize("part", PARTS)
def test_every_death_in_it_is_made_up_for(part: Callable[[Any], Any]) -> None:
    pl = pipeline().add(Processor(increment)).add(part(pipeline(name="part")))
    expected = sorted(pl.simulate(range(3)))

    def has_all(run: list[Any]) -> bool:
        return sorted(run) == expected

    found = pl.explore(range(3), has_all, faults=Faults(), schedules=150)
    assert found.failure is None


def test_a_row_may_be_of_pipelines_and_stages() -> None:
    left, right = pipeline().add(Processor(double)), pairs(pipeline())
    lanes = pipeline().add(ReplicatingFork(3)).add(left, Pipe(), right)
    assert sorted(map(str, lanes.add(Join(3)).simulate([4]))) == ["(8, 5)", "4", "8"]


def test_what_it_has_open_is_open_behind_it_from_left_to_right() -> None:
    opens = pipeline().add(ReplicatingFork(2)).add(Processor(double), Processor(increment))
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(str), opens)
    assert list(lanes.add(Zip(3)).simulate([4])) == [("4", 8, 5)]


def test_lanes_of_a_fork_inside_can_be_joined_in_order_outside() -> None:
    opens = pipeline(name="work").add(BalancingFork(2)).add(FlatMap(repeated), FlatMap(repeated))
    pl = pipeline().add(opens).add(Join(2, ordered=True))
    assert list(pl.simulate(range(4))) == [1, 2, 2, 3, 3, 3]


# -------------------------------------------------------------------------------------------- names


def test_its_name_stands_before_the_names_of_its_stages() -> None:
    clean = pipeline(name="clean").add(Processor(double)).add(Pipe(3)).add(Processor(increment))
    pl = pipeline().add(clean).add(Processor(double)).add(clean)
    assert names(pl) == [
        *("clean/double", "clean/pipe", "clean/increment", "double"),
        *("clean#2/double", "clean#2/pipe", "clean#2/increment"),
    ]
    assert names(pipeline().add(pipeline(name="all").add(clean))) == [
        "all/clean/double",
        "all/clean/pipe",
        "all/clean/increment",
    ]


def test_without_a_name_they_are_named_as_if_they_were_written_there() -> None:
    part = pipeline().add(Processor(double)).add(Processor(double))
    assert names(pipeline().add(Processor(double)).add(part)) == ["double", "double#2", "double#3"]


def test_reports_errors_and_schedules_call_them_so() -> None:
    part = pipeline(name="part").add(Processor(double)).add(Processor(increment))
    untyped = pipeline(name="part").add(Processor(reciprocal, name="divide"))
    with pytest.raises(ZeroDivisionError) as failed:
        pipeline().add(untyped).simulate([0])
    assert "in stage 'part/divide'" in failed.value.__notes__[0]
    result = pipeline().add(part).add(Processor(str)).simulate([])
    assert [*result.report.stages] == ["part/double", "part/increment", "str"]
    forked = pipeline().add(diamond(pipeline(name="part")))
    run = forked.simulate([1, 2], seed=1)
    assert "part/join." in str(run.schedule)
    assert forked.replay([1, 2], run.schedule) == run


@pytest.mark.parametrize("name", ["", 3])
def test_a_name_is_a_string_that_is_not_empty(name: object) -> None:
    words = refused(TopologyError, lambda: pipeline(name=name))
    assert words == f"Pipeline: name is {name!r}; it must be a string that is not empty"


WORDS = [CUT, DONE, IN, LANES, LEFT, MACHINE, NEXT, SAVES, STEP, STOP, TIMER]


@pytest.mark.parametrize("name", ["!boom", RESTART, "~in", *[f"batch{word}" for word in WORDS]])
def test_a_name_that_means_something_in_a_schedule_is_refused(name: str) -> None:
    for make in (lambda: pipeline(name=name), lambda: Processor(parse, name=name)):
        assert "which means something else in a schedule" in refused(TopologyError, make)


@pytest.mark.parametrize("name", ["a\0b", "\x1b[1m", "\ud800"])
def test_a_name_that_no_picture_can_have_is_refused(name: str) -> None:
    for make in (lambda: pipeline(name=name), lambda: Processor(parse, name=name)):
        assert "leave out control characters" in refused(TopologyError, make)


def test_it_is_shown_as_a_stage() -> None:
    clean = pipeline(name="clean").add(Processor(parse)).add(Processor(half))
    assert repr(clean) == "Pipeline('clean': Processor(parse) | Processor(half))"
    assert repr(pipeline().add(clean).add(Processor(str))) == (
        "Pipeline(Pipeline('clean': Processor(parse) | Processor(half)) | Processor(str))"
    )


# ------------------------------------------------------------------------------- what it is not


def test_what_is_added_to_it_later_does_not_show() -> None:
    part = pipeline().add(Processor(double))
    pl = pipeline().add(part)
    part.add(Processor(str))
    assert list(pl.simulate([1])) == [2]
    assert list(part.simulate([1])) == ["2"]


def test_it_is_as_it_was_and_can_be_run_by_itself() -> None:
    part = chain(pipeline(name="part"))
    before = shape(part), names(part), list(part.simulate(range(4)))
    pipeline().add(part).add(Processor(str)).simulate(range(4))
    assert (shape(part), names(part), list(part.simulate(range(4)))) == before


def test_a_pipeline_that_was_copied_or_pickled_has_its_parts() -> None:
    pl = pipeline(name="all").add(diamond(pipeline(name="part")))
    for other in (copy.copy(pl), pickle.loads(pickle.dumps(pl))):
        assert names(other) == names(pl)
        assert repr(other) == repr(pl)


def test_types_are_held_against_what_its_lane_carries() -> None:
    clean = pipeline(name="clean").add(Processor(parse)).add(Processor(half))
    assert refused(StageTypeError, lambda: pipeline().add(Processor(parse)).add(clean)) == (
        "row 2, lane 1, in Pipeline('clean': Processor(parse) | Processor(half)), row 1: "
        "Processor(parse) takes str, but the lane carries int"
    )
    words = refused(StageTypeError, lambda: pipeline().add(clean).add(Processor(parse)))
    assert words == "row 2, lane 1: Processor(parse) takes str, but the lane carries float"


def test_what_it_is_declared_to_take_counts_where_its_first_stage_does_not_say() -> None:
    declared: Any = Pipeline[str]().add(Pipe())
    words = refused(StageTypeError, lambda: pipeline().add(Processor(parse)).add(declared))
    assert words == "row 2, lane 1: Pipeline(Pipe(16384)) takes str, but the lane carries int"
    untold = pipeline().add(declared)
    assert "takes int" in refused(StageTypeError, lambda: untold.add(Processor(half)))


def test_a_row_that_is_refused_leaves_the_pipeline_as_it_was() -> None:
    pl = pipeline().add(Processor(half))
    part: Any = pipeline(preload=["json"]).add(Pipe()).add(Processor(parse))
    refused(StageTypeError, lambda: pl.add(part))
    assert names(pl.add(Processor(str))) == ["half", "str"]


def test_it_takes_one_lane() -> None:
    part = pipeline().add(Processor(double))
    words = refused(TopologyError, lambda: pipeline().add(ReplicatingFork(2)).add(part))
    assert "Pipeline(Processor(double)) takes 1 lane, but 2 lanes are open" in words


def test_itself_and_an_empty_one_are_refused() -> None:
    pl = pipeline().add(Processor(double))
    assert "cannot be added to itself" in refused(TopologyError, lambda: pl.add(pl))
    assert list(pl.add(copy.copy(pl)).simulate([1])) == [4]
    assert "has no stage yet" in refused(TopologyError, lambda: pl.add(pipeline()))


@pytest.mark.processes
def test_one_that_is_open_or_under_way_is_refused() -> None:
    part = pipeline().add(Processor(double)).open()
    assert "is open; close() it first" in refused(LifecycleError, lambda: pipeline().add(part))
    part.close()
    assert list(pipeline().add(part).simulate([1])) == [2]
    words = list[str]()

    def asks() -> Iterator[int]:
        words.append(refused(LifecycleError, lambda: pipeline().add(part)))
        yield 1

    part.run(asks())
    assert words == ["add(other): a run or stream of the other pipeline is under way"]


@pytest.mark.processes
def test_inside_with_it_can_be_added_until_it_has_run() -> None:
    with pipeline() as part:
        part.add(Processor(double))
        assert list(pipeline().add(part).simulate([1])) == [2]
        part.run([1])
        assert "close() it first" in refused(LifecycleError, lambda: pipeline().add(part))
    assert list(pipeline().add(part).simulate([1])) == [2]


@pytest.mark.processes
def test_nothing_is_added_to_a_pipeline_that_has_run() -> None:
    pl = pipeline().add(Processor(double))
    pl.run([1])
    part = pipeline().add(Processor(double))
    assert "the topology is fixed" in refused(LifecycleError, lambda: pl.add(part))


def test_a_strict_pipeline_begins_with_a_processor_of_a_part_too() -> None:
    words = refused(TopologyError, lambda: pipeline(strict=True).add(diamond(pipeline())))
    assert "a strict pipeline begins with a processor, not with ReplicatingFork(2)" in words
    part = pipeline().add(Processor(double)).add(Processor(increment))
    with pytest.warns(ImplicitPipeWarning, match="in between 'double' and 'increment'"):
        pipeline(strict=True).add(part)
    written = pipeline().add(Processor(double)).add(Pipe(3)).add(Processor(increment))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline(strict=True).add(written)


def nothing() -> None: ...
def something() -> None: ...


def test_an_initializer_belongs_to_the_pipeline_that_is_run() -> None:
    part = pipeline(initializer=nothing).add(Processor(double))
    words = refused(TopologyError, lambda: pipeline().add(part))
    assert "has an initializer of its own" in words
    refused(TopologyError, lambda: pipeline(initializer=something).add(part))
    assert list(pipeline(initializer=nothing).add(part).simulate([1])) == [2]


@pytest.mark.processes
def test_what_a_part_wants_preloaded_is_preloaded() -> None:
    def is_there(module: str) -> bool:
        import sys

        return module in sys.modules

    part = pipeline(preload=["colorsys"]).add(Processor(is_there))
    assert list(pipeline("forkserver").add(part).run(["colorsys"])) == [True]
