"""Chain style, with mistakes: each marked line is reported by the checkers that its mark names, and no other line is.

Where a chain goes over several lines, pyright reports a row that does not fit at the row and at the chain's first line.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Iterable
from functools import partial
from pathlib import Path

from conveyor import (
    BalancingFork,
    Batch,
    Checkpoint,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    RunResult,
    Source,
    Throttle,
    Zip,
)
from conveyor.sim.search.simulation import Simulation
from tests.typing.chain_stock import (
    Adder,
    Converter,
    Keep,
    Square,
    Total,
    UserId,
    boxed_times,
    decode,
    double,
    either,
    encode,
    first,
    grown,
    half,
    in_order,
    is_above,
    is_even,
    is_long,
    is_number,
    letters,
    maybe,
    maybe_in,
    measure,
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
    spelled_in_order,
    two,
    with_default,
    words,
)


def a_stage_that_does_not_fit(converter: Converter) -> None:
    Pipeline[int]().add(Processor(parse))  # error: mypy pyright
    Pipeline[bytes]().add(Processor(parse))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(Processor(parse))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(Processor(shout))  # error: mypy pyright
    Pipeline[str]().add(Processor(maybe)).add(Processor(shout))  # error: mypy pyright
    Pipeline[str]().add(Pipe()).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(Pipe()).add(Pipe()).add(Processor(decode))  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).add(Processor(double))  # error: mypy pyright
    Pipeline[str]().add(Processor(math.sqrt))  # error: mypy pyright
    Pipeline[str]().add(Processor(abs))  # error: mypy pyright
    Pipeline[int]().add(Processor(len))  # error: mypy pyright
    Pipeline[int]().add(Processor(str.upper))  # error: mypy pyright
    Pipeline[bytes]().add(Processor({"a": 1}.get))  # error: mypy pyright
    Pipeline[float]().add(Processor(either))  # error: mypy pyright
    Pipeline[str]().add(Processor(first)).add(Processor(double))  # error: mypy pyright
    Pipeline[int]().add(Processor(first))  # error: mypy pyright
    Pipeline[str]().add(Processor(grown))  # error: mypy pyright
    Pipeline[str]().add(Processor(same)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(perhaps)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(scaled, 3)))  # error: mypy pyright
    Pipeline[str]().add(Processor(Adder(3)))  # error: mypy pyright
    Pipeline[str]().add(Processor(Adder(3).method))  # error: mypy pyright
    Pipeline[str]().add(Processor(Adder))  # error: mypy pyright
    Pipeline[int]().add(Processor(Adder.named))  # error: mypy pyright
    Pipeline[int]().add(Processor(converter))  # error: mypy pyright
    Pipeline[int]().add(Processor(register))  # error: mypy pyright
    Pipeline[UserId]().add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(Processor(measure))  # error: mypy pyright
    Pipeline[int | None]().add(Processor(half))  # error: mypy pyright
    Pipeline[int | str]().add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(number_or_text)).add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(Processor(lambda number: number.upper()))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda line: line + 1))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda line: len(line))).add(Processor(shout))  # error: mypy pyright
    Pipeline().add(Processor(parse)).add(Processor(shout))  # error: mypy pyright


def a_partial_that_does_not_fit() -> None:
    Pipeline[str]().add(Processor(partial(scaled, by=3)))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(with_default, base=16)))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(maybe_in, 16)))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(maybe_in, 16))).add(Processor(shout))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(number_or_text_in, 16))).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(boxed_times, 2))).add(Processor(shout))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(Square, 2.0)))  # error: mypy pyright
    Pipeline[str]().add(Processor(partial(Adder(3).method), name="method"))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(scaled)))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(scaled, "3")))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(scaled, 3, 4)))  # error: mypy pyright
    Pipeline[int]().add(FlatMap(partial(parts, ",")))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(partial(parts, ","))).add(Processor(half))  # error: mypy pyright
    Pipeline[int]().add(FlatMap(partial(scaled, 3)))  # error: mypy pyright
    Pipeline[str]().add(Filter(partial(is_above, 3)))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Processor(partial(scaled, 3)))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(3)).add(Join(2), Processor(partial(scaled, 3)))  # error: mypy pyright
    Pipeline[str]().add(BalancingFork()).add(Processor(partial(scaled, 3)))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(scaled, 3), retries="three"))  # error: mypy pyright


def a_flat_map_or_a_filter_that_does_not_fit() -> None:
    Pipeline[int]().add(FlatMap(words))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(words)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(letters)).add(FlatMap(range))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(len))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(parse))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(lambda line: len(line)))  # error: mypy pyright
    Pipeline[str]().add(Filter(is_even))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(Filter(is_long))  # error: mypy pyright
    Pipeline[str]().add(Filter(is_long)).add(Processor(half))  # error: mypy pyright
    Pipeline[int]().add(Filter(lambda number: number.isdigit()))  # error: mypy pyright
    Pipeline[bytes]().add(Filter(is_number))  # error: mypy pyright


def a_stateful_stage_that_does_not_fit() -> None:
    Pipeline[str]().add(Total())  # error: mypy pyright
    Pipeline[int]().add(Total()).add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(Keep[str]())  # error: mypy pyright
    Pipeline[int]().add(Total("nothing"))  # error: mypy pyright


def the_wrong_number_of_lanes() -> None:
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Pipe())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half), Pipe(), Pipe())  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(3)).add(Processor(half), Processor(half))  # error: mypy pyright
    Pipeline[int]().add(Processor(half), Pipe())  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).add(Pipe(), Pipe())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2), Pipe())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(ReplicatingFork(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(BalancingFork())  # error: mypy pyright
    Pipeline[int]().add()  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add()  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(8)).add(Pipe(), Pipe(), Pipe(), Pipe(), Pipe(), Pipe(), Pipe())  # error: mypy pyright


def a_join_or_a_zip_of_the_wrong_width() -> None:
    Pipeline[int]().add(ReplicatingFork(2)).add(Join(3))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Join(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Zip(2))  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(4)).add(Join(5, ordered=True))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Join())  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).add(Join(2))  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).add(Zip(2))  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).add(Join())  # error: mypy pyright
    Pipeline[int]().add(Join(2))  # error: mypy pyright
    Pipeline[int]().add(Zip(2))  # error: mypy pyright
    Pipeline[int]().add(Join())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(4)).add(Join(2), Join(3))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(4)).add(Join(2), Pipe())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Zip(2), Pipe(), Pipe())  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(half)).add(Zip(2))  # error: mypy pyright


def a_lane_of_a_row_that_does_not_fit() -> None:
    pairs = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Processor(show)).add(Zip(2))
    pairs.add(Processor(pair_sum))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(half), Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(shout), Processor(half))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Processor(half), Pipe(), Filter(is_long))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(show), Pipe()).add(Pipe(), Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(2)).add(Processor(show), Pipe()).add(Join(2)).add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(2)).add(Pipe(), Processor(show)).add(Zip(2)).add(Processor(two))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Zip(2)).add(Processor(two))  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(half)).add(Join()).add(Processor(double))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Total(), Keep[str]())  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Processor(lambda number: number.upper()))  # error: mypy pyright


def a_mixed_row_that_does_not_fit() -> None:
    Pipeline[int]().add(ReplicatingFork(2)).add(ReplicatingFork(2), Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(shout), BalancingFork(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Join(2), Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Processor(shout), Zip(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Join(2), Pipe()).add(Processor(half), Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(ReplicatingFork(2), Pipe()).add(Join(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(5)).add(Join(2), Processor(shout), Zip(2))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(6)).add(Pipe(), Pipe(), Pipe(), Join(2), Processor(shout))  # error: mypy pyright


def the_wrong_input() -> None:
    Pipeline[str]().add(Processor(parse)).run([1, 2])  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).run(b"bytes")  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).run("123")  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).run(3)  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).run([1, None])  # error: mypy pyright
    Pipeline[int]().add(Processor(half)).run()  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).stream(range(3))  # error: mypy pyright
    Pipeline().add(Processor(parse)).run([1])  # error: mypy pyright
    Pipeline[str]().add(BalancingFork()).add(Processor(parse)).add(Join()).run([1])  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(Processor(parse), Pipe()).add(Join(2)).stream([b""])  # error: mypy pyright


def the_result_at_the_wrong_type() -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    strings: list[str] = pipeline.run(["1"])  # error: mypy pyright
    floats: RunResult[str] = pipeline.run(["1"])  # error: mypy pyright
    text: str = pipeline.run(["1"])[0]  # error: mypy pyright
    stream: Iterable[bytes] = pipeline.stream(["1"])  # error: mypy pyright
    pipeline.run(["1"])[0].upper()  # error: mypy pyright
    for number in pipeline.stream(["1"]):
        number.upper()  # error: mypy pyright
    other: Pipeline[str, str] = pipeline  # error: mypy pyright
    lanes: Pipeline[str, int] = Pipeline[str]().add(Processor(parse)).add(ReplicatingFork(2))  # error: mypy pyright
    print(strings, floats, text, stream, other, lanes)


def run_on_open_lanes() -> None:
    Pipeline[int]().add(ReplicatingFork(2)).run([1])  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).stream([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(3)).add(Pipe(), Pipe(), Pipe()).run([1])  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Join(2), Pipe()).run([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).run([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(half)).stream([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Join(2)).run([1])  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(len("four"))).run([1])  # error: mypy pyright


def run_on_no_stage() -> None:
    Pipeline[int]().run([1])  # error: mypy pyright
    Pipeline[int]().stream([1])  # error: mypy pyright


async def awaited(lines: list[str], later: AsyncIterable[int]) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    await pipeline.arun([1, 2])  # error: mypy pyright
    await pipeline.arun(later)  # error: mypy pyright
    pipeline.astream(later)  # error: mypy pyright
    pipeline.astream(lines, record=3)  # error: mypy pyright
    strings: list[str] = await pipeline.arun(lines)  # error: mypy pyright
    stream: AsyncIterable[bytes] = pipeline.astream(lines)  # error: mypy pyright
    async for number in pipeline.astream(lines):
        number.upper()  # error: mypy pyright
    await Pipeline[int]().add(ReplicatingFork(2)).arun([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(half)).astream([1])  # error: mypy pyright
    await Pipeline[int]().arun([1])  # error: mypy pyright
    Pipeline[int]().astream([1])  # error: mypy pyright
    print(strings, stream)


def acknowledged(texts: Source[str, int], numbers: Source[int, int], kept: Checkpoint) -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    pipeline.stream(numbers, checkpoint=kept)  # error: mypy pyright
    pipeline.stream(texts, checkpoint="state")  # error: mypy pyright
    pipeline.astream(numbers, checkpoint=kept)  # error: mypy pyright
    pipeline.run(["1"], checkpoint=kept)  # error: mypy pyright
    for number in pipeline.stream(texts, checkpoint=kept):
        number.upper()  # error: mypy pyright
    pipeline.stream(texts, checkpoint=kept).acknowledge(3)  # error: mypy pyright


def the_wrong_input_to_a_simulation() -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    pipeline.simulate([1, 2])  # error: mypy pyright
    pipeline.simulate(b"bytes", seed=3)  # error: mypy pyright
    pipeline.simulate()  # error: mypy pyright
    pipeline.explore([1, 2])  # error: mypy pyright
    pipeline.explore([1, 2], in_order)  # error: mypy pyright
    pipeline.explore(3, strategy="exhaustive")  # error: mypy pyright
    pipeline.replay([1, 2], "cv1:")  # error: mypy pyright
    pipeline.count([1, 2])  # error: mypy pyright
    Pipeline().add(Processor(parse)).simulate([1])  # error: mypy pyright


def a_check_that_does_not_fit() -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    pipeline.explore(["1"], spelled_in_order)  # error: mypy pyright
    pipeline.explore(["1"], check=spelled_in_order, schedules=10)  # error: mypy pyright
    pipeline.explore(["1"], parse)  # error: mypy pyright
    pipeline.explore(["1"], lambda: True)  # error: mypy pyright
    pipeline.explore(["1"], lambda simulation: simulation[0].upper())  # error: mypy pyright
    pipeline.explore(["1"], "in_order")  # error: mypy pyright
    pipeline.add(Processor(show)).explore(["1"], in_order)  # error: mypy pyright


def a_wrong_option_of_a_simulation() -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    pipeline.simulate(["1"], seed="3")  # error: mypy pyright
    pipeline.simulate(["1"], 3)  # error: mypy pyright
    pipeline.simulate(["1"], scheduler="random")  # error: mypy pyright
    pipeline.simulate(["1"], schedules=3)  # error: mypy pyright
    pipeline.explore(["1"], in_order, strategy="exhausting")  # error: mypy pyright
    pipeline.explore(["1"], in_order, schedules="all")  # error: mypy pyright
    pipeline.explore(["1"], in_order, faults=1)  # error: mypy pyright
    pipeline.replay(["1"])  # error: mypy pyright
    pipeline.replay(["1"], 3)  # error: mypy pyright
    pipeline.replay(["1"], b"cv1:")  # error: mypy pyright
    pipeline.replay([1], Path("run.cvd"))  # error: mypy pyright
    pipeline.run(["1"], record=True)  # error: mypy pyright
    pipeline.run(["1"], record=b"run.cvd")  # error: mypy pyright
    pipeline.run([1], record="run.cvd")  # error: mypy pyright
    pipeline.stream(["1"], record=3)  # error: mypy pyright
    pipeline.explore(["1"], in_order, start=7)  # error: mypy pyright
    pipeline.explore([1], start="run.cvd")  # error: mypy pyright
    pipeline.simulate(["1"], start="run.cvd")  # error: mypy pyright


def a_simulation_at_the_wrong_type() -> None:
    pipeline = Pipeline[str]().add(Processor(parse))
    strings: list[str] = pipeline.simulate(["1"])  # error: mypy pyright
    pipeline.simulate(["1"])[0].upper()  # error: mypy pyright
    outputs: set[tuple[str, ...]] = pipeline.explore(["1"]).outputs  # error: mypy pyright
    texts: Simulation[str] = pipeline.replay(["1"], "cv1:")  # error: mypy pyright
    given: list[int] = pipeline.simulate(["1"]).items  # error: mypy pyright
    classes: int = pipeline.count(["1"])  # error: mypy pyright
    print(strings, outputs, texts, classes)


def simulate_on_open_lanes_or_no_stage() -> None:
    Pipeline[int]().add(ReplicatingFork(2)).simulate([1])  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).simulate([1], seed=3)  # error: mypy pyright
    Pipeline[int]().add(BalancingFork(3)).add(Pipe(), Pipe(), Pipe()).explore([1], in_order)  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(3)).add(Join(2), Pipe()).replay([1], "cv1:")  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).count([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).simulate([1])  # error: mypy pyright
    Pipeline[int]().add(BalancingFork()).add(Processor(half)).explore([1], strategy="urw")  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(len("four"))).replay([1], "cv1:")  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(len("four"))).count([1])  # error: mypy pyright
    Pipeline[int]().simulate([1])  # error: mypy pyright
    Pipeline[int]().simulate([1], seed=3)  # error: mypy pyright
    Pipeline[int]().explore([1], in_order, strategy="pct")  # error: mypy pyright
    Pipeline[int]().replay([1], "cv1:")  # error: mypy pyright
    Pipeline[int]().count([1])  # error: mypy pyright


def a_thing_instead_of_a_stage() -> None:
    Pipeline[str]().add(parse)  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(half)  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(lambda number: number + 1)  # error: mypy pyright
    Pipeline[str]().add(Processor)  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(Pipe)  # error: mypy pyright
    Pipeline[str]().add(None)  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(parse, parse)  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(Processor(parse), parse)  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(2)  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add([Processor(half)])  # error: mypy pyright


def what_cannot_be_called_with_one_item() -> None:
    Pipeline[int]().add(Processor(two))  # error: mypy pyright
    Pipeline[str]().add(Processor("parse"))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda: 1))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda left, right: left))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, retries="three"))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, on_error="ignore"))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, timeout_s="1"))  # error: mypy pyright
    Pipeline[int]().add(Processor(partial(scaled, 3), timeout_s="1"))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(words, timeout_s=[1]))  # error: mypy pyright
    Pipeline[str]().add(Filter(is_long, timeout_s=b"1"))  # error: mypy pyright
    Pipeline[str]().add(Pipe(timeout_s=1))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, timeout=1))  # error: mypy pyright
    Pipeline[str]().add(Pipe("large"))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork("2"))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork())  # error: mypy pyright


def over_several_lines() -> None:
    (
        Pipeline[str]()  # error: pyright
        .add(Processor(parse))
        .add(Processor(encode))  # error: mypy pyright
        .add(Processor(decode))
        .add(Pipe())
        .run(["a"])
    )
    (
        Pipeline[str]()  # error: pyright
        .add(ReplicatingFork(2))
        .add(
            Processor(parse),
            Processor(half),  # error: mypy pyright
        )
        .add(Join(2))
        .run(["a"])
    )
    (
        Pipeline[str]().add(Processor(parse)).add(Processor(half)).run([1])  # error: mypy pyright
    )


def stages_that_look_at_the_time() -> None:
    Throttle("5")  # error: mypy pyright
    Batch(5, within_s="soon")  # error: mypy pyright
    Pipeline[str]().add(Throttle(5)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Batch(5, within_s=0.5)).add(Processor(parse))  # error: mypy pyright
    throttle: Throttle[int] = Throttle(3)
    Pipeline[str]().add(throttle)  # error: mypy pyright
