"""A survey of Python's own standard library, on every core.

The source files of the library this interpreter came with go through two analyses of the syntax
tree, each of them balanced over two workers, into one stateful summary:

                            ┌─ balance ┬─ imports ───┬ join ─┐
                            │          └─ imports ───┘       │
    paths ─ read ─ replicate┤                                ├ join ─ summary
                            │          ┌─ functions ─┐       │
                            └─ balance ┴─ functions ─┴ join ─┘

A plain loop in one process does the same. Both must give equal results, and their times are
compared. Then some of the files go through the same pipeline in the simulator, in many different
orders: none may change what is found.

    python examples/stdlib_survey.py [--files N] [--root FOLDER]

Ends with status 1 if the pipeline and the loop disagree, for real or in the simulator.
"""

from __future__ import annotations

import argparse
import ast
import sys
import sysconfig
import time
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from conveyor import (
    BalancingFork,
    Exploration,
    Join,
    Pipeline,
    Processor,
    ReplicatingFork,
    RunResult,
    Simulation,
)

Result = TypeVar("Result")

DEFAULT_FILES = 350
ROUNDS = 2
SIMULATED_FILES = 8
SCHEDULES = 30
NOT_OF_THE_LIBRARY = {"site-packages", "dist-packages"}
INVALID_ON_PURPOSE = ("lib2to3/tests/data/", "test/tokenizedata/", "test/bad")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that could be decoded."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Extreme:
    """A function that is the most of something. The place breaks ties, so the order of arrival
    cannot show."""

    size: int = 0
    place: str = "-"


