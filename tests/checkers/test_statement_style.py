"""Statement style under mypy with the plugin: each marked mistake is reported on its line, and
nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

import pytest

from conveyor._mypy.follow import Trust, read
from tests.helpers import SEED

ROOT = Path(__file__).resolve().parents[2]
TYPING = ROOT / "tests" / "typing"

# A checker reads everything anew, which takes a while on a busy machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mypy reads the library once for all tests here."""
    return tmp_path_factory.mktemp("mypy")


def mypy_with_the_plugin(cache: Path, files: Iterable[Path]) -> str:
    # --show-traceback: a fault of the plugin's own, which a user never sees, ends the run.
    options = (
        "--config-file",
        "mypy-plugin.ini",
        "--show-traceback",
        "--no-error-summary",
        "--cache-dir",
        str(cache),
    )
    # Another interpreter has another release of mypy: python tools/try_mypy_releases.py
    python = os.environ.get("CONVEYOR_MYPY_PYTHON", sys.executable)
    command = [python, "-m", "mypy", *options, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.stdout


def reported(output: str) -> dict[tuple[str, int], str]:
    found = re.findall(r"^(\S+?):(\d+): error: (.*)$", output, re.MULTILINE)
    assert len(found) == output.count(" error: "), output
    return {(Path(file).name, int(line)): sentence for file, line, sentence in found}


def marked(file: Path) -> dict[tuple[str, int], int]:
    lines = enumerate(file.read_text().splitlines(), 1)
    return {
        (file.name, number): int(mark[1])
        for number, line in lines
        if (mark := re.search(r"# mistake (\d+)$", line))
    }


def test_each_mistake_is_reported_on_its_line_and_nothing_else(cache: Path) -> None:
    mistakes = marked(TYPING / "statement_mistakes.py")
    assert list(mistakes.values()) == list(range(1, len(mistakes) + 1))
    assert len(mistakes) >= 40

    output = mypy_with_the_plugin(
        cache, [*sorted(TYPING.glob("statement_*.py")), *sorted(SEED.glob("*.py"))]
    )

    assert reported(output).keys() == mistakes.keys(), output


def test_chain_style_is_read_as_without_the_plugin(cache: Path) -> None:
    chains = sorted(TYPING.glob("chain*.py"))
    mistakes = sorted((TYPING / "mistakes").glob("*.py"))

    found = reported(mypy_with_the_plugin(cache, [*chains, *mistakes]))

    expected = set[tuple[str, int]]().union(
        *(lines_with("# error: mypy", file) for file in mistakes)
    )
    assert found.keys() == expected, found


def lines_with(mark: str, file: Path) -> set[tuple[str, int]]:
    return {
        (file.name, number)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if mark in line
    }


SENTENCES = """
    from functools import partial

    from conveyor import BalancingFork, Join, Pipeline, Processor, ReplicatingFork

    def parse(line: str) -> int:
        return int(line)

    def power(base: int, number: int) -> float:
        return float(base**number)

    with Pipeline[str]() as one:
        one.add(ReplicatingFork(2))
        one.add(Processor(parse), Processor(abs))

    with Pipeline[str]() as two:
        two.add(Processor(parse), Processor(parse))

    with Pipeline[str]() as three:
        three.add(Join(2))

    with Pipeline() as four:
        four.add(Processor(parse))
        four.run([1])

    with Pipeline[str]() as five:
        five.add(ReplicatingFork(2))
        five.run(["1"])

    with Pipeline[str]() as six:
        six.run(["1"])

    with Pipeline[str]() as seven:
        seven.add(BalancingFork())
        seven.run(["1"])

    with Pipeline[str]() as eight:
        eight.add(ReplicatingFork(2))
        eight.add(Join())

    Pipeline[str]().add(Processor(parse)).add(Processor(parse))
    Pipeline[str]().add(parse)
    Pipeline[str]().add(Processor)
    Pipeline[str]().add("parse")
    Pipeline[str]().add(Processor(partial(power, 2)))
    Pipeline[str]().add(Processor(partial(power, 2, 3)))
"""


def test_mistakes_are_told_in_sentences(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "sentences.py"
    file.write_text(
        dedent(SENTENCES)
        .replace("Processor(abs)", "Processor(abs_of)")
        .replace("def parse", ABS_OF + "def parse")
    )

    sentences = list(reported(mypy_with_the_plugin(cache, [file])).values())

    assert [sentence.removesuffix("  [conveyor]") for sentence in sentences] == [
        "stage 2 of this row takes int, but its lane carries str",
        "this row takes 2 lanes, but 1 lane is open",
        "a pipeline cannot begin with a Join or a Zip",
        "this pipeline takes items of type str, but run() is given list[int]",
        "run() needs one open lane, but 2 lanes are open: add a Join or a Zip",
        "run() needs a stage, and nothing was added to this pipeline",
        "run() needs one open lane, but those of a fork are open: add a Join",
        "Join() closes what a BalancingFork() opened; with 2 lanes open, say how many it joins",
        "stage 1 of this row takes str, but its lane carries int",
        "stage 1 of this row is a function, not a stage: write Processor(...) around it",
        "stage 1 of this row is a class, not a stage: call it",
        "stage 1 of this row is of type str, which is no stage",
        "stage 1 of this row takes int, but its lane carries str",
        "stage 1 of this row cannot take what its lane carries: str",
    ]


ABS_OF = "def abs_of(number: int) -> int:\n    return abs(number)\n\n"

NARROWED = """
    from functools import partial
    from typing import assert_type

    from conveyor import Pipeline, Processor, ReplicatingFork, RunResult, Zip


    def parse(line: str) -> int:
        return int(line)


    def half(number: int) -> float:
        return number / 2


    def number_or_text(line: str) -> int | str | None:
        return parse(line) if line.isdigit() else line or None


    def in_base(base: int, line: str) -> int | str | None:
        return int(line, base) if line.isdigit() else line or None


    def a_union_without_none() -> None:
        assert_type(Pipeline[str]().add(Processor(number_or_text)), Pipeline[str, int | str])
        with Pipeline[str]() as pl:
            pl.add(Processor(partial(in_base, 2)))
            assert_type(pl, Pipeline[str, int | str])


    def build(flag: bool) -> Pipeline[str, tuple[int, float]]:
        pl = Pipeline[str]()
        pl.add(Processor(parse))
        assert_type(pl, Pipeline[str, int])
        pl.add(ReplicatingFork(2))
        assert_type(pl, Pipeline[str, int, int])
        pl.add(Processor(abs_of), Processor(half))
        assert_type(pl, Pipeline[str, int, float])
        pl.add(Zip(2))
        assert_type(pl.run(["1"]), RunResult[tuple[int, float]])
        return pl


    def branches(flag: bool) -> None:
        with Pipeline[str]() as pl:
            if flag:
                pl.add(Processor(parse))
            else:
                pl.add(Processor(parse)).add(Processor(half))
            assert_type(pl.run(["1"]), RunResult[int | float])


    def early_return(flag: bool) -> None:
        with Pipeline() as pl:
            pl.add(Processor(parse))
            if flag:
                pl.add(Processor(half))
                return
            assert_type(pl, Pipeline[str, int])
"""


def test_a_variable_is_of_the_type_of_what_was_added(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "narrowed.py"
    file.write_text(dedent(NARROWED).replace("def parse", ABS_OF + "def parse"))

    assert mypy_with_the_plugin(cache, [file]) == ""


REBOUND = """
    from typing import TypeGuard, assert_type

    from typing_extensions import TypeIs

    from conveyor import Filter, Join, Pipe, Pipeline, Processor, ReplicatingFork, RunResult, Zip


    def parse(line: str) -> int:
        return int(line)


    def half(number: int) -> float:
        return number / 2


    pl = Pipeline[str]()
    pl = pl.add(Processor(parse))
    assert_type(pl, Pipeline[str, int])
    pl = pl.add(Processor(half))
    assert_type(pl.run(["1"]), RunResult[float])
    pl = pl.add(Processor(half))  # mistake


    def from_a_chain() -> Pipeline[str, tuple[int, str]]:
        lanes = Pipeline[str]().add(ReplicatingFork(2))
        lanes = lanes.add(Processor(lambda line: len(line)), Pipe())
        assert_type(lanes, Pipeline[str, int, str])
        return lanes.add(Zip(2))


    def in_branches(flag: bool) -> None:
        pl = Pipeline[str]()
        if flag:
            pl = pl.add(Processor(parse))
        else:
            pl = pl.add(Processor(parse)).add(Processor(half))
        assert_type(pl.run(["1"]), RunResult[int | float])
        pl = pl.add(Processor(parse))  # mistake


    def in_a_loop(many: int) -> None:
        pl = Pipeline()
        pl = pl.add(Processor(parse))
        for _ in range(many):
            pl = pl.add(Processor(abs_of))
        pl.run([1])  # mistake


    with Pipeline[str]() as opened:
        opened = opened.add(Processor(parse))
        assert_type(opened, Pipeline[str, int])
        opened = opened.add(Processor(parse))  # mistake


    def by_another_name(parsed: Pipeline[str, int]) -> None:
        halved = parsed.add(Processor(half))
        assert_type(parsed, Pipeline[str, float])
        parsed.add(Processor(half))  # mistake
        halved.add(Processor(half))


    def is_number(item: int | str) -> TypeIs[int]:
        return isinstance(item, int)


    def is_text(item: object) -> TypeGuard[str]:
        return isinstance(item, str)


    def guards() -> None:
        assert_type(Pipeline[int | str]().add(Filter(is_number)), Pipeline[int | str, int])
        texts = Pipeline[object]().add(Filter(is_text, name="text"))
        assert_type(texts.add(Processor(parse)), Pipeline[object, int])
        forked = Pipeline[int | str]().add(ReplicatingFork(2))
        assert_type(forked.add(Filter(is_number), Filter(is_text)), Pipeline[int | str, int, str])
        Pipeline[int | str]().add(Filter(is_number)).add(Processor(parse))  # mistake


    def rows_in_variables(parsed: Pipeline[str, int]) -> None:
        row = [Processor(half)] * 2
        forked = parsed.add(ReplicatingFork(2)).add(*row)
        assert_type(forked, Pipeline[str, float, float])
        forked.add(*row)  # mistake


    def rows_in_a_tuple(parsed: Pipeline[str, int]) -> None:
        row = (Processor(half), Processor(str))
        joined = parsed.add(ReplicatingFork(2)).add(*row).add(Join(2))
        assert_type(joined, Pipeline[str, float | str])
"""


def test_a_variable_is_followed_from_name_to_name(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "rebound.py"
    file.write_text(dedent(REBOUND).replace("def parse", ABS_OF + "def parse"))

    found = reported(mypy_with_the_plugin(cache, [file]))

    assert found.keys() == lines_with("# mistake", file), found


@pytest.mark.parametrize(
    "file", sorted((ROOT / "conveyor").rglob("*.py")), ids=lambda file: file.name
)
def test_any_file_can_be_read(file: Path) -> None:
    read(file.read_bytes())


def trust_at_the_last_line(source: str) -> Trust:
    source = dedent(source).strip()
    last = source.splitlines()[-1]
    line, column = source.count("\n") + 1, len(last) - len(last.lstrip())
    call = last.strip()
    return (
        read(source)
        .use(
            (line, column, line, len(last)),
            call.rpartition(".add(")[0] or call.rpartition(".run(")[0],
        )
        .trust
    )


def test_a_variable_that_nobody_else_has_is_followed() -> None:
    assert trust_at_the_last_line("pl = Pipeline()\npl.add(a)\npl.add(b)") is Trust.FOLLOWED


@pytest.mark.parametrize(
    "before",
    [
        "attach(pl)",
        "kept = [pl]",
        "other = pl",
        "other = pl.add(a)\nother.add(c)",
        "other = pl.add(a)\nattach(other)",
        "other = pl.add(a)\ndef f():\n    other.add(c)",
        "more = pl.add",
        "f = lambda: pl.add(a)",
        "def f():\n    pl.add(a)",
        "def f():\n    attach(pl)",
        "with pl as other: other.add(a)",
        "with pl as (other, more): ...",
        "yield_to = (yield pl)",
        "if (other := pl): ...",
    ],
)
def test_what_may_add_behind_its_back_loses_a_variable(before: str) -> None:
    assert trust_at_the_last_line(f"pl = Pipeline()\n{before}\npl.add(b)") is Trust.LOST


@pytest.mark.parametrize(
    "before",
    [
        "other = pl.add(a)",
        "with pl as other: other.run(x)",
        "pl = pl.add(a)",
        "pl = pl.add(a).add(b)",
    ],
)
def test_a_second_name_by_which_nothing_is_added_does_no_harm(before: str) -> None:
    assert trust_at_the_last_line(f"pl = Pipeline()\n{before}\npl.add(b)") is Trust.FOLLOWED


def test_a_variable_is_lost_in_the_whole_loop_in_which_it_is_handed_on() -> None:
    source = "pl = Pipeline()\nfor _ in x:\n    pl.add(a)\n    attach(pl)\n"
    line = "    pl.add(a)"
    assert read(source).use((3, 4, 3, len(line)), "pl").trust is Trust.LOST


def test_a_variable_bound_anew_is_followed_again() -> None:
    assert (
        trust_at_the_last_line("pl = Pipeline()\nattach(pl)\npl = Pipeline()\npl.add(a)")
        is Trust.HIDDEN
    )


def test_a_variable_of_another_scope_is_what_it_was_declared_as() -> None:
    assert trust_at_the_last_line("pl = Pipeline()\ndef f():\n    pl.run(x)") is Trust.DECLARED
    assert (
        trust_at_the_last_line("pl = Pipeline()\npl.add(a)\ndef f():\n    pl.run(x)") is Trust.LOST
    )


def test_an_attribute_is_followed_from_its_assignment_on_and_only_in_that_method() -> None:
    own = (
        "class A:\n    def __init__(self):\n        self.pl = Pipeline()\n        {}self.pl.add(b)"
    )
    assert trust_at_the_last_line(own.format("")) is Trust.FOLLOWED
    assert trust_at_the_last_line(own.format("self.more()\n        ")) is Trust.LOST
    assert (
        trust_at_the_last_line("class A:\n    def f(self):\n        self.pl.add(b)") is Trust.LOST
    )
