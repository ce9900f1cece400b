"""What windows are: which times they hold, and what is given out of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeAlias

from typing_extensions import TypeVar

from conveyor.errors import TopologyError

__all__ = ["Late", "Session", "Sliding", "Tumbling", "Windowed"]

K = TypeVar("K", covariant=True)
S = TypeVar("S", covariant=True)
T = TypeVar("T", covariant=True)

Number: TypeAlias = "int | float"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
FARTHEST: Final = 1 << 53  # whole numbers beyond it are not all floats


@dataclass(frozen=True, slots=True)
class Windowed(Generic[K, S]):
    """What a `Window` gives: one window of one key.

    It holds `count` items, whose times are from `start` on and before `end`, folded to `value`.
    `start` and `end` are of the type of these times; `key` is None without a key.
    """

    key: K
    start: float | datetime
    end: float | datetime
    value: S
    count: int

    @property
    def length_s(self) -> float:
        """How long the window is, in seconds; a session is `gap_s` longer than its items are apart.

        >>> Windowed("ann", 10.0, 40.0, None, 6).length_s
        30.0
        """
        match self.start, self.end:
            case datetime() as start, datetime() as end:
                return (end - start).total_seconds()
            case (float() | int()) as start, (float() | int()) as end:
                return end - start
            case start, end:
                raise TypeError(f"{start!r} and {end!r} are no two times of one type")


@dataclass(frozen=True, slots=True)
class Late(Generic[T]):
    """An item that came when all windows that it belongs to had been given out."""

    item: T


@dataclass(frozen=True, slots=True)
class Tumbling:
    """Windows of `size_s` seconds, one behind the other, aligned to 0.

    Raises `TopologyError` if it is no number of seconds above 0.
    """

    size_s: float

    def __post_init__(self) -> None:
        checked_seconds("Tumbling: size_s", self.size_s)


@dataclass(frozen=True, slots=True)
class Sliding:
    """Windows of `size_s` seconds, of which one begins every `every_s` seconds, aligned to 0.

    Where they overlap an item belongs to several; where there is room between them, some belong to
    none.  Raises `TopologyError` if one of the two is no number of seconds above 0.
    """

    size_s: float
    every_s: float

    def __post_init__(self) -> None:
        checked_seconds("Sliding: size_s", self.size_s)
        checked_seconds("Sliding: every_s", self.every_s)


@dataclass(frozen=True, slots=True)
class Session:
    """A window for each group of items of which none is `gap_s` seconds or more behind the one
    before it; the window ends `gap_s` seconds after its last item.

    Raises `TopologyError` if it is no number of seconds above 0.
    """

    gap_s: float

    def __post_init__(self) -> None:
        checked_seconds("Session: gap_s", self.gap_s)


def checked_seconds(what: str, value: object, least: str = "above 0") -> None:
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or value < 0
        or (value == 0 and least == "above 0")
    ):
        raise TopologyError(f"{what} is {value!r}; it must be a number of seconds {least}")


# ----------------------------------------------------------------------------- times as numbers


def number_of(time: object) -> tuple[type, Number]:
    """The type of a time, and the number that stands for it: seconds, or microseconds since the
    epoch.

    Raises `TypeError` or `ValueError` for what is no time.
    """
    if isinstance(time, bool):
        raise TypeError(f"{time!r} is no time")
    if isinstance(time, int):
        return int, int(time)
    if isinstance(time, float):
        if not math.isfinite(time):
            raise ValueError(f"{time!r} is no time")
        return float, float(time)
    if isinstance(time, datetime):
        if time.utcoffset() is None:
            raise ValueError(
                f"{time!r} has no time zone: give times that have one, such as "
                "time.replace(tzinfo=timezone.utc)"
            )
        return datetime, (time - EPOCH) // MICROSECOND
    raise TypeError(
        f"{time!r} is no time: an int or a float, in seconds, or a datetime with a time zone"
    )


def time_of(kind: type, number: Number) -> float | datetime:
    """The time that a number stands for."""
    return EPOCH + number * MICROSECOND if kind is datetime else number


def bounds_of(kind: type) -> tuple[Number, Number]:
    """The first and the last number for which there is a time of a type."""
    if kind is not datetime:
        return -math.inf, math.inf
    first, last = (each.replace(tzinfo=UTC) for each in (datetime.min, datetime.max))
    return (first - EPOCH) // MICROSECOND, (last - EPOCH) // MICROSECOND


def length_of(kind: type, seconds: float) -> Number:
    """A number of seconds, in the numbers of times of a type; raises `ValueError` where these have
    no such length."""
    if kind is float:
        return float(seconds)
    length = round(seconds * 1_000_000) if kind is datetime else int(seconds)
    if not length or (kind is int and length != seconds):
        raise ValueError(
            f"{seconds!r} s is no length between times of type {kind.__name__}: give finer ones"
        )
    return length


# Each window that a time belongs to, earliest first: its number, start and end.
Holding: TypeAlias = Callable[[Number], Iterator[tuple[int, Number, Number]]]


def holding(over: Tumbling | Sliding, kind: type) -> Holding:
    """What tells to which windows a time belongs."""
    size = length_of(kind, over.size_s)
    if isinstance(over, Tumbling):
        return tumbling(size)
    return sliding(size, length_of(kind, over.every_s))


def tumbling(size: Number) -> Holding:
    def holds(time: Number) -> Iterator[tuple[int, Number, Number]]:
        number = last_start(time, size)
        yield number, number * size, (number + 1) * size

    return holds


def sliding(size: Number, every: Number) -> Holding:
    def holds(time: Number) -> Iterator[tuple[int, Number, Number]]:
        last = first = last_start(time, every)
        while (first - 1) * every + size > time:
            first -= 1
        for number in range(first, last + 1):
            start = number * every
            if start + size > time:
                yield number, start, start + size

    return holds


def last_start(time: Number, every: Number) -> int:
    """The number of the last multiple that is not behind a time."""
    number = int(time // every)
    if isinstance(every, float) and abs(number) > FARTHEST:
        raise ValueError(f"{time!r} is too far from 0 for windows of {every!r} s")
    while number * every > time:  # floats are rounded
        number -= 1
    while (number + 1) * every <= time:
        number += 1
    return number
