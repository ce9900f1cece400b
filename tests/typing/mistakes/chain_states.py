"""Chains of the stages that keep a state, with mistakes: each marked line is reported by the checkers that its mark names."""

from __future__ import annotations

from conveyor import Batch, PerKey, Pipeline, Processor, Reduce, Scan, Tap, Tumbling, Unbatch, Window
from tests.typing.chain_states import Count, Event, add, gathered, seconds, user


def half(number: int) -> float:
    return number / 2


def mistaken() -> None:
    Pipeline[int]().add(Batch(2)).add(Processor(half))  # error: mypy pyright
    Pipeline[int]().add(Unbatch())  # error: mypy pyright
    Pipeline[str]().add(Batch(2)).add(Unbatch()).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Scan(add, 0.0))  # error: mypy pyright
    Pipeline[int]().add(Scan(add, 0.0)).add(Processor(half))  # error: mypy pyright
    Pipeline[int]().add(Reduce(gathered, []))  # error: mypy pyright
    Pipeline[int]().add(Scan(half, 0))  # error: mypy pyright
    Pipeline[str]().add(Tap(half))  # error: mypy pyright
    Pipeline[str]().add(Tap(print)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(PerKey(user, Count))  # error: mypy pyright
    Pipeline[Event]().add(PerKey(half, Count))  # error: mypy pyright
    Pipeline[Event]().add(PerKey(user, Count)).add(Processor(str.upper))  # error: mypy pyright
    Pipeline[Event]().add(PerKey(user, half))  # error: mypy pyright
    Pipeline[int]().add(Window(Tumbling(1), time=seconds, fold=gathered, initial=[]))  # error: mypy pyright
    Pipeline[Event]().add(Window(60, time=seconds, fold=gathered, initial=[]))  # error: mypy pyright
    Pipeline[Event]().add(Window(Tumbling(1), time=user, fold=gathered, initial=[]))  # error: mypy pyright
    Pipeline[Event]().add(Reduce(gathered, [])).add(Processor(half))  # error: mypy pyright
    Pipeline[Event]().add(Batch("2"))  # error: mypy pyright
    Pipeline[int]().add(Scan(add, 0.0, on_error="ignore"))  # error: mypy pyright
