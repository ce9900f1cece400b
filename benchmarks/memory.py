"""Ten million items through a stream whose results are taken one by one: does any process grow?"""

from __future__ import annotations

import psutil

from benchmarks.harness import Goal, Section
from conveyor import Pipeline, Processor

ITEMS = 10_000_000
WARM_UP = 500_000
MEGABYTE = 1 << 20


def same(item: int) -> int:
    return item


def resident() -> dict[int, int]:
    own = psutil.Process()
    return {
        process.pid: process.memory_info().rss for process in [own, *own.children(recursive=True)]
    }


def measure(rounds: int) -> Section:
    early: dict[int, int] = {}
    late: dict[int, int] = {}
    with Pipeline[int]().add(Processor(same)).add(Processor(same)).stream(range(ITEMS)) as stream:
        for number, _ in enumerate(stream):
            if number == WARM_UP:
                early = resident()
            elif number % 1_000_000 == 999_999 and number > WARM_UP:
                late = {pid: max(late.get(pid, 0), size) for pid, size in resident().items()}
    grown = max((late.get(pid, size) - size) / MEGABYTE for pid, size in early.items())
    goals = [Goal("P8", "memory: the most that a process grows by, MB", grown, 20, at_least=False)]
    text = f"{ITEMS:,} items through a `stream` that is read one by one; {len(early)} processes."
    return Section("Memory", text, [], goals)
