"""Annotations without `from __future__ import annotations`: since Python 3.14 they may name what is
there only later, and nothing that reads them, refuses a stage or sends one may mind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import FunctionType, ModuleType
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Pipeline, Processor
from conveyor.errors import TopologyError
from conveyor.items.forward_references import annotations_of, annotations_to_send, same_hint
from tests.helpers import ROOT

LATE = hasattr(lambda: None, "__annotate__")
only_where_late = pytest.mark.skipif(not LATE, reason="such an annotation is a NameError there")


def module_of(source: str) -> Any:
    """A module of its own, so that its classes know where their names are."""
    made = ModuleType("tests_late_annotations")
    sys.modules[made.__name__] = made
    exec(compile(dedent(source), "<late>", "exec", dont_inherit=True), vars(made))
    return made


LATER = """
    from dataclasses import dataclass

    def makes_one(item: int) -> Item:
        return Item(item)

    class Takes:
        def __call__(self, item: Item) -> int:
            return item.number

    def takes_text(item: str) -> int:
        return len(item)

    @dataclass
    class Holder:
        held: Item

    {item}
"""
THERE = LATER.format(
    item="""class Item:
        def __init__(self, number: int) -> None:
            self.number = number"""
)
ABSENT = LATER.format(item="")


@only_where_late
def test_what_is_there_by_now_is_read_as_it_is() -> None:
    late = module_of(THERE)

    assert annotations_of(late.makes_one) == {"item": int, "return": late.Item}
    Pipeline[int]().add(Processor(late.makes_one)).add(Processor(late.Takes()))
    with pytest.raises(TopologyError):
        Pipeline[int]().add(Processor(late.makes_one)).add(Processor(late.takes_text))


@only_where_late
def test_what_is_never_there_is_not_known_and_refuses_nothing() -> None:
    late = module_of(ABSENT)

    assert annotations_of(late.makes_one)["item"] is int
    Pipeline[int]().add(Processor(late.makes_one)).add(Processor(late.takes_text))
    Pipeline[Any]().add(Processor(late.Takes())).add(Processor(late.Holder))


SCRIPT = """
    from dataclasses import dataclass
    from conveyor import Pipeline, Processor

    class Node:
        kids: list[Node]

    @dataclass
    class Holder:
        held: Later

    def job(item: int) -> Result:
        kinds = (job, Node, Holder)
        return tuple(str(each.__annotations__) for each in kinds)

    with Pipeline().add(Processor(job)) as pipeline:
        print(*pipeline.run([1])[0], sep=chr(10))
"""


@pytest.mark.processes
@only_where_late
def test_what_cannot_be_evaluated_yet_travels_as_text_and_all_else_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(dedent(SCRIPT))

    done = subprocess.run(
        [sys.executable, file],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (done.stdout.splitlines(), done.stderr) == (
        [
            "{'item': 'int', 'return': 'Result'}",
            "{'kids': list[__main__.Node]}",
            "{'held': 'Later'}",
        ],
        "",
    )


@only_where_late
def test_annotations_that_raise_are_none_at_all() -> None:
    late = module_of("def job(item: 1 / 0): ...")

    assert annotations_of(late.job) == {}
    Pipeline[int]().add(Processor(late.job))


@given(st.sampled_from([int, "int", list[int], dict[str, int], None]))
def test_a_hint_is_the_same_as_itself_and_as_its_copy(hint: object) -> None:
    def job(item: object) -> object:
        return item

    function = cast("FunctionType", job)
    function.__annotations__ = {"item": hint}

    assert same_hint(annotations_of(function)["item"], hint)
    assert same_hint(annotations_to_send(function)["item"], hint)
    assert not same_hint(hint, "another")
