"""The hammered pipelines whose stages keep a state by themselves, and what must come of them."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import accumulate
from math import inf
from typing import Any, cast

from conveyor import (
    Batch,
    Late,
    PerKey,
    Pipe,
    Processor,
    Scan,
    Tap,
    Tumbling,
    Unbatch,
    Window,
)
from tests.chaos.jobs import KEYS, InKey, Sum, Together, Work

__all__ = ["gathered", "keyed", "of_gathered", "of_keyed", "of_windowed", "windowed"]


def gathered(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Batch(7)).add(Pipe(capacity)).add(Unbatch())
    pl = pl.add(Pipe(capacity)).add(Scan(Sum(0, us), 0, name="scan")).add(Pipe(capacity))
    pl = pl.add(Tap(Work(1, us), name="tap")).add(Pipe(capacity))
    return pl.add(Batch(5, name="again")).add(Pipe(capacity))


def of_gathered(n: int) -> list[Any]:
    sums = list(accumulate(range(n)))
    return [sums[at : at + 5] for at in range(0, n, 5)]


def keyed(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    keys: Any = PerKey(key_of, partial(InKey, 1, us), max_keys=KEYS // 2, name="keyed")
    return pl.add(keys).add(Pipe(capacity))


def key_of(item: int) -> int:
    return item % KEYS if item % 3 else 0


def of_keyed(n: int) -> list[Any]:
    live: OrderedDict[int, tuple[int, int, int]] = OrderedDict()  # number, last item, count
    due: list[Any] = []
    for item in range(n):
        key = key_of(item)
        if key not in live and len(live) == KEYS // 2:
            _, (_, last, count) = live.popitem(last=False)
            due.append(("end", last, count))
        number, _, count = live.pop(key, (item, 0, 0))
        live[key] = (number, item, count + 1)
        due.append((item, count + 1))
    return [*due, *(("end", last, count) for _, last, count in sorted(live.values()))]


def windowed(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    windows: Any = Window(
        Tumbling(10),
        time=shaken,
        fold=Together(1, us),
        initial=[],
        lateness_s=1,
        late="emit",
        name="windowed",
    )
    return pl.add(windows).add(Pipe(capacity)).add(Processor(plainly, name="after"))


def shaken(item: int) -> int:
    """Times that go back by three at most."""
    return item ^ 3


def plainly(each: Any) -> Any:
    is_late = isinstance(each, Late)
    return cast("Late[Any]", each).item if is_late else (each.start, each.end, tuple(each.value))


def of_windowed(n: int) -> list[Any]:
    top = 0
    due: list[Any] = []
    windows: dict[int, list[int]] = {}

    def give_out(until: float) -> None:
        for start in sorted(start for start in windows if start + 10 <= until):
            due.append((start, start + 10, tuple(windows.pop(start))))

    for item in range(n):
        start = shaken(item) // 10 * 10
        if start + 10 <= top - 1:
            due.append(item)
            continue
        windows.setdefault(start, []).append(item)
        top = max(top, shaken(item))
        give_out(top - 1)
    give_out(inf)
    return due
