"""Deterministic jobs in every shape are not accused; those that depend on more than their item are
found, as far as is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from conveyor import FlatMap, Pipeline, Processor
from conveyor.errors import NotDeterministic
from conveyor.sim.code.perturbed import reordered
from tests.sim.job_shapes import CULPRITS, INNOCENT, SHAPES, module

ITEMS = ["to be or not to be", "that is the question", "whether tis nobler"]
# A class has no double: there is only the comparison of two runs, moments apart and under one hash
# seed.
SEEN_BY_DOUBLES = {
    "the order of a set",
    "the order of set()",
    "the first of a set",
    "a hash",
    "today",
    "now in a zone",
}
# These travel by value: each run begins with a copy of what is global to them, so it does not hang
# on the run before.
COPIED = {"a count of calls", "a list that grows", "chance, by name"}
MISSED = {"a class": SEEN_BY_DOUBLES} | dict.fromkeys(
    ("a lambda", "a closure", "a closure of a closure"), COPIED
)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Any]:
    """Imports the job of a module of that source."""
    names: list[str] = []

    def imported(shape: str, imports: str, body: str) -> Any:
        names.append(f"a_module_of_a_job_{len(names)}")
        path = tmp_path / f"{names[-1]}.py"
        path.write_text(module(shape, imports, body))
        spec = spec_from_file_location(names[-1], path)
        assert spec is not None
        assert spec.loader is not None
        made = sys.modules[names[-1]] = module_from_spec(spec)
        spec.loader.exec_module(made)
        return made.job

    yield imported
    for name in names:
        del sys.modules[name]


def explored(shape: str, job: Any) -> Any:
    stage = (
        FlatMap(job)
        if shape == "a generator"
        else job(name="job")
        if shape == "a class"
        else Processor(job, name="job")
    )
    pl: Any = Pipeline[Any]().add(stage)
    failure = pl.explore(ITEMS, schedules=1).failure
    return None if failure is None else failure.error


@pytest.mark.parametrize("shape", SHAPES)
def test_the_innocent_are_not_accused(shape: str, jobs: Any) -> None:
    found = {name: explored(shape, jobs(shape, *parts)) for name, parts in INNOCENT.items()}
    assert {name: str(error) for name, error in found.items() if error is not None} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_culprits_are_found(shape: str, jobs: Any) -> None:
    found = {name: explored(shape, jobs(shape, *parts)) for name, parts in CULPRITS.items()}
    missed = {name for name, error in found.items() if not isinstance(error, NotDeterministic)}
    assert missed <= MISSED.get(shape, set())


class Word(str):
    """A text whose hash does not depend on the seed."""

    __slots__ = ("number",)
    number: int

    def __hash__(self) -> int:
        return self.number


def test_another_order_has_another_first_whatever_the_hash_seed() -> None:
    random = Random(1)
    unmoved = 0
    for _ in range(2000):
        words = set[Word]()
        for text in "ab":
            word = Word(text)
            word.number = random.getrandbits(60)
            words.add(word)
        unmoved += next(iter(cast("set[Word]", reordered(words)))) == next(iter(words))
    assert unmoved < 20  # of two words, a place of its own in each table has one of some hundreds
