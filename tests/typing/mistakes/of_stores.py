"""Chains from files into files and the like, with mistakes: each marked line is reported by the checkers that its mark
names, and no other line is."""

from __future__ import annotations

from conveyor import Pipeline, Processor, Sink, Source
from conveyor.io import Csv, JsonLines, Lines
from tests.typing.chain_stock import parse
from tests.typing.chains_of_stores import Price, Sale, first, sold


def what_does_not_fit() -> None:
    sales = Pipeline[Price]().add(Processor(sold))
    sales.drain(JsonLines("in.jsonl", Sale), into=Csv("out.csv"))  # error: mypy pyright
    sales.drain(Csv("in.csv"), into=Csv("out.csv"))  # error: mypy pyright
    sales.drain(JsonLines("in.jsonl", Price), into=Lines("out.txt"))  # error: mypy pyright
    sales.drain(Lines("in.txt"), into=Csv("out.csv"))  # error: mypy pyright
    sales.run(Lines("in.txt"))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).drain(Lines("in.txt"), into=Lines("out.txt"))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).drain(Lines("in.txt"), into=Csv("out.csv"))  # error: mypy pyright
    Pipeline[dict[str, str]]().add(Processor(first)).drain(Lines("in"), into=Lines("out"))  # error: mypy pyright
    prices: Source[Sale, object] = JsonLines("in", Price)  # error: mypy pyright
    numbers: Sink[int] = Lines("out")  # error: mypy pyright
    print(prices, numbers)


def wrong_options() -> None:
    Lines(3)  # error: mypy pyright
    Lines("in", on_error="dead_letter")  # error: mypy pyright
    JsonLines("in", schema=3)  # error: mypy pyright
    JsonLines("out", per_epoch=True, compression="bz2")  # error: mypy pyright
    Csv("in", delimiter=3)  # error: mypy pyright
