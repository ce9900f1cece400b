"""A log cruncher as it is written for the first time: files of access logs, a dataclass for each
line, the busiest addresses and the failures of each minute."""

from __future__ import annotations

import gzip
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from multiprocessing.pool import Pool
from pathlib import Path

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import BalancingFork, Filter, FlatMap, Join, Pipeline, Processor

FILES = 16
LINES = 8_000  # in each
THOUSAND = 1e3

LINE = re.compile(r'(\S+) - - \[([^\]]+)\] "(\S+) (\S+) [^"]+" (\d{3}) (\d+|-) "[^"]*" "([^"]*)"')


@dataclass(frozen=True)
class Hit:
    """One request."""

    address: str
    minute: str
    method: str
    path: str
    status: int
    size: int


@dataclass
class Summary:
    """What is asked of the logs."""

    hits: Counter[str]
    failures: Counter[str]
    size: int = 0


def write_logs(directory: Path) -> list[Path]:
    """Files with a line for each request."""
    paths: list[Path] = []
    for number in range(FILES):
        path = directory / f"access-{number:02}.log.gz"
        with gzip.open(path, "wt", encoding="ascii", compresslevel=1) as file:
            file.writelines(line_of(number * LINES + each) for each in range(LINES))
        paths.append(path)
    return paths


def line_of(number: int) -> str:
    target = "/static/site.css" if number % 4 == 0 else f"/api/items/{number % 997}"
    status = 503 if number % 41 == 0 else 200
    return (
        f"10.0.{number * 31 % 199}.{number * 7 % 251} - - "
        f"[29/Nov/2026:{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0000] "
        f'"GET {target} HTTP/1.1" {status} {number * 13 % 5000} "-" "Mozilla/5.0 (X11)"\n'
    )


def lines_of(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        yield from file


def parse(line: str) -> Hit | None:
    match = LINE.match(line)
    if match is None:
        return None
    address, when, method, path, status, size, _ = match.groups()
    return Hit(address, when[:17], method, path, int(status), 0 if size == "-" else int(size))


def is_wanted(hit: Hit) -> bool:
    return not hit.path.startswith("/static/")


class Summarise(Processor[Hit, Summary]):
    """Counts what is asked, and gives it at the end."""

    def setup(self) -> None:
        self.summary = Summary(Counter(), Counter())

    def process(self, hit: Hit, /) -> None:
        count(self.summary, hit)

    def finish(self) -> Iterable[Summary]:
        yield self.summary
        self.setup()


def count(summary: Summary, hit: Hit) -> None:
    summary.hits[hit.address] += 1
    summary.size += hit.size
    if hit.status >= 500:
        summary.failures[hit.minute] += 1


def crunch(paths: Iterable[Path]) -> Summary:
    """The same in a plain loop."""
    summary = Summary(Counter(), Counter())
    for path in paths:
        for line in lines_of(path):
            hit = parse(line)
            if hit is not None and is_wanted(hit):
                count(summary, hit)
    return summary


def crunch_one(path: Path) -> Summary:
    return crunch([path])


def through_pool(pool: Pool, paths: list[Path]) -> Summary:
    """A file at a time, as somebody writes it who thinks of the cost of sending."""
    whole = Summary(Counter(), Counter())
    for part in pool.imap_unordered(crunch_one, paths):
        whole.hits += part.hits
        whole.failures += part.failures
        whole.size += part.size
    return whole


def parsed(path: Path) -> list[Hit]:
    hits = map(parse, lines_of(path))
    return [hit for hit in hits if hit is not None and is_wanted(hit)]


def counted(hits: Iterable[list[Hit]]) -> Summary:
    """The same shape as the pipeline's: hits are sent, and counted in one place."""
    summary = Summary(Counter(), Counter())
    for hit in chain.from_iterable(hits):
        count(summary, hit)
    return summary


def measure(rounds: int) -> Section:
    work = FILES * LINES / THOUSAND
    comparison = Comparison("1,000 lines/s", rounds)
    stages = (
        Pipeline[Path]()
        .add(FlatMap(lines_of))
        .add(Processor(parse))
        .add(Filter(is_wanted))
        .add(Summarise())
    )
    lanes = (
        Pipeline[Path]()
        .add(BalancingFork())
        .add(FlatMap(lines_of))
        .add(Processor(parse))
        .add(Filter(is_wanted))
    )
    balanced = lanes.add(Join()).add(Summarise())
    with (
        tempfile.TemporaryDirectory() as directory,
        peers.fork.Pool(peers.WORKERS) as pool,
        stages,
        balanced,
    ):
        paths = write_logs(Path(directory))
        expected = crunch(paths)

        def checked(summary: Summary) -> None:
            assert summary == expected

        loop, chained = "one process, a plain loop", "Conveyor, the stages in a chain"
        across = "Conveyor, `BalancingFork()` around lines, parse and filter"
        comparison.add_rate(loop, work, lambda: checked(crunch(paths)))
        comparison.add_rate(chained, work, lambda: checked(stages.run(paths)[0]))
        comparison.add_rate(across, work, lambda: checked(balanced.run(paths)[0]))
        comparison.add_rate(
            "`Pool(2).imap_unordered`, the hits of a file sent",
            work,
            lambda: checked(counted(pool.imap_unordered(parsed, paths))),
        )
        comparison.add_rate(
            "`Pool(2).imap_unordered`, a summary of a file sent",
            work,
            lambda: checked(through_pool(pool, paths)),
        )
        comparison.add_rate(
            "joblib, the hits of a file sent",
            work,
            lambda: checked(counted(peers.joblib_map(parsed, paths))),
        )
        comparison.measure()
    goals = [
        Goal("P7", "logs: in a chain, times a plain loop", comparison.ratio(chained, loop), 0.9),
        Goal("P7", "logs: balanced, times a plain loop", comparison.ratio(across, loop), 1.3),
    ]
    text = (
        f"{FILES} compressed files of {LINES:,} lines each: lines, a frozen dataclass of six "
        "fields for each, filtered, counted in one\n"
        "place. Whoever sends no hits at all but a summary of each file moves next to nothing: "
        "the last line but one."
    )
    return Section("Logs", text, [comparison.markdown()], goals)
