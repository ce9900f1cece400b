"""Chains between sources and sinks, with mistakes: each marked line is reported by the checkers that its mark names, and
no other line is."""

from __future__ import annotations

from conveyor import BalancingFork, Pipe, Pipeline, Processor, ReplicatingFork, RunResult, Sink, Source
from tests.typing.chain_stock import half, parse, show
from tests.typing.chains_into_sinks import Into, Rows, Texts


def what_does_not_fit(sink: Sink[int]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    pipeline.drain(Texts(), into=Into(str))  # error: mypy pyright
    pipeline.drain(Texts(), into=Rows(dict))  # error: mypy pyright
    pipeline.drain([1, 2], into=Into(int))  # error: mypy pyright
    pipeline.drain(3, into=Into(int))  # error: mypy pyright
    pipeline.drain(Texts(), into=[])  # error: mypy pyright
    pipeline.drain(Texts())  # error: mypy pyright
    pipeline.drain(Texts(), Into(int))  # error: mypy pyright
    pipeline.drain(Texts(), into=Into(int), record=3)  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).drain(Texts(), into=Into(float))  # error: mypy pyright
    Pipeline[int]().add(Processor(show)).drain([1], into=sink)  # error: mypy pyright
    Pipeline().add(Processor(parse)).drain([1], into=sink)  # error: mypy pyright
    numbers: RunResult[int] = pipeline.drain(Texts(), into=Into(int))  # error: mypy pyright
    source: Source[int, int] = Texts()  # error: mypy pyright
    other: Sink[str] = sink  # error: mypy pyright
    print(numbers, source, other)


def drain_on_open_lanes(sink: Sink[int]) -> None:
    Pipeline[int]().add(ReplicatingFork(2)).drain([1], into=sink)  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(3)).add(Pipe(), Pipe(), Pipe()).drain([1], into=sink)  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).drain([1], into=sink)  # error: mypy pyright
    Pipeline[int]().drain([1], into=sink)  # error: mypy pyright
