"""What the chains of this directory are made of: one of each kind of callable, and a few types to tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NewType, Protocol, TypeGuard, TypeVar, overload

from typing_extensions import TypeIs

from conveyor import Processor
from conveyor.sim.search.simulation import Simulation

T = TypeVar("T")
S = TypeVar("S", bound="Shape")
Sized2 = TypeVar("Sized2", str, bytes)
UserId = NewType("UserId", int)


def parse(line: str) -> int:
    return int(line)


def half(number: int) -> float:
    return number / 2


def double(number: int) -> int:
    return 2 * number


def show(number: int) -> str:
    return str(number)


def shout(text: str) -> str:
    return text.upper()


def encode(text: str) -> bytes:
    return text.encode()


def decode(data: bytes) -> str:
    return data.decode()


def maybe(line: str) -> int | None:
    return int(line) if line else None


def nothing(line: str) -> None:
    assert line


def words(line: str) -> list[str]:
    return line.split()


def letters(line: str) -> Iterator[str]:
    yield from line


def is_number(item: int | str) -> TypeIs[int]:
    return isinstance(item, int)


def is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)


def is_long(line: str) -> bool:
    return len(line) > 3


def is_even(number: int) -> bool:
    return number % 2 == 0


def anything(item: object) -> str:
    return str(item)


def untyped(item: Any) -> Any:
    return item


def same(item: T) -> T:
    return item


def perhaps(item: T) -> T | None:
    return item


def boxed(item: T) -> list[T]:
    return [item]


def first(items: Sequence[T]) -> T:
    return items[0]


def grown(item: S) -> S:
    return item


def doubled(item: Sized2) -> Sized2:
    return item + item


@overload
def either(item: int) -> str: ...
@overload
def either(item: str) -> bytes: ...
def either(item: int | str) -> str | bytes:
    return str(item) if isinstance(item, int) else item.encode()


def scaled(by: int, number: int) -> float:
    return by * number


def with_default(line: str, base: int = 10) -> int:
    return int(line, base)


def number_or_text_in(base: int, line: str) -> int | str:
    return int(line, base) if line.isdigit() else line


def boxed_times(times: int, item: T) -> list[T]:
    return [item] * times


def maybe_in(base: int, line: str) -> int | None:
    return int(line, base) if line else None


def parts(separator: str, line: str) -> list[str]:
    return line.split(separator)


def is_above(least: int, number: int) -> bool:
    return number > least


def in_order(simulation: Simulation[int]) -> bool:
    return sorted(simulation) == simulation


def spelled_in_order(simulation: Simulation[str]) -> bool:
    return sorted(simulation) == simulation


def two(left: int, right: int) -> int:
    return left + right


def pair_sum(pair: tuple[int, float]) -> float:
    return pair[0] + pair[1]


def register(user: UserId) -> str:
    return str(user)


def number_or_text(line: str) -> int | str:
    return int(line) if line.isdigit() else line


def either_way(item: int | str) -> int:
    return int(item)


@dataclass(frozen=True)
class Shape:
    area: float


@dataclass(frozen=True)
class Square(Shape):
    side: float

    def scaled(self, by: float) -> Square:
        return Square(self.area * by * by, self.side * by)


def measure(shape: Shape) -> float:
    return shape.area


def square(side: int) -> Square:
    return Square(side * side, side)


class Adder:
    """A callable object, with a method of the same kind."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, number: int) -> int:
        return number + self.by

    def method(self, number: int) -> str:
        return str(number + self.by)

    @classmethod
    def named(cls, name: str) -> Adder:
        return cls(len(name))

    @staticmethod
    def parsed(line: str) -> int:
        return int(line)

    @cached_property
    def stored(self) -> Callable[[int], bytes]:
        return lambda number: bytes(number)


class Converter(Protocol):
    def __call__(self, item: str, /) -> float: ...


class Total(Processor[int, int]):
    """A stateful processor: the running total, and at the end nothing more."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.start = start
        self.total = 0

    def setup(self) -> None:
        self.total = self.start

    def process(self, item: int, /) -> int | None:
        self.total += item
        return self.total if self.total else None

    def finish(self) -> Iterable[int]:
        return [self.total]


class Keep(Processor[T, list[T]], Generic[T]):
    """A generic stateful processor."""

    def process(self, item: T, /) -> list[T]:
        return [item]
