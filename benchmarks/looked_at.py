"""What it costs to look at a run while it goes on: progress that is told, and a monitor that is
read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from statistics import median
from time import monotonic, process_time, sleep
from typing import Any
from urllib.request import urlopen

from benchmarks.fine import chain
from benchmarks.harness import Comparison, Goal, Section
from conveyor import Join, Pipeline, Processor, Progress, ReplicatingFork

SECONDS = 4.0
PAUSE_S = 0.02
LANES = 16


class Reader(logging.Handler):
    """Somebody who reads the events of every run that has a monitor, to its end; in this process,
    so that what that costs is counted, too."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "monitor" in text:
            address = text.split()[-1].replace("/?", "/events?")
            threading.Thread(target=self.read, args=(address,), daemon=True).start()

    def read(self, address: str) -> None:
        with urlopen(address) as events:
            for _ in events:
                pass


def ignored(progress: Progress) -> None:
    """Somebody who is told."""


def now_and_then() -> Iterator[int]:
    """An item every 20 ms, for some seconds."""
    end = monotonic() + SECONDS
    while monotonic() < end:
        sleep(PAUSE_S)
        yield 1


def lanes() -> Pipeline[Any, Any]:
    jobs: list[Processor[Any, Any]] = [Processor(abs) for _ in range(LANES)]
    pipeline: Any = Pipeline[int]().add(ReplicatingFork(LANES))
    made: Pipeline[Any, Any] = pipeline.add(*jobs).add(Join(LANES))
    return made


WAYS: dict[str, dict[str, Any]] = {
    "unseen": {},
    "progress told": {"progress": ignored},
    "a monitor that is read": {"monitor": "127.0.0.1:0"},
}


def share_of(pipeline: Any, options: dict[str, Any]) -> Callable[[], float]:
    """How much of a core's time the program takes for a run with these options, in percent."""

    def measured() -> float:
        spent, began = process_time(), monotonic()
        pipeline.run(now_and_then(), **options)
        return 100 * (process_time() - spent) / (monotonic() - began)

    return measured


def measure(rounds: int) -> Section:
    comparison = Comparison("% of a core", rounds)
    logger, reader = logging.getLogger("conveyor"), Reader(logging.INFO)
    level = logger.level
    logger.addHandler(reader)
    logger.setLevel(logging.INFO)
    try:
        with chain(pipes=True) as four, lanes() as many:
            cases = [("four stages", four), (f"{LANES} lanes", many)]
            for name, pipeline in cases:
                for way, options in WAYS.items():
                    comparison.add(f"{name}, {way}", share_of(pipeline, options))
            comparison.measure()
    finally:
        logger.removeHandler(reader)
        logger.setLevel(level)
    figures = comparison.figures
    goals = [
        Goal(
            "P10",
            f"{name}, {way}: % of a core's time more",
            median(
                seen - unseen
                for seen, unseen in zip(
                    figures[f"{name}, {way}"], figures[f"{name}, unseen"], strict=True
                )
            ),
            1.0,
            at_least=False,
        )
        for name, _ in cases
        for way in [*WAYS][1:]
    ]
    text = (
        "What the program's own process spends on a run whose items come every 20 ms, so that it\n"
        "does little else: as it is, with `progress=` a function, and with `monitor=` and a\n"
        "client that reads its events, in the same process. Both read twice a second what the\n"
        "workers note anyway, and these do nothing more. How busy a run is makes no difference."
    )
    return Section("Looked at", text, [comparison.markdown()], goals)
