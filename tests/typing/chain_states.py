"""Chains of the stages that keep a state, without a mistake; mypy and pyright infer the very same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import assert_type

from conveyor import (
    Batch,
    Join,
    Late,
    PerKey,
    Pipeline,
    Processor,
    Reduce,
    ReplicatingFork,
    RunResult,
    Scan,
    Session,
    Sliding,
    Tap,
    Tumbling,
    Unbatch,
    Window,
    Windowed,
)

Event = tuple[str, int]


class Count(Processor[Event, int]):
    def setup(self) -> None:
        self.count = 0

    def process(self, item: Event, /) -> int | None:
        self.count += item[1]
        return self.count or None


def user(event: Event) -> str:
    return event[0]


def seconds(event: Event) -> int:
    return event[1]


def moment(event: Event) -> datetime:
    return datetime.fromtimestamp(event[1]).astimezone()


def add(total: float, number: int) -> float:
    return total + number


def gathered(events: list[Event], event: Event) -> list[Event]:
    return [*events, event]


def both(one: list[Event], other: list[Event]) -> list[Event]:
    return one + other


def either(state: str | None, number: int) -> str | None:
    return state or str(number)


def show(item: object) -> None:
    print(item)


def batches() -> None:
    assert_type(Pipeline[int]().add(Batch(2)), Pipeline[int, list[int]])
    assert_type(Pipeline[int]().add(Batch(2)).add(Batch(3)), Pipeline[int, list[list[int]]])
    assert_type(Pipeline[int]().add(Batch(2)).add(Unbatch()), Pipeline[int, int])
    assert_type(Pipeline[str]().add(Unbatch()), Pipeline[str, str])
    assert_type(Pipeline[Iterable[int]]().add(Unbatch()), Pipeline[Iterable[int], int])
    assert_type(
        Pipeline[int]().add(ReplicatingFork(2)).add(Batch(2), Batch(3)).add(Join(2)).run([1]),
        RunResult[list[int]],
    )


def folds() -> None:
    assert_type(Pipeline[int]().add(Scan(lambda total, n: total + n, 0)), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Scan(add, 0.0)), Pipeline[int, float])
    assert_type(Pipeline[int]().add(Scan(add, 0)), Pipeline[int, float])
    assert_type(Pipeline[int]().add(Scan(either, None)), Pipeline[int, str | None])
    assert_type(Pipeline[Event]().add(Reduce(gathered, [])), Pipeline[Event, list[Event]])
    assert_type(Pipeline[int]().add(Reduce(lambda total, n: total + n, 0)), Pipeline[int, int])


def taps() -> None:
    assert_type(Pipeline[int]().add(Tap(show)), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Tap(print, read_only=True)), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Tap(lambda n: n.bit_length())), Pipeline[int, int])


def keys() -> None:
    assert_type(Pipeline[Event]().add(PerKey(user, Count)), Pipeline[Event, int])
    assert_type(Pipeline[Event]().add(PerKey(user, lambda: Count(), max_keys=3)), Pipeline[Event, int])
    assert_type(Pipeline[Event]().add(PerKey(lambda event: event[0], Count)), Pipeline[Event, int])


def windows() -> None:
    assert_type(
        Pipeline[Event]().add(Window(Tumbling(60), time=seconds, fold=gathered, initial=[])),
        Pipeline[Event, Windowed[None, list[Event]]],
    )
    assert_type(
        Pipeline[Event]().add(
            Window(
                Sliding(60, 20),
                time=moment,
                key=user,
                fold=lambda total, event: total + event[1],
                initial=0,
            )
        ),
        Pipeline[Event, Windowed[str, int]],
    )
    assert_type(
        Pipeline[Event]().add(Window(Session(5), time=seconds, fold=gathered, initial=[], late="emit")),
        Pipeline[Event, Windowed[None, list[Event]] | Late[Event]],
    )
    assert_type(
        Pipeline[Event]().add(
            Window(
                Session(5),
                time=seconds,
                key=user,
                fold=gathered,
                initial=[],
                late="emit",
                merge=both,
            )
        ),
        Pipeline[Event, Windowed[str, list[Event]] | Late[Event]],
    )
