"""Functions that are given what `setup=` makes, with mistakes: each marked line is reported by the checkers that its mark
names, and no other line is."""

from __future__ import annotations

from conveyor import Filter, FlatMap, Pipe, Pipeline, Processor, ReplicatingFork
from tests.typing.chain_stock import half, parse
from tests.typing.chains_with_setup import Door, Table, connect, is_known, knocked, letters, look, maybe, opened, rows


def what_setup_makes_does_not_fit() -> None:
    Pipeline[int]().add(Processor(look, setup=Table))  # error: mypy pyright
    Pipeline[str]().add(Processor(look, setup=Door))  # error: mypy pyright
    Pipeline[str]().add(Processor(look, setup=dict))  # error: mypy pyright
    Pipeline[str]().add(Processor(knocked, setup=opened))  # error: mypy pyright
    Pipeline[str]().add(Processor(look, setup=Table()))  # error: mypy pyright
    Pipeline[str]().add(Processor(look, setup=parse))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, setup=Table))  # error: mypy pyright
    Pipeline[str]().add(Processor(look))  # error: mypy pyright
    Pipeline[str]().add(Processor(maybe, setup=Table)).add(Processor(parse))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(rows, setup=Table))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(look, setup=Table))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(letters, setup=Table)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Filter(is_known, setup=connect))  # error: mypy pyright
    Pipeline[bytes]().add(Filter(is_known, setup=Table))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda key, table: table.lok(key), setup=Table))  # error: mypy pyright
    Pipeline[str]().add(Processor(lambda key, table: table.look(3), setup=opened))  # error: mypy pyright
    Pipeline[str](initializer=look).add(Processor(len))  # error: mypy pyright
    Pipeline[str](preload=[3]).add(Processor(len))  # error: mypy pyright
    Pipeline[str]().add(Processor(look, setup=Table, retries="one"))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Processor(look, setup=Door))  # error: mypy pyright
