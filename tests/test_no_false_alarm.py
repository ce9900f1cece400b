"""What mypy --strict accepts and what runs is never refused: not when a pipeline is built, not for an item that is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.typing import accepted

CASES: list[Any] = [
    function for function in vars(accepted).values() if getattr(function, "__annotations__", {}).get("return") == "Case"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_a_checker_accepts_is_built_and_simulated(case: Callable[[], accepted.Case]) -> None:
    pl, items, outputs = case()

    assert list(pl.simulate(items, copy=False)) == outputs  # no copy: many are of local classes
