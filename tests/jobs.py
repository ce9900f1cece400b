"""Jobs that the tests put into pipelines.

Workers import this file by name, so it stays light: the standard library and conveyor, and no test
tool.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from conveyor import Processor


def same(item: Any) -> Any:
    return item


def double(number: int) -> int:
    return 2 * number


def increment(number: int) -> int:
    return number + 1


def is_even(number: int) -> bool:
    return number % 2 == 0


def only_even(number: int) -> int | None:
    """A filter in the seed's way: None is no output."""
    return number if number % 2 == 0 else None


def repeated(number: int) -> Iterator[int]:
    """Gives a number as often as it says."""
    for _ in range(number):
        yield number


def process_id(_item: object) -> int:
    return os.getpid()


class Multiplier:
    """A callable object, and a method to be bound."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, number: int) -> int:
        return self.factor * number

    def times(self, number: int) -> int:
        return self.factor * number


class Total(Processor[int, int]):
    """Adds up all it ever sees; gives the sum at the end of every run."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def process(self, item: int, /) -> int | None:
        self.total += item
        return None

    def finish(self) -> Iterable[int]:
        yield self.total


class Numbered(Processor[str, tuple[int, str]]):
    """Passes each item with how many went before it in the life of this worker."""

    def setup(self) -> None:
        self.seen = 0

    def process(self, item: str, /) -> tuple[int, str]:
        self.seen += 1
        return self.seen, item


class KeptNumber(Processor[int, tuple[int, int]]):
    """Each item, and the how many-th it is; another worker goes on counting."""

    n = 0

    def process(self, item: int, /) -> tuple[int, int]:
        self.n += 1
        return item, self.n

    def snapshot(self) -> int:
        return self.n

    def restore(self, n: int, /) -> None:
        self.n = n


class LastWord(Processor[int, tuple[str, int]]):
    """Passes items under a name, but for odd ones when told so; says goodbye at the end of every
    run."""

    def __init__(self, lane: str, *, drop_odd: bool = False) -> None:
        super().__init__()
        self.lane = lane
        self.drop_odd = drop_odd

    def process(self, item: int, /) -> tuple[str, int] | None:
        return None if self.drop_odd and item % 2 else (self.lane, item)

    def finish(self) -> Iterable[tuple[str, int]]:
        yield self.lane, -1
        yield self.lane, -2


class Diary(Processor[str, str]):
    """Writes what is done with it, and by which process, into a file, one line each."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def setup(self) -> None:
        self._write("setup")

    def process(self, item: str, /) -> str:
        self._write(item)
        return item

    def finish(self) -> Iterable[str]:
        self._write("finish")
        return ()

    def teardown(self) -> None:
        self._write("teardown")

    def _write(self, event: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{event} {os.getpid()}\n")


class OneBuffer(Processor[int, list[int]]):
    """Returns the same list again and again, longer each time."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer: list[int] = []

    def process(self, item: int, /) -> list[int]:
        self.buffer.append(item)
        return self.buffer


def one_buffer_growing(length: int) -> Iterator[list[int]]:
    """Yields the same list again and again, longer each time."""
    buffer: list[int] = []
    for number in range(length):
        buffer.append(number)
        yield buffer


def append_mark(items: list[object]) -> list[object]:
    """Changes the very item it was given."""
    items.append("mark")
    return items


def kill_once(path: Path) -> Any:
    """A job whose worker dies at items 100 and 300, each once: a file says that it has."""

    def job(x: int) -> int:
        if x in (100, 300) and not (path / f"{x}").exists():
            (path / f"{x}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    return job


def burn(seconds: float) -> None:
    """Keeps a core busy: work, not sleep."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Refused(Exception):
    """A user's own exception."""

    def __init__(self, order: str, reason: int) -> None:
        super().__init__(order, reason)
        self.reason = reason


class Unsendable(Exception):
    """Cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class OneWay(Exception):
    """Can be pickled, but not unpickled: it is made of two arguments and keeps one."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


class CannotBeLoaded:
    """An item that pickles, and raises where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("not a number",)


class Shy:
    """An item that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("not for show")


def obey(order: str) -> object:
    """Gives an order back in capitals, but for the orders that are bad for the one who carries them
    out."""
    match order:
        case "raise":
            raise Refused(order, os.getpid())
        case "raise what cannot be pickled":
            raise Unsendable("kept a lock")
        case "raise what cannot be unpickled":
            raise OneWay("lost", "half of it")
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt("in the job")
        case "leave":
            os._exit(7)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "return a lambda":
            return lambda: order
        case "return a lock":
            return threading.Lock()
        case _:
            pass
    return order.upper()


class Obedient(Processor[str, object]):
    """`obey`, by a stateful processor: what it knows dies with its worker."""

    def process(self, item: str, /) -> object:
        return obey(item)


def obey_in_full(order: str) -> Iterator[object]:
    """`obey`, as a flat-map: raises between two outputs."""
    yield "begin"
    yield obey(order)


def obeys(order: str) -> bool:
    """`obey`, as a predicate."""
    return bool(obey(order))


class BadSetup(Processor[str, str]):
    def setup(self) -> None:
        raise Refused("setup", os.getpid())

    def process(self, item: str, /) -> str:
        return item


class BadFinish(Processor[str, str]):
    def process(self, item: str, /) -> str:
        return item

    def finish(self) -> Iterable[str]:
        raise Refused("finish", os.getpid())


class Gathered(Processor[int, list[int]]):
    """Gives all that it was given when it is let go of."""

    def setup(self) -> None:
        self.items: list[int] = []

    def process(self, item: int, /) -> None:
        self.items.append(item)

    def finish(self) -> Iterator[list[int]]:
        yield self.items

    def snapshot(self) -> object:
        return self.items

    def restore(self, state: Any, /) -> None:
        self.items = state
