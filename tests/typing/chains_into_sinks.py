"""Chains between sources and sinks: all accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, assert_type

from conveyor import (
    AsyncStream,
    Checkpoint,
    Join,
    Pipeline,
    Processor,
    ReplicatingFork,
    Report,
    Sink,
    Source,
    Stream,
    Zip,
)
from tests.typing.chain_stock import half, maybe, parse, show

T = TypeVar("T")


class Texts:
    """A source of its own, with the number of bytes as the position."""

    def open(self, position: int | None) -> Iterator[tuple[str, int]]:
        yield "1", (position or 0) + 1

    def identity(self) -> str:
        return "texts"


class Into(Generic[T]):
    """A sink that is told what it takes."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self.items: list[T] = []

    def open(self, epoch: int) -> None: ...

    def write(self, items: Sequence[T]) -> None:
        self.items += items

    def prepare(self, epoch: int) -> None: ...

    def commit(self, epoch: int) -> None: ...

    def abort(self) -> None: ...

    def identity(self) -> str:
        return self.kind.__name__


class Rows(Into[Mapping[str, object]]):
    """A sink of whatever is a row, which knows what it holds."""

    def open(self, epoch: int) -> int:  # type: ignore[override]  # None in its base
        return epoch - 1


def row(number: int) -> dict[str, int]:
    return {"number": number}


def drained(lines: Iterable[str], numbers: list[int]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    assert_type(pipeline.drain(Texts(), into=Into(int)), Report)
    assert_type(pipeline.drain(lines, into=Into(int)), Report)
    assert_type(pipeline.drain(Texts(), into=Into(int), checkpoint=Checkpoint("state")), Report)
    pipeline.drain(["1"], into=Into[float](float), record=Path("run.cvd"), progress=True)
    pipeline.drain((line for line in lines), into=Into[object](object), progress=print)
    pipeline.add(Processor(row)).drain(Texts(), into=Rows(dict))
    Pipeline[str]().add(Processor(maybe)).drain(Texts(), into=Into(int))
    Pipeline().add(Processor(parse)).drain(Texts(), into=Into(int))
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half), Processor(show)).add(Join(2)).drain(
        numbers, into=Into[object](object)
    )
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half), Processor(show)).add(Zip(2)).drain(
        numbers, into=Into[tuple[float, str]](tuple)
    )


def acknowledged(lines: Iterable[str]) -> None:
    pipeline, kept = Pipeline[str]().add(Processor(parse)), Checkpoint("state")
    stream = pipeline.stream(Texts(), checkpoint=kept, progress=True)
    assert_type(stream, Stream[int])
    assert_type(stream.acknowledge(), None)
    assert_type(pipeline.stream(lines, checkpoint=kept), Stream[int])
    assert_type(pipeline.stream(Texts()), Stream[int])
    beside = pipeline.astream(Texts(), checkpoint=kept)
    assert_type(beside, AsyncStream[int])
    assert_type(beside.acknowledge(), None)
    assert_type(pipeline.astream(lines, checkpoint=None), AsyncStream[int])
    assert_type(Pipeline().add(Processor(parse)).stream(Texts(), checkpoint=kept), Stream[int])


def for_any(source: Source[str, Any], sink: Sink[int]) -> Report:
    return Pipeline[str]().add(Processor(parse)).drain(source, into=sink)


texts: Source[str, int] = Texts()
floats: Sink[int] = Into[float](float)
