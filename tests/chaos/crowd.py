"""A worker with a thousand coroutines in hand dies, again and again.

It kills itself, the moment all of them are in hand, so none of the deaths is an easier one.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from conveyor import Pipe, Processor
from tests.helpers import pipeline

__all__ = ["CROWDS", "crowd"]

IN_HAND: Final = 1000
WAITS_S: Final = 0.05  # long enough that a thousand are in hand at the pace of one event loop
MOST: Final = 10_000_000  # items, before it is given up


class Deaths:
    """How many there were so far, in a file that outlives whoever dies."""

    def __init__(self, folder: Path, wanted: int) -> None:
        self.path = folder / "deaths"
        self.path.touch()
        self.wanted = wanted

    @property
    def count(self) -> int:
        return self.path.stat().st_size

    def one_more(self) -> None:
        if self.count < self.wanted:
            with self.path.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)


class InHand:
    """Counts the calls that are under way in this process."""

    def __init__(self, deaths: Deaths) -> None:
        self.deaths = deaths
        self.count = 0

    async def __call__(self, item: int) -> int:
        self.count += 1
        if self.count == IN_HAND:
            self.deaths.one_more()
        await asyncio.sleep(WAITS_S)
        self.count -= 1
        return item


class Numbered(Processor[int, tuple[int, int]]):
    """The same, as a class that numbers its items as they are done."""

    def __init__(self, deaths: Deaths, **options: Any) -> None:
        super().__init__(**options)
        self.wait = InHand(deaths)
        self.number = 0

    async def process(self, item: int) -> tuple[int, int]:
        await self.wait(item)
        self.number += 1
        return self.number, item

    def snapshot(self) -> int:
        return self.number

    def restore(self, state: int) -> None:
        self.number = state


def crowd(deaths: int, *, keeps: bool, ordered: bool) -> str:
    """What was wrong with a run in which a worker died so often; nothing, if nothing was."""
    with TemporaryDirectory() as folder:
        died = Deaths(Path(folder), deaths)
        options: dict[str, Any] = {"concurrency": IN_HAND, "ordered": ordered, "name": "crowd"}
        stage: Any = Numbered(died, **options) if keeps else Processor(InHand(died), **options)
        pl = pipeline().add(Pipe(2 * IN_HAND)).add(stage)
        items = 0

        def until_all_died() -> Iterator[int]:
            nonlocal items
            while items < MOST and (died.count < deaths or items % IN_HAND):
                yield items
                items += 1

        result: list[Any] = pl.run(until_all_died())
        came = died.count
    numbers = [number for number, _ in result] if keeps else []
    passed: list[int] = [item for _, item in result] if keeps else result
    found = Counter(passed)
    lost = sum(item not in found for item in range(items))
    repeated = sum(count - 1 for count in found.values())
    wrong = [
        f"{lost} lost" * (lost > 0),
        f"{repeated} repeated" * (repeated > 0),
        "out of order" * (ordered and passed != sorted(passed)),
        "numbers lost or given twice" * (sorted(numbers) != list(range(1, len(numbers) + 1))),
        f"only {came} deaths" * (came < deaths),
    ]
    return ", ".join(filter(None, wrong))


CROWDS: Final[dict[str, Callable[[int], str]]] = {
    "coroutines, in order": lambda deaths: crowd(deaths, keeps=False, ordered=True),
    "coroutines, as they are done": lambda deaths: crowd(deaths, keeps=False, ordered=False),
    "a class with a state that is saved": lambda deaths: crowd(deaths, keeps=True, ordered=False),
}
