"""A web server's log: how many requests, errors and bytes each address of the site had.

Parsing is the slow part, so several lanes do it, as many as there is work for. The order of the
lines does not matter to a sum, so the join takes them as they come.

Lines are handed over by the 64 kB: one by one that would cost more than to parse them.

    python examples/logs.py [FILE]        without a file: over lines that it makes up
"""

import io
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from conveyor import BalancingFork, FlatMap, Join, Pipeline, Processor, Reduce

LINE = re.compile(r'\S+ \S+ \S+ \[[^]]*\] "\w+ (?P<path>\S+) [^"]*" (?P<status>\d+) (?P<size>\d+)')
CHUNK = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class Totals:
    requests: int = 0
    errors: int = 0
    size: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.requests + other.requests, self.errors + other.errors, self.size + other.size
        )


Sums = dict[str, Totals]  # by path


def parse(lines: list[str]) -> Sums:
    sums: Sums = {}
    for line in lines:
        if found := LINE.match(line):
            one = Totals(1, int(found["status"]) >= 500, int(found["size"]))
            sums[found["path"]] = sums.get(found["path"], Totals()) + one
    return sums


def add(sums: Sums, more: Sums) -> Sums:
    for path, totals in more.items():
        sums[path] = sums.get(path, Totals()) + totals
    return sums


def ranking(sums: Sums) -> Iterator[tuple[str, Totals]]:
    yield from sorted(sums.items(), key=lambda entry: -entry[1].requests)


def made_up(count: int) -> Iterator[str]:
    chance = random.Random(1)
    for _ in range(count):
        path = chance.choice(["/", "/", "/search", "/cart", "/about"])
        status = chance.choices([200, 404, 500], [90, 7, 3])[0]
        yield f'10.0.0.1 - - [01/Dec/2026:10:00:00] "GET {path} HTTP/1.1" {status} {len(path) * 99}'


def main(file: io.TextIOBase) -> None:
    pl = Pipeline[list[str]]().add(BalancingFork()).add(Processor(parse)).add(Join())
    result = (
        pl.add(Reduce(add, {})).add(FlatMap(ranking)).run(iter(lambda: file.readlines(CHUNK), []))
    )
    for path, sums in result:
        print(f"{path:8} {sums.requests:7,} requests {sums.errors:5,} errors {sums.size:11,} bytes")


if len(sys.argv) > 1:
    with open(sys.argv[1], encoding="utf-8") as log:
        main(log)
else:
    main(io.StringIO("\n".join(made_up(50_000))))
