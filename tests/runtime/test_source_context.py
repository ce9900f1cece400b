"""What a source reads from its surroundings is its caller's, in a run and in a stream."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from conveyor import Processor
from tests.helpers import pipeline
from tests.jobs import double

USER: ContextVar[int] = ContextVar("USER", default=0)


def runs(pl: Any, how: str, items: Iterator[Any]) -> list[Any]:
    return list(pl.run(items) if how == "run" else pl.stream(items))


@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_source_sees_the_context_variables_of_its_caller(how: str) -> None:
    def source() -> Iterator[int]:
        yield USER.get()

    token = USER.set(7)
    try:
        assert runs(pipeline().add(Processor(double)), how, source()) == [14]
    finally:
        USER.reset(token)


@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_source_calculates_as_its_caller_does(how: str) -> None:
    def source() -> Iterator[decimal.Decimal]:
        yield decimal.Decimal(1) / 3

    with decimal.localcontext() as context:
        context.prec = 5
        assert runs(pipeline().add(Processor(str)), how, source()) == ["0.33333"]