@dataclass(frozen=True, slots=True)
class Imports:
    """What one file imports: the top-level packages, each once."""

    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of one file: how many, the longest in lines, the most deeply nested in
    blocks."""

    lines: int
    count: int
    longest: Extreme
    deepest: Extreme


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything the survey found. Equal surveys found the same."""

    files: int = 0
    lines: int = 0
    functions: int = 0
    longest: Extreme = Extreme()
    deepest: Extreme = Extreme()
    importers: tuple[tuple[str, int], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


# --- the work
# ------------------------------------------------------------------------------------------------


def read(path: str) -> Source:
    """Read a file in the encoding it declares. Raises SyntaxError or UnicodeDecodeError if it does
    not decode."""
    with tokenize.open(path) as file:
        return Source(path, file.read())


def parse(source: Source) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old files hold old escapes; they are not what is surveyed
        return ast.parse(source.text, source.path)


def imports_of(source: Source) -> Imports:
    return imports_in(parse(source))


def functions_of(source: Source) -> Functions:
    return functions_in(parse(source), source)


def imports_in(tree: ast.Module) -> Imports:
    """The top-level packages that a file imports, sorted; relative imports are its own and do not
    count."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules.update(alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                modules.add(module.partition(".")[0])
            case _:
                pass
    return Imports(tuple(sorted(modules)))


def functions_in(tree: ast.Module, source: Source) -> Functions:
    """Length and nesting of the functions of a file. A function within a function starts a nesting
    of its own."""
    count = 0
    longest = deepest = Extreme()
    unvisited: list[tuple[ast.AST, str, int]] = [(tree, "", 0)]
    while unvisited:
        node, place, depth = unvisited.pop()
        if isinstance(node, FUNCTIONS):
            count += 1
            place, depth = f"{node.name} ({source.path}:{node.lineno})", 0
            longest = max(
                longest, Extreme((node.end_lineno or node.lineno) - node.lineno + 1, place)
            )
        elif isinstance(node, BLOCKS) and place:
            deepest = max(deepest, Extreme(depth, place))
        for child in ast.iter_child_nodes(node):
            deeper = isinstance(child, BLOCKS) and not is_elif(node, child)
            unvisited.append((child, place, depth + deeper))
    return Functions(source.text.count("\n"), count, longest, deepest)


def is_elif(parent: ast.AST, child: ast.AST) -> bool:
    """Whether a child is its parent's `elif`: the tree shows it as an `if` within, but it stands in
    the same column."""
    return (
        isinstance(parent, ast.If)
        and isinstance(child, ast.If)
        and parent.col_offset == child.col_offset
    )


class Summary(Processor[Imports | Functions, Survey]):
    """Adds up what the analyses found and gives one survey at the end of a run."""

    def __init__(self) -> None:
        super().__init__()
        self._survey = Survey()
        self._importers: Counter[str] = Counter()

    def process(self, item: Imports | Functions, /) -> None:
        match item:
            case Imports(modules):
                self._importers.update(modules)
            case Functions(lines, count, longest, deepest):
                so_far = self._survey
                self._survey = replace(
                    so_far,
                    files=so_far.files + 1,
                    lines=so_far.lines + lines,
                    functions=so_far.functions + count,
                    longest=max(so_far.longest, longest),
                    deepest=max(so_far.deepest, deepest),
                )

    def finish(self) -> Iterator[Survey]:
        ranking = sorted(self._importers.items(), key=lambda entry: (-entry[1], entry[0]))
        yield replace(self._survey, importers=tuple(ranking))
        self._survey, self._importers = (
            Survey(),
            Counter(),
        )  # another run of the same worker begins anew


# --- the same work, done twice
# ----------------------------------------------------------------------------------------


def pipeline() -> Pipeline[str, Survey]:
    """A file that does not decode or parse becomes a dead letter: it is out of the way, and it is
    counted."""
    return (
        Pipeline[str]()
        .add(Processor(read, on_error="dead_letter"))
        .add(ReplicatingFork(2))
        .add(BalancingFork(2), BalancingFork(2))
        .add(
            Processor(imports_of, on_error="dead_letter"),
            Processor(imports_of, on_error="dead_letter"),
            Processor(functions_of, on_error="dead_letter"),
            Processor(functions_of, on_error="dead_letter"),
        )
        .add(Join(2), Join(2))
        .add(Join(2))
        .add(Summary())
    )


def in_the_pipeline(paths: Sequence[str]) -> tuple[Survey, RunResult[Survey]]:
    result = pipeline().run(paths)
    return survey_of(result), result


def in_the_simulator(paths: Sequence[str]) -> Exploration[Survey]:
    """The same pipeline in one thread, under many schedules: each must find what a plain loop
    finds."""
    expected = in_a_loop(paths, with_one_tree)
    return pipeline().explore(paths, lambda run: survey_of(run) == expected, schedules=SCHEDULES)


def survey_of(result: RunResult[Survey] | Simulation[Survey]) -> Survey:
    [survey] = result
    unreadable: set[tuple[str, str]] = set()  # both analyses report the same file
    for letter in result.dead_letters:
        path = letter.item.path if isinstance(letter.item, Source) else str(letter.item)
        unreadable.add((path, type(letter.exception).__name__))
    return replace(survey, unreadable=tuple(sorted(unreadable)))


def in_a_loop(
    paths: Iterable[str], analyse: Callable[[Source], tuple[Imports, Functions]]
) -> Survey:
    """The pipeline's work without the pipeline."""
    summary = Summary()
    unreadable: list[tuple[str, str]] = []
    for path in paths:
        try:
            source = read(path)
            found = analyse(source)
        except Exception as error:
            unreadable.append((path, type(error).__name__))
        else:
            for item in found:
                summary.process(item)
    [survey] = summary.finish()
    return replace(survey, unreadable=tuple(sorted(unreadable)))


def with_a_tree_each(source: Source) -> tuple[Imports, Functions]:
    """What the pipeline does: its analyses are in different processes, so each parses for
    itself."""
    return imports_of(source), functions_of(source)


def with_one_tree(source: Source) -> tuple[Imports, Functions]:
    """What one process need not do twice."""
    tree = parse(source)
    return imports_in(tree), functions_in(tree, source)


# --- files in, table out
# ----------------------------------------------------------------------------------------------


def source_files(root: Path) -> list[str]:
    """The Python files below a folder, sorted, without installed packages and files that are
    invalid on purpose."""
    found: list[str] = []
    for path in root.rglob("*.py"):
        inner = path.relative_to(root)
        if NOT_OF_THE_LIBRARY.isdisjoint(inner.parts) and not inner.as_posix().startswith(
            INVALID_ON_PURPOSE
        ):
            found.append(str(path))
    return sorted(found)


def evenly(paths: Sequence[str], count: int) -> list[str]:
    """At most `count` of the paths, evenly spread over all of them: the same ones each time."""
    if count >= len(paths):
        return list(paths)
    return [paths[i * len(paths) // count] for i in range(count)]


def table(survey: Survey, root: Path) -> str:
    def place(extreme: Extreme) -> str:
        return extreme.place.replace(f"{root}/", "")

    most = ", ".join(f"{module} {count}" for module, count in survey.importers[:8])
    rows = [
        ("files", f"{survey.files:,}"),
        ("lines", f"{survey.lines:,}"),
        ("functions", f"{survey.functions:,}"),
        ("longest function", f"{survey.longest.size:,} lines: {place(survey.longest)}"),
        ("deepest nesting", f"{survey.deepest.size} blocks: {place(survey.deepest)}"),
        ("most imported, by files", most),
        ("unreadable files", f"{len(survey.unreadable)}"),
        *((f"  {error}", path.replace(f"{root}/", "")) for path, error in survey.unreadable),
    ]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def yes_or_no(answer: bool) -> str:
    return "yes" if answer else "NO"


def compare_with_loops(paths: Sequence[str], root: Path) -> bool:
    """Run all, in turn, so that a machine that slows down slows each; print what they found and how
    long they took."""
    loops: list[tuple[float, Survey]] = []
    leaner_loops: list[tuple[float, Survey]] = []
    runs: list[tuple[float, tuple[Survey, RunResult[Survey]]]] = []
    for _ in range(ROUNDS):
        loops.append(timed(lambda: in_a_loop(paths, with_a_tree_each)))
        runs.append(timed(lambda: in_the_pipeline(paths)))
        leaner_loops.append(timed(lambda: in_a_loop(paths, with_one_tree)))

    _, (survey, result) = runs[0]
    print(table(survey, root), end="\n\n")
    print(result.report, end="\n\n")

    loop_s, leaner_s, run_s = (
        min(seconds for seconds, _ in times) for times in (loops, leaner_loops, runs)
    )
    print(f"{run_s:6.2f} s  the pipeline, its workers' start and stop included")
    print(
        f"{loop_s:6.2f} s  a plain loop doing the same work in one process: "
        f"speed-up {loop_s / run_s:.2f}"
    )
    print(
        f"{leaner_s:6.2f} s  a loop that parses a file once for both analyses: "
        f"speed-up {leaner_s / run_s:.2f}"
    )
    print(f"(over {len(paths)} files, best of {ROUNDS} each, taken in turn)")

    equal = all(found == survey for _, found in loops + leaner_loops) and all(
        found == survey for _, (found, _) in runs
    )
    print(f"equal to a plain loop: {yes_or_no(equal)}")
    return equal


def simulate(paths: Sequence[str]) -> bool:
    """Run a few files in the simulator; print in how many ways, and whether one of them gives
    anything else."""
    explored = in_the_simulator(paths)
    print(
        f"\nin the simulator: {len(paths)} files under {explored.schedules} schedules, "
        f"{explored.classes} of them different"
    )
    if explored.failure is not None:
        print(explored.failure)
    print(f"under each of them equal to a plain loop: {yes_or_no(explored.failure is None)}")
    return explored.failure is None


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description="Survey Python source files in parallel, and check it against a loop."
    )
    parser.add_argument(
        "--files", type=int, default=DEFAULT_FILES, help="how many files (default: %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(sysconfig.get_paths()["stdlib"]), help="where they are"
    )
    options = parser.parse_args(arguments)
    root: Path = options.root

    everything = source_files(root)
    paths = evenly(everything, options.files)
    print(f"{len(paths)} of the {len(everything)} Python files below {root}\n")
    equal = compare_with_loops(paths, root)
    return 0 if simulate(evenly(paths, SIMULATED_FILES)) and equal else 1


sys.exit(main(sys.argv[1:]))
