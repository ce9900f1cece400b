"""Forks that look at their items, with mistakes: each marked line is reported by the checkers that its mark names, and no
other line is."""

from __future__ import annotations

from conveyor import Join, PartitioningFork, Pipe, Pipeline, Processor, RoutingFork, SplittingFork
from tests.typing.chains_with_routes import double, is_long, is_text, length, user_of


def the_function_does_not_fit_the_lane() -> None:
    Pipeline[int]().add(PartitioningFork(2, key=length))  # error: mypy pyright
    Pipeline[int]().add(PartitioningFork(key=length))  # error: mypy pyright
    Pipeline[int]().add(RoutingFork(2, lane=length))  # error: mypy pyright
    Pipeline[int]().add(SplittingFork(is_long))  # error: mypy pyright
    Pipeline[int]().add(SplittingFork(str.isdigit))  # error: mypy pyright
    Pipeline[str]().add(Processor(length)).add(PartitioningFork(3, key=user_of))  # error: mypy pyright
    Pipeline[int]().add(PartitioningFork(2, key=lambda number: number.upper()))  # error: mypy pyright
    Pipeline[str]().add(RoutingFork(2, lane=lambda text: text.upper()))  # error: mypy
    Pipeline[str]().add(RoutingFork(2, lane=str.upper))  # error: mypy pyright


def the_number_of_lanes_does_not_fit() -> None:
    Pipeline[str]().add(SplittingFork(is_long)).add(Join(3))  # error: mypy pyright
    Pipeline[str]().add(PartitioningFork(3, key=length)).add(Pipe(), Pipe())  # error: mypy pyright


def what_is_in_a_lane_does_not_fit() -> None:
    Pipeline[str]().add(RoutingFork(2, lane=length)).add(Processor(double), Pipe())  # error: mypy pyright
    Pipeline[object]().add(SplittingFork(is_text)).add(Processor(double), Pipe())  # error: mypy pyright
    Pipeline[object]().add(SplittingFork(is_text)).add(Processor(length), Processor(length))  # error: mypy pyright


def an_argument_is_missing() -> None:
    Pipeline[str]().add(PartitioningFork(2))  # error: mypy pyright
    Pipeline[str]().add(RoutingFork(2))  # error: mypy pyright
    Pipeline[str]().add(RoutingFork(lane=length))  # error: mypy pyright
