"""Chain style with forks that look at their items, without a mistake: every checker accepts each line, and reads each
type as it stands here.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TypeGuard, assert_type

from typing_extensions import TypeIs

from conveyor import (
    Join,
    PartitioningFork,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    RoutingFork,
    SplittingFork,
)
from conveyor.pipeline import AdaptivePipeline, WidePipeline


def user_of(event: tuple[str, int]) -> str:
    return event[0]


def length(text: str) -> int:
    return len(text)


def any_lane(item: object) -> int:
    return 0


def anything(item: object) -> bool:
    return bool(item)


def is_long(text: str) -> bool:
    return len(text) > 3


def is_int(item: int | str) -> TypeIs[int]:
    return isinstance(item, int)


def is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)


def double(number: int) -> int:
    return 2 * number


def lanes_are_of_the_type_of_the_lane_before() -> None:
    events = Pipeline[tuple[str, int]]()
    assert_type(events.add(PartitioningFork(2, key=user_of)), Pipeline[tuple[str, int], tuple[str, int], tuple[str, int]])
    assert_type(Pipeline[str]().add(PartitioningFork(1, key=str.lower)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(RoutingFork(3, lane=length)), Pipeline[str, str, str, str])
    assert_type(Pipeline[str]().add(SplittingFork(is_long)), Pipeline[str, str, str])
    assert_type(Pipeline[str]().add(Processor(length)).add(RoutingFork(2, lane=double)), Pipeline[str, int, int])


def a_function_that_takes_more_leaves_the_type_as_it_is() -> None:
    assert_type(Pipeline[str]().add(PartitioningFork(2, key=anything)), Pipeline[str, str, str])
    assert_type(Pipeline[str]().add(RoutingFork(2, lane=any_lane)), Pipeline[str, str, str])
    assert_type(Pipeline[str]().add(SplittingFork(anything)), Pipeline[str, str, str])
    assert_type(Pipeline[bool]().add(SplittingFork(anything)), Pipeline[bool, bool, bool])


def a_lambda_knows_its_item() -> None:
    assert_type(
        Pipeline[tuple[str, int]]().add(PartitioningFork(2, key=lambda event: event[0].lower())),
        Pipeline[tuple[str, int], tuple[str, int], tuple[str, int]],
    )
    assert_type(Pipeline[str]().add(RoutingFork(2, lane=lambda text: len(text) % 2)), Pipeline[str, str, str])
    assert_type(Pipeline[str]().add(SplittingFork(lambda text: text.isdigit())), Pipeline[str, str, str])
    assert_type(
        Pipeline[tuple[str, int]]().add(PartitioningFork(key=itemgetter(0))), AdaptivePipeline[tuple[str, int], tuple[str, int]]
    )


def a_guard_narrows_the_first_lane() -> None:
    assert_type(Pipeline[object]().add(SplittingFork(is_text)), Pipeline[object, str, object])
    halves = Pipeline[int | str]().add(SplittingFork(is_int)).add(Processor(double), Pipe())
    halves.add(Join(2))


def two() -> Pipeline[str, str, str]:
    return Pipeline[str]().add(ReplicatingFork(2))


def rows_of_several_stages() -> None:
    assert_type(two().add(SplittingFork(is_long), Pipe()), Pipeline[str, str, str, str])
    assert_type(two().add(Pipe(), RoutingFork(2, lane=length)), Pipeline[str, str, str, str])
    assert_type(two().add(PartitioningFork(2, key=length), Processor(length)), Pipeline[str, str, str, int])


def widths_that_are_not_known(n: int) -> None:
    assert_type(Pipeline[str]().add(PartitioningFork(n, key=length)), WidePipeline[str, str])
    assert_type(Pipeline[str]().add(RoutingFork(12, lane=length)).add(Join(12)), Pipeline[str, str])
    partition = Pipeline[str]().add(PartitioningFork(key=length, max_lanes=4))
    assert_type(partition, AdaptivePipeline[str, str])
    assert_type(partition.add(Processor(length)).add(Join(ordered=True)), Pipeline[str, int])


def closed_as_any_other() -> None:
    lanes = Pipeline[str]().add(SplittingFork(str.isdigit)).add(Processor(int), Pipe())
    assert_type(lanes, Pipeline[str, int, str])
    assert_type(lanes.add(Join(2, ordered=True)), Pipeline[str, int | str])
