"""Pipelines added to pipelines: all accepted, with exactly these types."""

from __future__ import annotations

from typing import assert_type

from conveyor import AdaptivePipeline, BalancingFork, Join, Pipe, Pipeline, Processor, ReplicatingFork, RunResult, Zip
from tests.typing.chain_stock import double, encode, half, parse, shout


def parsing() -> Pipeline[str, int]:
    return Pipeline[str](name="parsing").add(Processor(shout)).add(Processor(parse))


def two_lanes() -> Pipeline[str, int, bytes]:
    return Pipeline[str]().add(ReplicatingFork(2)).add(Processor(parse), Processor(encode))


def a_pipeline_is_a_stage() -> None:
    assert_type(Pipeline[str]().add(parsing()), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(shout)).add(parsing()).add(Processor(half)), Pipeline[str, float])
    assert_type(Pipeline().add(parsing()), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Pipeline[str]().add(parsing())).add(Processor(double)), Pipeline[str, int])
    assert_type(Pipeline[bool]().add(Pipeline[int]().add(Processor(half))), Pipeline[bool, float])
    assert_type(Pipeline[str]().add(parsing()).run(["1"]), RunResult[int])


def with_several_open_lanes() -> None:
    assert_type(Pipeline[str]().add(two_lanes()), Pipeline[str, int, bytes])
    assert_type(Pipeline[str]().add(Pipe()).add(two_lanes()), Pipeline[str, int, bytes])
    assert_type(Pipeline().add(two_lanes()), Pipeline[str, int, bytes])
    assert_type(Pipeline[str]().add(two_lanes()).add(Zip(2)), Pipeline[str, tuple[int, bytes]])
    assert_type(Pipeline[str]().add(two_lanes()).add(Processor(half), Pipe()).add(Join(2)), Pipeline[str, float | bytes])


def in_a_row() -> None:
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(parsing(), parsing()), Pipeline[str, int, int])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(parsing(), Processor(shout)), Pipeline[str, int, str])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), parsing()), Pipeline[str, str, int])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(two_lanes(), parsing()), Pipeline[str, int, bytes, int])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(parsing(), two_lanes()), Pipeline[str, int, int, bytes])
    assert_type(Pipeline[str]().add(BalancingFork()).add(parsing()), AdaptivePipeline[str, int])
    assert_type(Pipeline[str]().add(BalancingFork()).add(parsing()).add(Join()), Pipeline[str, int])


def in_statements() -> None:
    with Pipeline[str]() as pl:
        pl.add(parsing())
        pl.add(Processor(half))
        pl.run(["1"])
    with Pipeline[str]() as inner:
        inner.add(Processor(parse))
        Pipeline[str]().add(inner).add(Processor(half))
