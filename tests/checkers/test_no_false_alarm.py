"""What mypy --strict accepts and what runs is never refused: not when a pipeline is built, not for
an item that is right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.checkers.test_chain_style import CACHES, mypy
from tests.typing import accepted

CASES: list[Any] = [
    function
    for function in vars(accepted).values()
    if getattr(function, "__annotations__", {}).get("return") == "Case"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_a_checker_accepts_is_built_and_simulated(case: Callable[[], accepted.Case]) -> None:
    pl, items, outputs = case()

    assert list(pl.simulate(items, copy=False)) == outputs  # no copy: many are of local classes


NEWER = Path(accepted.__file__).with_name(
    "accepted_from_3_13.txt"
)  # whose syntax is an error to Python 3.11


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the syntax is of Python 3.13")
def test_what_is_written_in_the_newest_syntax_is_built_and_simulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("accepted_from_3_13")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(NEWER.read_text(encoding="utf-8"), str(NEWER), "exec"), vars(module))
    for pl, items, outputs in module.CASES:
        assert list(pl.simulate(items, copy=False)) == outputs


def test_mypy_accepts_the_newest_syntax_too(tmp_path: Path) -> None:
    file = tmp_path / "newer.py"
    file.write_text(NEWER.read_text(encoding="utf-8"), encoding="utf-8")
    assert mypy("--strict", "--python-version=3.13", file, cache=CACHES / "newer") == ""
