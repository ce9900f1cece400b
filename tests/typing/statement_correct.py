"""Statement style, without a mistake: nothing here is reported by any checker, with the plugin or without."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

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
    Report,
    RoutingFork,
    RunResult,
    Sink,
    Source,
    SplittingFork,
    Throttle,
    Zip,
)
from conveyor.sim.search.simulation import Simulation


def parse(line: str) -> int:
    return int(line)


def half(number: float) -> float:
    return number / 2


def shout(text: str) -> str:
    return text.upper()


def positive(number: int) -> int | None:
    return number if number > 0 else None


def same(item: Any) -> Any:
    return item


def show(item: object) -> str:
    return str(item)


def scaled(by: int, number: int) -> int:
    return by * number


def total(pair: tuple[int, str]) -> int:
    return pair[0] + len(pair[1])


class Counter(Processor[str, int]):
    def process(self, item: str, /) -> int | None:
        return len(item) or None


# --- One stage after the other ---

with Pipeline() as pl:
    pl.add(Processor(parse))
    pl.add(Pipe())
    pl.add(Processor(half))
    pl.add(Processor(print))
    pl.run(["1", "2"])

with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(FlatMap(str.split))
    pl.add(Filter(str.isdigit))
    pl.add(Counter())
    pl.add(Processor(partial(scaled, 2)))
    pl.add(Processor(show))
    pl.add(Processor(same))
    pl.add(Processor(parse))
    pl.run(["1"])

with Pipeline() as pl:
    pl.add(Processor(parse)).add(Processor(half)).add(Processor(show))
    pl.add(Processor(shout))
    pl.stop()
    with pl.stream(["1"]) as stream:
        for text in stream:
            print(text)


async def awaited(lines: list[str], later: AsyncIterable[str]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        print(await pl.arun(lines), await pl.arun(later))
        async with pl.astream(later, record="run.cvd") as stream:
            async for number in stream:
                print(half(number))


def drained(lines: list[str], source: Source[str, int], sink: Sink[float]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(half))
        pl.drain(source, into=sink, progress=True)
        report: Report = pl.drain(lines, into=sink, checkpoint=Checkpoint("state"))
        print(report)


def acknowledged(lines: list[str], source: Source[str, int]) -> None:
    with Pipeline() as pl:
        pl.add(Processor(parse))
        with pl.stream(source, checkpoint=Checkpoint("state", fresh=True)) as stream:
            for number in stream:
                print(half(number))
                stream.acknowledge()
        pl.astream(lines, checkpoint=Checkpoint("state"), progress=True).acknowledge()


# --- Lanes ---

with Pipeline() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Pipe())
    pl.add(Zip(2))
    pl.add(Processor(total))
    pl.run(["1"])

with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(ReplicatingFork(2))
    pl.add(ReplicatingFork(2), Processor(parse))
    pl.add(Join(2), Pipe())
    pl.add(Processor(parse), Processor(positive))
    pl.add(Join(2, ordered=True))
    pl.add(Processor(half))

with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(BalancingFork(max_lanes=3))
    pl.add(Processor(parse))
    pl.add(Processor(positive))
    pl.add(Join())
    pl.add(Processor(half))
    pl.run(["1"])

with Pipeline() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(parse), Processor(shout))
    pl.add(Join(2))
    pl.add(Processor(show))


with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(PartitioningFork(2, key=lambda text: text.lower()))
    pl.add(Processor(parse), Pipe())
    pl.add(Join(2, ordered=True))
    pl.add(Processor(show))

with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(SplittingFork(str.isdigit))
    pl.add(Processor(parse), RoutingFork(2, lane=len))
    pl.add(Processor(half), Pipe(), Pipe())
    pl.add(Join(3))

with Pipeline() as pl:
    pl.add(Processor(shout))
    pl.add(PartitioningFork(key=len, max_lanes=3))
    pl.add(Processor(parse))
    pl.add(Join())
    pl.add(Processor(half))


def of_any_width(n: int) -> None:
    with Pipeline[str]() as pl:
        pl.add(ReplicatingFork(n))
        pl.add(*[Processor(parse) for _ in range(n)])
        pl.add(Join(n))
        pl.add(Processor(show))
        pl.run(["1"])


def checked_width(n: int) -> None:
    with Pipeline[str]() as pl:
        pl.add(BalancingFork(n))
        pl.add(Processor(parse))
        pl.add(Join(n))
        pl.add(Processor(half))
        pl.run(["1"])


# --- In functions ---


def in_branches(flag: bool) -> None:
    with Pipeline[str]() as pl:
        if flag:
            pl.add(Processor(parse))
        else:
            pl.add(Processor(parse))
            pl.add(Processor(half))
        pl.add(Processor(half))
        pl.run(["1"])


def in_one_branch(flag: bool) -> None:
    with Pipeline[str]() as pl:
        if flag:
            pl.add(Processor(shout))
        pl.add(Processor(parse))
        if flag:
            pl.add(Processor(half))
        pl.run(["1"])


def in_loops(jobs: list[Callable[[str], str]], times: int) -> None:
    with Pipeline[str]() as pl:
        for job in jobs:
            pl.add(Processor(job))
        while times:
            times -= 1
            if times == 3:
                continue
            if times == 2:
                break
            pl.add(Processor(shout))
        else:
            pl.add(Processor(shout))
        pl.add(Processor(parse))
        pl.run(["1"])


def growing(times: int) -> None:
    with Pipeline[str]() as pl:
        for _ in range(times):
            pl.add(Processor(listed))
        pl.add(Processor(show))
        pl.run(["1"])


def listed(item: object) -> list[object]:
    return [item]


def in_try(lines: list[str]) -> None:
    with Pipeline[str]() as pl:
        try:
            pl.add(Processor(parse))
        except ValueError:
            pl.add(Processor(show))
            return
        else:
            pl.add(Processor(half))
        finally:
            print("added")
        pl.run(lines)


def in_match(mode: str) -> None:
    with Pipeline[str]() as pl:
        match mode:
            case "numbers":
                pl.add(Processor(parse))
            case "halves":
                pl.add(Processor(parse))
                pl.add(Processor(half))
            case _:
                raise ValueError(mode)
        pl.add(Processor(half))


def as_a_parameter(pl: Pipeline[str, int]) -> None:
    pl.add(Processor(half))


def several(lines: Iterable[str]) -> None:
    for line in lines:
        with Pipeline[str]() as pl:
            pl.add(Processor(parse))
            pl.add(Processor(half))
            pl.run([line])


def early_return(flag: bool) -> RunResult[int] | None:
    with Pipeline[str]() as pl:
        if flag:
            return None
        pl.add(Processor(parse))
        return pl.run(["1"])


def conditional(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse) if flag else Processor(len))
        pl.add(Processor(half))


def deleted() -> None:
    pl = Pipeline()
    pl.add(Processor(parse))
    del pl
    pl = Pipeline()
    pl.add(Processor(half))


def generator(lines: list[str]) -> Iterator[int]:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        yield from pl.stream(lines)


async def coroutine(lines: list[str]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.run(lines)


# --- Where a variable cannot be followed, nothing is claimed ---


def attach(pl: Pipeline[Any, *tuple[Any, ...]]) -> None:
    pl.add(Processor(show))


def helped() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        attach(pl)
        pl.add(Processor(shout))
        pl.run(["1"])


def helped_through_a_variable(helper: Callable[[Pipeline[Any, *tuple[Any, ...]]], None]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        helper(pl)
        pl.add(Processor(shout))


def helped_in_a_loop(times: int) -> None:
    with Pipeline[str]() as pl:
        for _ in range(times):
            pl.add(Processor(shout))
            pl.add(Processor(parse))
            attach(pl)
        pl.add(Processor(shout))


def helped_in_a_branch(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        if flag:
            attach(pl)
        pl.add(Processor(shout))


def kept_in_a_list() -> None:
    with Pipeline[str]() as pl:
        kept = [pl]
        pl.add(Processor(parse))
        kept[0].add(Processor(show))
        pl.add(Processor(shout))


def second_name() -> None:
    with Pipeline[str]() as pl:
        other = pl
        pl.add(Processor(parse))
        other.add(Processor(show))
        pl.add(Processor(shout))
        other.run(["1"])


def second_name_of_the_result() -> None:
    with Pipeline[str]() as pl:
        other = pl.add(Processor(parse))
        other.add(Processor(show))
        pl.add(Processor(shout))


def walrus() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        print(other := pl)
        other.add(Processor(show))
        pl.add(Processor(shout))


def second_name_in_with() -> None:
    pl = Pipeline()
    pl.add(Processor(parse))
    with pl as other:
        other.run(["1"])


def bound_method() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        more = pl.add
        more(Processor(show))
        pl.add(Processor(shout))


def closure() -> None:
    with Pipeline[str]() as pl:

        def more() -> None:
            pl.add(Processor(show))

        pl.add(Processor(parse))
        more()
        pl.add(Processor(shout))


def closure_in_a_lambda() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        more: Callable[[], object] = lambda: pl.add(Processor(show))
        more()
        pl.add(Processor(shout))


def bound_by_a_closure() -> None:
    with Pipeline[str]() as pl:

        def more() -> None:
            nonlocal pl
            pl.add(Processor(show))

        pl.add(Processor(parse))
        more()
        pl.add(Processor(shout))


def comprehension() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        print([each.add(Processor(show)) for each in [pl]])
        pl.add(Processor(shout))


module = Pipeline()
module.add(Processor(parse))


def adds_to_the_module() -> None:
    module.add(Processor(show))


def runs_the_module(lines: list[str]) -> None:
    module.run(lines)


adds_to_the_module()
module.add(Processor(shout))
module.run(["1"])

with Pipeline() as everywhere:
    everywhere.add(Processor(parse))


def runs_it() -> None:
    everywhere.run(["1"])


class Base:
    def more(self) -> None: ...


class Application(Base):
    def __init__(self) -> None:
        self.pl = Pipeline()
        self.pl.add(Processor(parse))
        self.more()
        self.pl.add(Processor(shout))
        self.kept = Pipeline()
        self.kept.add(Processor(parse))
        self.kept.add(Processor(half))

    def more(self) -> None:
        self.pl.add(Processor(show))

    def run(self, lines: list[str]) -> None:
        self.pl.run(lines)
        with self.kept as kept:
            kept.run(lines)

    def handed_on(self) -> None:
        self.kept = Pipeline()
        self.kept.add(Processor(parse))
        configure(self)
        self.kept.add(Processor(shout))


def configure(application: Application) -> None:
    application.kept.add(Processor(show))
    application.kept.add(Processor(shout))
    application.kept.run(["1"])


class InItsBody:
    pl = Pipeline()
    pl.add(Processor(parse))
    pl.add(Processor(half))

    def run(self) -> None:
        self.pl.run(["1"])


def in_a_dictionary(named: dict[str, Pipeline[Any, *tuple[Any, ...]]]) -> None:
    named["a"].add(Processor(parse))
    named["a"].add(Processor(parse))
    named["a"].run([1])


def results_with_names_of_their_own() -> None:
    source = Pipeline[str]()
    parsed = source.add(Processor(parse))
    halved = parsed.add(Processor(half))
    halved.run(["1"])


def added_to_the_first_name_too() -> None:
    source = Pipeline[str]()
    parsed = source.add(Processor(parse))
    source.add(Processor(show))
    parsed.run(["1"])


def in_order(simulation: Simulation[float]) -> bool:
    return sorted(simulation) == simulation


def in_the_simulated_world(lines: list[str], attach: Callable[[object], None]) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        print([show(number.bit_length()) for number in pl.simulate(lines, seed=3)])
        numbers: list[int] = pl.replay(lines, "cv1:")
        numbers = pl.run(lines, record="run.cvd")
        pl.explore(lines, start="run.cvd")
        pl.explore(lines, lambda simulation: simulation[0].bit_length() > 0, strategy="exhaustive")
        pl.add(Processor(half))
        pl.explore(lines, in_order, schedules=3)
        classes: int | None = pl.count(lines)
        attach((numbers, classes, pl))
        pl.simulate(lines)[0].upper()
        pl.explore(lines, same)


def in_the_simulated_world_undeclared(lines: list[str]) -> None:
    pl = Pipeline()
    pl.add(Processor(parse)).add(Processor(half))
    assert pl.explore(lines, in_order, strategy="pct", seed=4).outputs
    assert pl.simulate(lines)
    assert pl.count(lines)


def in_several_with_statements(flag: bool) -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(parse))
        pl.add(Processor(half))
        pl.run(["1"])
    with Pipeline[int]() as pl:
        if flag:
            pl.add(Filter(bool))
        pl.add(Processor(half))
        pl.run([1])


def looking_at_the_time() -> None:
    with Pipeline[str]() as pl:
        pl.add(Throttle(5))
        pl.add(Processor(parse))
        pl.add(Batch(5, within_s=0.5))
        pl.add(Throttle(5, per_s=2.0))
        pl.add(Processor(len))
        pl.run(["1"])


async def fetch(path: str) -> bytes:
    return path.encode()


async def links(page: bytes) -> AsyncIterator[str]:
    yield page.decode()


async def is_there(path: str) -> bool:
    return bool(path)


def waiting() -> None:
    with Pipeline[str]() as pl:
        pl.add(Filter(is_there))
        pl.add(Processor(fetch, concurrency=8))
        pl.add(FlatMap(links, ordered=False))
        pl.add(Processor(lambda text: text.strip(), concurrency=2))
        pl.add(Processor(parse, concurrency=4))
        pl.add(Processor(half))
        pl.run(["1"])


async def width() -> int:
    return 3


@asynccontextmanager
async def opened_width() -> AsyncGenerator[int]:
    yield 3


async def cut_later(text: str, width: int) -> str:
    return text[:width]


def made_by_what_waits() -> None:
    with Pipeline[str]() as pl:
        pl.add(Processor(cut_later, setup=width))
        pl.add(Processor(cut_later, setup=opened_width, concurrency=8))
        pl.add(Processor(lambda text, width: text[:width], setup=width))
        pl.add(Filter(lambda text, width: len(text) > width, setup=opened_width))
        pl.add(FlatMap(lambda text, width: [text] * width, setup=opened_width))
        pl.add(Processor(parse))
        pl.run(["1"])
