"""Statement style, with mistakes: each line that is marked is reported by mypy with the plugin, and no other line.

Plain mypy and pyright accept every line of it: to them the variable's type stays what it was.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial

from conveyor import (
    BalancingFork,
    Batch,
    Checkpoint,
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    RoutingFork,
    Sink,
    Source,
    SplittingFork,
    Throttle,
    Zip,
)
from conveyor.sim.search.simulation import Simulation


def parse(line: str) -> int:
    return int(line)


def half(number: int) -> float:
    return number / 2


def shout(text: str) -> str:
    return text.upper()


def encode(text: str) -> bytes:
    return text.encode()


def positive(number: int) -> int | None:
    return number if number > 0 else None


def words(text: str) -> list[str]:
    return text.split()


def is_even(number: int) -> bool:
    return number % 2 == 0


def total(pair: tuple[int, float]) -> float:
    return sum(pair)


def cut(width: int, text: str) -> str:
    return text[:width]


def power(base: int, number: int) -> float:
    return float(base**number)


def is_above(least: int, number: int) -> bool:
    return number > least


class Counter(Processor[str, int]):
    def process(self, item: str, /) -> int:
        return len(item)


class Scale:
    def by(self, number: int) -> int:
        return number * 2

    def __call__(self, number: int) -> str:
        return str(number)


# --- One stage after the other ---

with Pipeline() as pl:
    pl.add(Processor(parse))
    pl.add(Processor(shout))  # mistake 1

with Pipeline[str]() as pl:
    pl.add(Processor(half))  # mistake 2

with Pipeline[str]() as pl:
    pl.add(Pipe())
    pl.add(Processor(shout))
    pl.add(Pipe(5))
    pl.add(Processor(half))  # mistake 3

with Pipeline[str]() as pl:
    pl.add(Processor(parse))
    pl.add(Processor(positive))
    pl.add(Processor(half))
    pl.add(Processor(positive))  # mistake 4

with Pipeline[str]() as pl:
    pl.add(FlatMap(words))
    pl.add(Processor(words))
    pl.add(Processor(shout))  # mistake 5

with Pipeline[str]() as pl:
    pl.add(Filter(str.isdigit))
    pl.add(Filter(is_even))  # mistake 6

with Pipeline[str]() as pl:
    pl.add(Counter())
    pl.add(Counter())  # mistake 7

with Pipeline[str]() as pl:
    pl.add(Processor(len))
    pl.add(Processor(Scale().by))
    pl.add(Processor(Scale()))
    pl.add(Processor(Scale()))  # mistake 8

with Pipeline[str]() as pl:
    pl.add(Processor(lambda text: len(text)))
    pl.add(Processor(lambda number: [number]))
    pl.add(Processor(half))  # mistake 9

with Pipeline[str]() as pl:
    pl.add(Processor(parse)).add(Processor(half))
    pl.add(Processor(half))  # mistake 10

with Pipeline[str]() as pl:
    pl.add(Processor(parse)).add(Processor(encode))  # mistake 11

# --- Lanes ---

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Processor(half))  # mistake 12

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Processor(encode))
    pl.add(Processor(half), Processor(encode))  # mistake 13

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(3))
    pl.add(Processor(parse), Pipe())  # mistake 14

with Pipeline[str]() as pl:
    pl.add(BalancingFork(2))
    pl.add(Processor(parse))  # mistake 15

with Pipeline[str]() as pl:
    pl.add(Processor(parse), Processor(parse))  # mistake 16

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Join(3))  # mistake 17

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Pipe())
    pl.add(Join(2))
    pl.add(Processor(half))  # mistake 18

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Processor(len))
    pl.add(Pipe(), Processor(half))
    pl.add(Zip(2))
    pl.add(Processor(total))
    pl.add(Processor(total))  # mistake 19

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(ReplicatingFork(2), Pipe())
    pl.add(Processor(parse), Processor(encode), Processor(half))  # mistake 20

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(3))
    pl.add(Join(2), Processor(parse))
    pl.add(Processor(shout), Processor(shout))  # mistake 21

with Pipeline[str]() as pl:
    pl.add(Join(2))  # mistake 22

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Join())  # mistake 23

with Pipeline[str]() as pl:
    pl.add(BalancingFork())
    pl.add(Processor(parse))
    pl.add(Processor(shout))  # mistake 24

with Pipeline[str]() as pl:
    pl.add(BalancingFork(max_lanes=4))
    pl.add(Processor(parse))
    pl.add(Join())
    pl.add(Processor(encode))  # mistake 25

# --- Running ---

with Pipeline() as pl:
    pl.add(Pipe())
    pl.add(Processor(parse))
    pl.add(ReplicatingFork(2))
    pl.add(Pipe(), Processor(half))
    pl.run(["1"])  # mistake 26

with Pipeline() as pl:
    pl.add(Processor(parse))
    pl.run([1, 2])  # mistake 27

with Pipeline[str]() as pl:
    pl.add(ReplicatingFork(2))
    pl.run(["1"])  # mistake 28

with Pipeline[str]() as pl:
    pl.run(["1"])  # mistake 29

with Pipeline[str]() as pl:
    pl.add(Processor(parse))
    texts: list[str] = pl.run(["1"])  # mistake 30

with Pipeline[str]() as pl:
    pl.add(Processor(parse))
    for number in pl.stream(["1"]):
        number.upper()  # mistake 31

with Pipeline[str]() as pl:
    pl.add(BalancingFork())
    pl.stream(["1"])  # mistake 32


# --- In functions ---


def without_with(lines: Iterable[str]) -> None:
    pl = Pipeline()
    pl.add(Processor(parse))
    pl.add(Processor(shout))  # mistake 33


def in_branches(flag: bool) -> None:
    with Pipeline[str]() as pl:
        if flag:
            pl.add(Processor(parse))
        else:
            pl.add(Processor(encode))
        pl.add(Processor(half))  # mistake 34


def in_one_branch(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(shout))
        if flag:
            pl.add(Processor(parse))
        pl.add(Processor(encode))  # mistake 35


def one_branch_forks(flag: bool) -> None:
    with Pipeline[str]() as pl:
        if flag:
            pl.add(ReplicatingFork(2))
        pl.add(Processor(parse))  # mistake 36


def inside_a_branch(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        if flag:
            pl.add(Processor(encode))  # mistake 37
        else:
            pl.add(Processor(half))


def in_a_loop(times: int) -> None:
    with Pipeline[str]() as pl:
        for _ in range(times):
            pl.add(Processor(parse))  # mistake 38


def behind_a_loop(jobs: list[Callable[[str], str]]) -> None:
    with Pipeline[str]() as pl:
        for job in jobs:
            pl.add(Processor(job))
        pl.add(Processor(half))  # mistake 39


def in_while(times: int) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        while times:
            times -= 1
            pl.add(Processor(shout))  # mistake 40


def in_try(lines: list[str]) -> None:
    with Pipeline[str]() as pl:
        try:
            pl.add(Processor(parse))
        except ValueError:
            return
        pl.add(Processor(encode))  # mistake 41


def in_finally(lines: list[str]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        try:
            pl.run(lines)
        finally:
            pl.run([1])  # mistake 42


def in_match(mode: str) -> None:
    with Pipeline[str]() as pl:
        match mode:
            case "numbers":
                pl.add(Processor(parse))
            case "halves":
                pl.add(Processor(parse))
                pl.add(Processor(half))
            case _:
                return
        pl.add(Processor(shout))  # mistake 43


def behind_an_early_return(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        if flag:
            pl.add(Processor(half))
            return
        pl.add(Processor(shout))  # mistake 44


def as_a_parameter(pl: Pipeline[str, int]) -> None:
    pl.add(Processor(half))
    pl.add(Processor(half))  # mistake 45


def handed_on_afterwards(log: Callable[[object], None]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(shout))  # mistake 46
        log(pl)


def handed_on_before() -> None:
    with Pipeline[str]() as pl:
        print(pl, repr(pl), pl.topology)
        pl.add(Processor(parse))
        pl.add(Processor(shout))  # mistake 47


def bound_anew(log: Callable[[object], None]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        log(pl)
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(shout))  # mistake 48


def of_unknown_width(n: int) -> None:
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(n))
        pl.add(Processor(parse))
        pl.add(Processor(encode))  # mistake 49


def two_at_once() -> None:
    with Pipeline[str]() as one, Pipeline[int]() as two:
        one.add(Processor(parse))
        two.add(Processor(half))
        two.add(Processor(half))  # mistake 50
        one.add(Processor(half))


def used_by_a_closure_that_only_runs_it() -> Callable[[list[str]], list[int]]:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(encode))  # mistake 51
    return lambda lines: pl.run(lines)


class Application:
    def __init__(self) -> None:
        self.pl = Pipeline()
        self.pl.add(Processor(parse))
        self.pl.add(Processor(shout))  # mistake 52

    def build(self, flag: bool) -> None:
        with Pipeline[str]() as self.other:
            self.other.add(ReplicatingFork(2))
            if flag:
                self.other.add(Processor(parse), Processor(half))  # mistake 53


def over_several_lines() -> None:
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(2))
        pl.add(
            Processor(parse),
            Processor(half),  # mistake 54
        )


async def in_a_coroutine(lines: list[str]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(shout))  # mistake 55


def of_an_option(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse) if flag else Processor(len))
        pl.add(Processor(shout))  # mistake 56


def result_with_a_name_of_its_own() -> None:
    source = Pipeline()
    source.add(Processor(shout))
    parsed = source.add(Processor(parse))
    parsed.add(Processor(half))
    parsed.add(Processor(half))  # mistake 57


def part_of_a_function() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(partial(cut, 2)))
        pl.add(Processor(partial(cut, 2)))
        pl.add(Processor(partial(power, 2)))  # mistake 58


def part_of_a_predicate(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(2))
        pl.add(Processor(parse), Processor(parse))
        pl.add(Filter(partial(is_above, 2)), Filter(partial(cut, 2)))  # mistake 59


def behind_a_part_of_a_function() -> None:
    with Pipeline() as pl:
        pl.add(Processor(partial(power, 2)))
        pl.add(Processor(shout))  # mistake 60


# --- In the simulated world ---


def in_order(simulation: Simulation[int]) -> bool:
    return sorted(simulation) == simulation


def simulated(lines: list[str], numbers: list[int]) -> None:
    with Pipeline() as pl:
        pl.simulate(lines)  # mistake 61
        pl.add(Processor(parse))
        pl.simulate(numbers)  # mistake 62
        pl.simulate(lines)[0].upper()  # mistake 63
        pl.add(ReplicatingFork(2))
        pl.simulate(lines, seed=3)  # mistake 64


def explored(lines: list[str], numbers: list[int]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        pl.explore(numbers, in_order)  # mistake 65
        pl.explore(lines, lambda simulation: simulation[0].upper())  # mistake 66
        texts: set[tuple[str, ...]] = pl.explore(lines).outputs  # mistake 67
        print(texts)
        pl.add(Processor(half))
        pl.explore(lines, in_order)  # mistake 68
        pl.add(BalancingFork())
        pl.explore(lines, strategy="urw")  # mistake 69


def replayed(lines: list[str], numbers: list[int]) -> None:
    pl = Pipeline()
    pl.add(Processor(parse))
    pl.replay(numbers, "cv1:")  # mistake 70
    text: str = pl.replay(lines, "cv1:")[0]  # mistake 71
    print(text)
    pl.add(ReplicatingFork(2))
    pl.replay(lines, "cv1:")  # mistake 72


def counted(lines: list[str], numbers: list[int]) -> None:
    with Pipeline() as pl:
        pl.count(lines)  # mistake 73
        pl.add(Processor(parse))
        pl.add(ReplicatingFork(2))
        pl.count(lines)  # mistake 74
        pl.add(Join(2))
        pl.count(numbers)  # mistake 75


def recorded(lines: list[str], numbers: list[int]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        pl.stream(numbers, record="run.cvd")  # mistake 76
        pl.run(numbers, record="run.cvd")  # mistake 77
        text: str = pl.run(lines, record="run.cvd")[0]  # mistake 78
        print(text)
        pl.explore(numbers, start="run.cvd")  # mistake 79
        pl.add(ReplicatingFork(2))
        pl.stream(lines, record="run.cvd")  # mistake 80


def in_several_with_statements(lines: list[str]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(parse))  # mistake 81
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(2))
        pl.add(Join(3))  # mistake 82
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        text: str = pl.run(lines)[0]  # mistake 83
        print(text)


async def awaited(lines: list[str], numbers: list[int], later: AsyncIterable[int]) -> None:
    with Pipeline() as pl:
        await pl.arun(lines)  # mistake 84
        pl.add(Processor(parse))
        await pl.arun(numbers)  # mistake 85
        await pl.arun(later)  # mistake 86
        pl.astream(later)  # mistake 87
        text: str = (await pl.arun(lines))[0]  # mistake 88
        async for number in pl.astream(lines):
            number.upper()  # mistake 89
        print(text)
        pl.add(ReplicatingFork(2))
        await pl.arun(lines)  # mistake 90
        pl.astream(lines)  # mistake 91


def looking_at_the_time() -> None:
    with Pipeline[str]() as pl:
        pl.add(Throttle(5))
        pl.add(Processor(half))  # mistake 92
    with Pipeline[int]() as pl:
        pl.add(Batch(5, within_s=0.5))
        pl.add(Throttle(5, per_s=2.0))
        pl.add(Processor(half))  # mistake 93


# --- What setup= makes, and pipelines in pipelines ---


def cut_to(text: str, width: int) -> str:
    return text[:width]


def cutting() -> Pipeline[str, int]:
    return Pipeline[str]().add(Processor(cut_to, setup=lambda: 3)).add(Processor(parse))


def given_what_was_made() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(cut_to, setup=lambda: 3))  # mistake 94
    with Pipeline[str]() as pl:
        pl.add(Processor(cut_to, setup=lambda: 3))
        pl.add(Processor(half))  # mistake 95
    with Pipeline[str]() as pl:
        pl.add(cutting())
        pl.add(cutting())  # mistake 96
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(2))
        pl.add(cutting())  # mistake 97
    with Pipeline[str]() as pl:
        pl.add(cutting())
        pl.add(Processor(shout))  # mistake 98


def routes() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(PartitioningFork(2, key=shout))  # mistake 99
    with Pipeline[str]() as pl:
        pl.add(PartitioningFork(2, key=shout))
        pl.add(Processor(parse), Processor(half))  # mistake 100
    with Pipeline[str]() as pl:
        pl.add(RoutingFork(3, lane=len))
        pl.add(Join(2))  # mistake 101
    with Pipeline[str]() as pl:
        pl.add(SplittingFork(str.isdigit))
        pl.add(Processor(parse))  # mistake 102
    with Pipeline[str]() as pl:
        pl.add(PartitioningFork(key=len))
        pl.add(Processor(half))  # mistake 103


def drained(lines: list[str], numbers: list[int], sink: Sink[int], texts: Sink[str], source: Source[str, int]) -> None:
    with Pipeline() as pl:
        pl.drain(lines, into=sink)  # mistake 104
        pl.add(Processor(parse))
        pl.drain(numbers, into=sink)  # mistake 105
        pl.drain(source, into=texts)  # mistake 106
        pl.add(ReplicatingFork(2))
        pl.drain(source, into=sink)  # mistake 107
    with Pipeline() as pl:
        pl.add(Processor(half))
        pl.drain(source, into=sink)  # mistake 108


# --- Work that waits ---


async def fetch(path: str) -> bytes:
    return path.encode()


async def links(page: bytes) -> AsyncIterator[str]:
    yield page.decode()


def waiting() -> None:
    with Pipeline[bytes]() as pl:
        pl.add(Processor(fetch))  # mistake 109
    with Pipeline[str]() as pl:
        pl.add(Processor(fetch, concurrency=8))
        pl.add(Processor(parse))  # mistake 110
    with Pipeline[str]() as pl:
        pl.add(Processor(fetch))
        pl.add(FlatMap(links, ordered=False))
        pl.add(Processor(half))  # mistake 111
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(2))
        pl.add(Processor(fetch), FlatMap(links))  # mistake 112
    with Pipeline[str]() as pl:
        pl.add(Processor(parse, concurrency=8))
        pl.add(Processor(shout))  # mistake 113


async def width() -> int:
    return 3


@asynccontextmanager
async def opened_width() -> AsyncGenerator[int]:
    yield 3


async def cut_later(text: str, width: int) -> str:
    return text[:width]


def made_by_what_waits() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(cut_later, setup=width))  # mistake 114
    with Pipeline[str]() as pl:
        pl.add(Processor(cut_later, setup=opened_width))
        pl.add(Processor(half))  # mistake 115
    with Pipeline[str]() as pl:
        pl.add(Processor(cut_to, setup=opened_width))
        pl.add(Processor(half))  # mistake 116


# --- What is kept ---


def acknowledged(source: Source[str, int], numbers: Source[int, int], kept: Checkpoint) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        pl.stream(numbers, checkpoint=kept)  # mistake 117
        for number in pl.stream(source, checkpoint=kept):
            shout(number)  # mistake 118
        pl.astream(numbers, checkpoint=kept)  # mistake 119
