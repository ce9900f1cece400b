"""Chain style, without a mistake: every checker accepts each line, and reads each type as it stands here.

The plugin for mypy reads the same, but for the lines that say so.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_type

from conveyor import (
    AsyncStream,
    BalancingFork,
    Batch,
    Filter,
    FlatMap,
    Join,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    RunResult,
    Stream,
    Throttle,
    Zip,
)
from conveyor.pipeline import AdaptivePipeline, StatementPipeline, WidePipeline
from conveyor.sim.faults import Faults
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.findings import Exploration
from conveyor.sim.search.simulation import Simulation
from tests.typing.chain_stock import (
    Adder,
    Converter,
    Keep,
    Square,
    Total,
    UserId,
    anything,
    boxed,
    boxed_times,
    decode,
    double,
    doubled,
    either,
    either_way,
    encode,
    first,
    grown,
    half,
    in_order,
    is_above,
    is_even,
    is_long,
    letters,
    maybe,
    maybe_in,
    measure,
    nothing,
    number_or_text,
    number_or_text_in,
    pair_sum,
    parse,
    parts,
    perhaps,
    register,
    same,
    scaled,
    shout,
    show,
    square,
    untyped,
    with_default,
    words,
)

MYPY = False  # mypy, and it alone, takes a variable of this name for true


def straight() -> None:
    assert_type(Pipeline[str]().add(Processor(parse)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(parse)).add(Processor(half)), Pipeline[str, float])
    assert_type(Pipeline[str]().add(Pipe()).add(Processor(parse)).add(Pipe(3)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(FlatMap(words)).add(FlatMap(letters)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(is_long)).add(Processor(parse)).add(Filter(is_even)), Pipeline[str, int])
    assert_type(Pipeline[str](strict=True, start_method="spawn").add(Processor(parse)), Pipeline[str, int])
    assert_type(
        Pipeline[str]().add(Processor(parse, name="p", on_error="skip", retries=2)).add(Filter(is_even, name="even")),
        Pipeline[str, int],
    )


def with_options(seconds: float | None) -> None:
    assert_type(Pipeline[str]().add(Processor(parse, timeout_s=1)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(maybe, timeout_s=0.5, retries=1)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(number_or_text, timeout_s=seconds)), Pipeline[str, int | str])
    assert_type(Pipeline[str]().add(Processor(lambda line: line.upper(), timeout_s=None)), Pipeline[str, str])
    assert_type(Pipeline[int]().add(Processor(partial(scaled, 3), timeout_s=1)), Pipeline[int, float])
    assert_type(Pipeline[str]().add(FlatMap(words, timeout_s=1, on_error="dead_letter")), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(partial(parts, ","), timeout_s=1)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(is_long, timeout_s=1, name="long")), Pipeline[str, str])


def none_is_no_output() -> None:
    assert_type(Pipeline[str]().add(Processor(maybe)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(maybe)).add(Processor(half)), Pipeline[str, float])
    assert_type(Pipeline[str]().add(Processor({"a": 1}.get)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(perhaps)), Pipeline[str, str])
    Pipeline[str]().add(Processor(print)).run(["a"])
    Pipeline[str]().add(Processor(nothing)).add(Processor(parse)).run(["a"])


def none_is_an_item_elsewhere() -> None:
    assert_type(Pipeline[int | None]().add(Pipe()), Pipeline[int | None, int | None])
    assert_type(
        Pipeline[int | None]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2)), Pipeline[int | None, int | None]
    )
    assert_type(Pipeline[int | None]().add(Pipe()).run([None, 1]), RunResult[int | None])


def every_kind_of_callable() -> None:
    assert_type(Pipeline[str]().add(Processor(lambda line: line.upper())), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(lambda line: len(line) or None)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(FlatMap(lambda line: line.split())), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(lambda line: (len(word) for word in line.split()))), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Filter(lambda line: line.isdigit())), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(len)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(int)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(str.upper)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(str.encode)), Pipeline[str, bytes])
    assert_type(Pipeline[int]().add(Processor(abs)), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Processor(math.sqrt)), Pipeline[int, float])
    assert_type(Pipeline[str]().add(Processor(sorted)), Pipeline[str, list[str]])
    assert_type(Pipeline[str]().add(FlatMap(list)), Pipeline[str, str])
    assert_type(Pipeline[int]().add(FlatMap(range)), Pipeline[int, int])
    assert_type(Pipeline[str]().add(Processor(same)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(boxed)), Pipeline[str, list[str]])
    assert_type(Pipeline[str]().add(Processor(boxed)).add(Processor(first)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(doubled)), Pipeline[str, str])
    assert_type(Pipeline[Square]().add(Processor(grown)), Pipeline[Square, Square])
    assert_type(Pipeline[str]().add(Processor(either)), Pipeline[str, bytes])
    assert_type(Pipeline[int]().add(Processor(either)), Pipeline[int, str])
    assert_type(Pipeline[int]().add(Processor(partial(scaled, 3))), Pipeline[int, float])
    assert_type(Pipeline[str]().add(Processor(partial(with_default, base=16))), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(with_default)), Pipeline[str, int])
    assert_type(Pipeline[int]().add(Processor(Adder(3))), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Processor(Adder(3).method)), Pipeline[int, str])
    assert_type(Pipeline[int]().add(Processor(Adder(3).stored)), Pipeline[int, bytes])
    assert_type(Pipeline[str]().add(Processor(Adder.named)), Pipeline[str, Adder])
    assert_type(Pipeline[str]().add(Processor(Adder.parsed)), Pipeline[str, int])
    assert_type(Pipeline[int]().add(Processor(Adder)), Pipeline[int, Adder])
    assert_type(Pipeline[tuple[int, str]]().add(Processor(operator.itemgetter(1))), Pipeline[tuple[int, str], Any])


def partials() -> None:
    assert_type(Pipeline[int]().add(Processor(partial(scaled, 3), name="scaled", retries=1)), Pipeline[int, float])
    assert_type(Pipeline[int]().add(Processor(partial(scaled, 3))).add(Processor(math.floor)), Pipeline[int, int])
    assert_type(Pipeline[bool]().add(Processor(partial(scaled, 3))), Pipeline[bool, float])
    assert_type(Pipeline[str]().add(Processor(partial(maybe_in, 16))), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(partial(number_or_text_in, 16))), Pipeline[str, int | str])
    assert_type(Pipeline[str]().add(Processor(partial(boxed_times, 2))), Pipeline[str, list[str]])
    assert_type(Pipeline[float]().add(Processor(partial(Square, 2.0))), Pipeline[float, Square])
    assert_type(Pipeline[float]().add(Processor(partial(Square(2.0, 2.0).scaled))), Pipeline[float, Square])
    assert_type(Pipeline[str]().add(Processor(partial(int, base=16))), Pipeline[str, int])
    assert_type(Pipeline[str]().add(FlatMap(partial(parts, ","), name="parts")), Pipeline[str, str])
    assert_type(Pipeline[int]().add(Filter(partial(is_above, 3), on_error="skip")), Pipeline[int, int])
    assert_type(Pipeline[bool]().add(Filter(partial(is_above, 3))), Pipeline[bool, bool])
    assert_type(Pipeline().add(Processor(partial(scaled, 3))), Pipeline[int, float])
    Pipeline[str]().add(Processor(partial(print, end=""))).run(["a"])
    Pipeline[str]().add(Processor(partial(untyped))).add(Processor(half)).run(["a"])
    assert_type(
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(partial(scaled, 3)), Filter(partial(is_above, 3))),
        Pipeline[int, float, int],
    )
    assert_type(
        Pipeline[int]().add(ReplicatingFork(3)).add(Processor(partial(scaled, 3)), Join(2)),
        Pipeline[int, float, int],
    )
    stage = Processor(partial(scaled, 3))
    assert_type(Pipeline[int]().add(stage), Pipeline[int, float])


def what_gives_elements() -> None:
    Pipeline[list[int]]().add(FlatMap(iter)).add(Processor(half))  # to mypy iter() gives Any
    assert_type(Pipeline[list[int]]().add(FlatMap(list)), Pipeline[list[int], int])
    assert_type(Pipeline[list[int]]().add(FlatMap(reversed)), Pipeline[list[int], int])
    assert_type(Pipeline[list[str]]().add(FlatMap(enumerate)), Pipeline[list[str], tuple[int, str]])
    assert_type(Pipeline[int]().add(FlatMap(range)), Pipeline[int, int])
    assert_type(Pipeline[dict[str, int]]().add(FlatMap(dict[str, int].items)), Pipeline[dict[str, int], tuple[str, int]])


def with_any_no_complaint() -> None:
    assert_type(Pipeline[str]().add(Processor(untyped)), Pipeline[str, Any])
    assert_type(Pipeline[str]().add(Processor(untyped)).add(Processor(half)), Pipeline[str, float])
    assert_type(Pipeline[str]().add(Processor(json.loads)).add(Processor(show)), Pipeline[str, str])
    assert_type(Pipeline[Any]().add(Processor(lambda item: item)), Pipeline[Any, Any])
    if not MYPY:  # which needs its plugin to know such a pipeline from one that does not say what it takes
        assert_type(Pipeline[Any]().add(Processor(double)), Pipeline[Any, int])
        assert_type(Pipeline[Any]().add(Processor(lambda item: str(item))), Pipeline[Any, str])
        assert_type(Pipeline[Any]().add(FlatMap(lambda item: [item])), Pipeline[Any, Any])
        assert_type(Pipeline[Any]().add(FlatMap(str.split)).add(Processor(len)), Pipeline[Any, int])
        assert_type(Pipeline[Any]().add(Batch(3)), Pipeline[Any, list[Any]])


def stateful_and_protocols(converter: Converter, function: Callable[[str], bytes]) -> None:
    assert_type(Pipeline[int]().add(Total()), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Total(3)).add(Processor(half)), Pipeline[int, float])
    assert_type(Pipeline[str]().add(Keep[str]()), Pipeline[str, list[str]])
    assert_type(Pipeline[str]().add(Processor(converter)), Pipeline[str, float])
    assert_type(Pipeline[str]().add(Processor(function)), Pipeline[str, bytes])


def a_lane_fits_what_takes_more() -> None:
    assert_type(Pipeline[str]().add(Processor(anything)), Pipeline[str, str])
    assert_type(Pipeline[int]().add(Processor(either_way)), Pipeline[int, int])
    assert_type(Pipeline[int]().add(Processor(square)).add(Processor(measure)), Pipeline[int, float])
    assert_type(Pipeline[bool]().add(Processor(half)), Pipeline[bool, float])
    assert_type(Pipeline[UserId]().add(Processor(double)), Pipeline[UserId, int])
    assert_type(Pipeline[UserId]().add(Processor(register)), Pipeline[UserId, str])
    assert_type(Pipeline[int]().add(Processor(math.floor)), Pipeline[int, int])


def a_union_stays_one() -> None:
    assert_type(Pipeline[str]().add(Processor(number_or_text)), Pipeline[str, int | str])
    assert_type(Pipeline[str]().add(Processor(number_or_text)).add(Processor(either_way)), Pipeline[str, int])
    assert_type(Pipeline[int | str]().add(Processor(either_way)), Pipeline[int | str, int])


def stages_in_variables() -> None:
    stage = Processor(parse)
    fork, join = ReplicatingFork(2), Join(2)
    assert_type(Pipeline[str]().add(stage).add(fork).add(Pipe(), Processor(half)).add(join), Pipeline[str, int | float])
    source = Pipeline[str]()
    parsed = source.add(Processor(parse))
    assert_type(parsed, Pipeline[str, int])
    assert_type(parsed.add(Processor(show)), Pipeline[str, str])


def split() -> Pipeline[str, int, bytes]:
    return Pipeline[str]().add(ReplicatingFork(2)).add(Processor(parse), Processor(encode))


def forks_and_joins() -> None:
    assert_type(Pipeline[str]().add(ReplicatingFork(1)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)), Pipeline[str, str, str])
    assert_type(Pipeline[str]().add(BalancingFork(3)), Pipeline[str, str, str, str])
    assert_type(Pipeline[str]().add(ReplicatingFork(8)), Pipeline[str, str, str, str, str, str, str, str, str])
    assert_type(split(), Pipeline[str, int, bytes])
    assert_type(split().add(Join(2)), Pipeline[str, int | bytes])
    assert_type(split().add(Join(2, ordered=True)), Pipeline[str, int | bytes])
    assert_type(split().add(Zip(2)), Pipeline[str, tuple[int, bytes]])
    assert_type(split().add(Pipe(), Processor(decode)), Pipeline[str, int, str])
    assert_type(split().add(Processor(show), Processor(decode)).add(Join(2)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(Processor(maybe), FlatMap(words)), Pipeline[str, int, str])
    assert_type(Pipeline[str]().add(BalancingFork(2)).add(Processor(parse), Processor(parse)).add(Join(2)), Pipeline[str, int])
    assert_type(
        Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Processor(half)).add(Zip(2)).add(Processor(pair_sum)),
        Pipeline[int, float],
    )
    assert_type(
        Pipeline[int]().add(ReplicatingFork(3)).add(Total(), Total(), Processor(show)).add(Zip(3)),
        Pipeline[int, tuple[int, int, str]],
    )
    assert_type(
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(lambda n: n + 1), Processor(lambda n: str(n))),
        Pipeline[int, int, str],
    )


def eight() -> Pipeline[int, int, int, int, int, int, int, int, int]:
    return Pipeline[int]().add(ReplicatingFork(8))


def different() -> Pipeline[int, float, str, int, Square, list[int], int, int, int]:
    return eight().add(
        Processor(half),
        Processor(show),
        Pipe(),
        Processor(square),
        Processor(lambda n: [n]),
        FlatMap(range),
        Filter(is_even),
        Total(),
    )


def eight_lanes() -> None:
    assert_type(different(), Pipeline[int, float, str, int, Square, list[int], int, int, int])
    assert_type(different().add(Zip(8)), Pipeline[int, tuple[float, str, int, Square, list[int], int, int, int]])
    assert_type(different().add(Join(8)), Pipeline[int, float | str | int | Square | list[int]])
    assert_type(
        different().add(Join(2), Join(2), Join(2), Join(2)),
        Pipeline[int, float | str, int | Square, list[int] | int, int],
    )
    assert_type(
        different().add(Pipe(), Pipe(), Zip(2), Join(3), Pipe()),
        Pipeline[int, float, str, tuple[int, Square], list[int] | int, int],
    )


def three() -> Pipeline[str, int, bytes, bytes]:
    return split().add(Pipe(), ReplicatingFork(2))


def four() -> Pipeline[str, int, int, bytes, bytes]:
    return split().add(ReplicatingFork(2), ReplicatingFork(2))


def mixed_rows() -> None:
    assert_type(split().add(ReplicatingFork(2), Pipe()), Pipeline[str, int, int, bytes])
    assert_type(split().add(Pipe(), ReplicatingFork(2)), Pipeline[str, int, bytes, bytes])
    assert_type(split().add(ReplicatingFork(2), BalancingFork(2)), Pipeline[str, int, int, bytes, bytes])
    assert_type(split().add(Processor(show), ReplicatingFork(3)), Pipeline[str, str, bytes, bytes, bytes])
    assert_type(split().add(ReplicatingFork(2), Processor(lambda data: data.decode())), Pipeline[str, int, int, str])
    assert_type(split().add(Processor(lambda number: [number]), ReplicatingFork(2)), Pipeline[str, list[int], bytes, bytes])
    assert_type(three().add(Join(2), Pipe()), Pipeline[str, int | bytes, bytes])
    assert_type(three().add(Pipe(), Join(2)), Pipeline[str, int, bytes])
    assert_type(three().add(Processor(show), Zip(2)), Pipeline[str, str, tuple[bytes, bytes]])
    assert_type(three().add(Processor(show), Zip(2)).add(Join(2)), Pipeline[str, str | tuple[bytes, bytes]])
    assert_type(four().add(Join(2), Join(2)), Pipeline[str, int, bytes])
    assert_type(four().add(Zip(2), Processor(decode), Pipe()), Pipeline[str, tuple[int, int], str, bytes])
    assert_type(four().add(Processor(half), Join(2), Processor(decode)), Pipeline[str, float, int | bytes, str])
    assert_type(four().add(Processor(half), Pipe(), Join(2)), Pipeline[str, float, int, bytes])
    assert_type(four().add(Join(1), Join(3)), Pipeline[str, int, int | bytes])
    assert_type(four().add(ReplicatingFork(2), Pipe(), Join(2)), Pipeline[str, int, int, int, bytes])
    assert_type(
        Pipeline[str]().add(ReplicatingFork(3)).add(Processor(maybe), ReplicatingFork(2), ReplicatingFork(2)),
        Pipeline[str, int, str, str, str, str],
    )
    assert_type(
        Pipeline[str]().add(ReplicatingFork(3)).add(ReplicatingFork(2), Processor(maybe), ReplicatingFork(2)),
        Pipeline[str, str, str, int, str, str],
    )


def wide(n: int) -> WidePipeline[str, str]:
    return Pipeline[str]().add(ReplicatingFork(n))


def lanes_without_a_number(n: int, functions: list[Callable[[str], int]]) -> None:
    assert_type(wide(n), WidePipeline[str, str])
    assert_type(wide(n).add(*(Processor(f) for f in functions)), WidePipeline[str, int])
    assert_type(wide(n).add(*(Processor(f) for f in functions)).add(Join(n)), Pipeline[str, int])
    assert_type(wide(n).add(*[Pipe() for _ in range(n)]).add(Zip(n)), Pipeline[str, tuple[str, ...]])
    assert_type(Pipeline[str]().add(BalancingFork(12)), WidePipeline[str, str])
    assert_type(Pipeline[str]().add(BalancingFork(12)).add(Join(12)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(ReplicatingFork(2)).add(Join(n)), Pipeline[str, str])


def opened(name: str) -> tuple[str, Any]:
    return name, None


def packed(image: tuple[str, Any]) -> tuple[str, bytes]:
    return image[0], b""


def balanced() -> AdaptivePipeline[str, str]:
    return Pipeline[str]().add(BalancingFork())


def lanes_as_needed() -> None:
    assert_type(balanced(), AdaptivePipeline[str, str])
    assert_type(balanced().add(Processor(parse)), AdaptivePipeline[str, int])
    assert_type(balanced().add(Processor(lambda line: line.upper())), AdaptivePipeline[str, str])
    # An image of a library without types, for one.
    loose = balanced().add(Processor(opened)).add(Processor(packed))
    assert_type(loose, AdaptivePipeline[str, tuple[str, bytes]])
    assert_type(loose.add(Join(ordered=True)), Pipeline[str, tuple[str, bytes]])
    assert_type(balanced().add(Processor(maybe)).add(Pipe()).add(Join()), Pipeline[str, int])
    assert_type(Pipeline[str]().add(BalancingFork(max_lanes=4)).add(FlatMap(words)).add(Join(ordered=True)), Pipeline[str, str])
    assert_type(balanced().add(Processor(parse)).add(Join()).add(Processor(half)).run(["1"]), RunResult[float])
    assert_type(Pipeline[str]().add(Processor(parse)).add(BalancingFork()).add(Join()), Pipeline[str, int])
    beside = Pipeline[str]().add(ReplicatingFork(2)).add(BalancingFork(), Pipe()).add(Processor(parse), Pipe())
    assert_type(beside.add(Join(), Pipe()).add(Join(2)), Pipeline[str, int | str])


def running(lines: list[str], source: Iterable[str]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    assert_type(pipeline.run(lines), RunResult[int])
    assert_type(pipeline.run(source), RunResult[int])
    assert_type(pipeline.run(line for line in lines), RunResult[int])
    assert_type(pipeline.run(lines)[0], int)
    total: int = sum(pipeline.run(lines))
    numbers: list[int] = pipeline.run(["1"])
    print(total, numbers, pipeline.run(lines).report, pipeline.run(lines).dead_letters)
    assert_type(pipeline.stream(source), Stream[int])
    with pipeline.stream(source) as stream:
        for number in stream:
            assert_type(number, int)
    pipeline.stop()
    with pipeline as opened:
        assert_type(opened, Pipeline[str, int])
        assert_type(opened.run(lines), RunResult[int])
    assert_type(pipeline.open(), Pipeline[str, int])
    print(pipeline.open().topology)
    pipeline.close()


async def awaited(lines: list[str], later: AsyncIterable[str]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    assert_type(await pipeline.arun(lines), RunResult[int])
    assert_type(await pipeline.arun(later, record="run.cvd"), RunResult[int])
    assert_type(await Pipeline().add(Processor(parse)).arun(later), RunResult[int])
    assert_type(pipeline.astream(later), AsyncStream[int])
    async with pipeline.astream(line for line in lines) as stream:
        assert_type(stream, AsyncStream[int])
        async for number in stream:
            assert_type(number, int)
    assert_type([number async for number in pipeline.astream(later)], list[int])
    print(stream.report, stream.dead_letters)
    await stream.aclose()


def in_the_simulated_world(lines: list[str], scheduler: Scheduler, check: Callable[[list[int]], bool]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    assert_type(pipeline.simulate(lines), Simulation[int, str])
    assert_type(pipeline.simulate(line for line in lines), Simulation[int, str])
    assert_type(pipeline.simulate(lines, seed=3, scheduler=scheduler, faults=Faults()), Simulation[int, str])
    assert_type(pipeline.simulate(lines)[0], int)
    assert_type(pipeline.explore(lines), Exploration[int])
    assert_type(pipeline.explore(lines, in_order), Exploration[int])
    assert_type(pipeline.explore(lines, check=in_order, strategy="exhaustive", schedules=10), Exploration[int])
    assert_type(pipeline.explore(lines, check, strategy=scheduler, seconds=1, seed=2), Exploration[int])
    assert_type(pipeline.explore(lines, lambda simulation: sum(simulation) > 0), Exploration[int])
    assert_type(pipeline.explore(lines, lambda simulation: assert_type(simulation, Simulation[int, str])), Exploration[int])
    assert_type(pipeline.explore(lines, print, faults=Faults(["parse"])), Exploration[int])
    assert_type(pipeline.explore(lines, anything), Exploration[int])
    assert_type(pipeline.explore(lines).outputs, set[tuple[int, ...]])
    assert_type(pipeline.replay(lines, "cv1:"), Simulation[int, str])
    assert_type(pipeline.replay(lines, pipeline.simulate(lines).schedule), Simulation[int, str])
    assert_type(pipeline.replay(lines, Path("run.cvd")), Simulation[int, str])
    assert_type(pipeline.run(lines, record=Path("run.cvd")), RunResult[int])
    assert_type(pipeline.stream(lines, record="run.cvd"), Stream[int])
    assert_type(pipeline.explore(lines, in_order, start=Path("run.cvd"), schedules=10), Exploration[int])
    assert_type(pipeline.explore(lines, start="cv1:"), Exploration[int])
    assert_type(pipeline.count(lines), int | None)
    assert_type(Pipeline().add(Processor(parse)).simulate(["1"]), Simulation[int, str])
    assert_type(
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half), Processor(show)).add(Zip(2)).simulate([1]),
        Simulation[tuple[float, str], int],
    )
    assert_type(Pipeline[int]().add(ReplicatingFork(2)).add(Join(2)).explore([1], in_order).outputs, set[tuple[int, ...]])
    adaptive = Pipeline[str]().add(BalancingFork()).add(Processor(parse)).add(Join())
    assert_type(adaptive.replay(lines, "cv1:"), Simulation[int, str])
    assert_type(pipeline.simulate(lines).items, list[str])
    assert_type(pipeline.simulate(lines) == pipeline.run(lines), bool)
    assert_type(pipeline.run(lines) == pipeline.replay(lines, "cv1:"), bool)
    assert_type(pipeline.run(lines) == [1, 2], bool)


def nobody_said_what_comes_in() -> None:
    assert_type(Pipeline().add(Processor(parse)), Pipeline[str, int])
    assert_type(Pipeline().add(Processor(parse)).add(Processor(half)).run(["1"]), RunResult[float])
    assert_type(Pipeline().add(FlatMap(words)).add(Filter(is_long)), Pipeline[str, str])


G = TypeVar("G")
A = TypeVar("A")
B = TypeVar("B")


def teed(pl: Pipeline[G, A]) -> Pipeline[G, A, A]:
    return pl.add(ReplicatingFork(2))


def balanced_over_three(pl: Pipeline[G, A]) -> Pipeline[G, A, A, A]:
    return pl.add(BalancingFork(3))


def buffered(pl: Pipeline[G, A]) -> Pipeline[G, A]:
    return pl.add(Pipe(5))


def joined(pl: Pipeline[G, A, A]) -> Pipeline[G, A]:
    return pl.add(Join(2))


def zipped(pl: Pipeline[G, A, B]) -> Pipeline[G, tuple[A, B]]:
    return pl.add(Zip(2))


def with_stage(pl: Pipeline[G, A], function: Callable[[A], B]) -> Pipeline[G, B]:
    return pl.add(Processor[A, B](function)).add(Pipe())


def helpers_for_any_pipeline() -> None:
    assert_type(teed(Pipeline[str]().add(Processor(parse))), Pipeline[str, int, int])
    assert_type(joined(teed(Pipeline[str]().add(Processor(parse)))), Pipeline[str, int])
    assert_type(zipped(split()), Pipeline[str, tuple[int, bytes]])
    assert_type(buffered(joined(teed(Pipeline[str]().add(Pipe())))), Pipeline[str, str])
    assert_type(balanced_over_three(Pipeline[str]().add(Pipe())).add(Join(3)), Pipeline[str, str])
    assert_type(with_stage(Pipeline[str]().add(Pipe()), parse).add(Processor(half)), Pipeline[str, float])


def filters_that_let_through_what_they_take() -> None:
    assert_type(Pipeline[int | None]().add(Filter(lambda item: item is not None)), Pipeline[int | None, int | None])
    assert_type(Pipeline[int]().add(Filter(lambda number: number > 3)), Pipeline[int, int])


def a_chain_that_begins_with_a_fork_of_nobody_knows_what() -> None:
    Pipeline().add(ReplicatingFork(2)).add(Processor(double), Processor(double)).add(Join(2)).run([2, 3])
    Pipeline().add(Pipe()).add(Processor(parse)).simulate(["2"])


def as_parts(extra: Processor[int, bytes]) -> Pipeline[str, bytes]:
    def stages(pipeline: Pipeline[str, int]) -> Pipeline[str, float]:
        return pipeline.add(Processor(half))

    assert_type(stages(Pipeline[str]().add(Processor(parse))), Pipeline[str, float])
    return Pipeline[str]().add(Processor(parse)).add(extra)


def the_statement_style_of_one_pipeline() -> None:
    with Pipeline[str]() as pipeline:
        assert_type(pipeline, StatementPipeline[str])


def several_lines(lines: list[str]) -> RunResult[str]:
    return (
        Pipeline[str]()
        .add(Processor(shout))
        .add(ReplicatingFork(2))
        .add(
            Processor(parse),
            Pipe(),
        )
        .add(Join(2))
        .add(Processor(lambda item: f"{item}"))
        .run(lines)
    )


def numbers() -> Pipeline[str, int]:
    return Pipeline[str]().add(Processor(parse))


class Spelled(Processor[int, bytes]):
    def process(self, item: int, /) -> bytes:
        return str(item).encode()


def stages_that_look_at_the_time() -> None:
    assert_type(numbers().add(Throttle(5)), Pipeline[str, int])
    assert_type(numbers().add(Throttle(5, per_s=0.5)).add(Processor(half)), Pipeline[str, float])
    assert_type(numbers().add(Batch(5, within_s=0.5)), Pipeline[str, list[int]])
    assert_type(numbers().add(Batch(5, within_s=0.5)).add(Throttle(2)), Pipeline[str, list[int]])
    assert_type(numbers().add(PerKey(abs, Spelled, idle_s=2.0)), Pipeline[str, bytes])
    lanes = numbers().add(ReplicatingFork(2)).add(Throttle(2), Processor(half))
    assert_type(lanes, Pipeline[str, int, float])
    both = numbers().add(ReplicatingFork(2)).add(Throttle(2), Throttle(3))
    assert_type(both.add(Join(2)), Pipeline[str, int])
    assert_type(numbers().add(BalancingFork()).add(Throttle(2)).add(Join()), Pipeline[str, int])
    throttle: Throttle[int] = Throttle(3)
    assert_type(numbers().add(throttle), Pipeline[str, int])
    assert_type(numbers().simulate(["1"]).times, tuple[float, ...])
