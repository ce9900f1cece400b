"""Pipelines added to pipelines, with mistakes: each marked line is reported by the checkers that its mark names, and no other
line is."""

from __future__ import annotations

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from tests.typing.chain_stock import half, parse, shout
from tests.typing.chains_of_pipelines import parsing, two_lanes


def a_pipeline_that_does_not_fit() -> None:
    Pipeline[int]().add(parsing())  # error: mypy pyright
    Pipeline[str]().add(Processor(parse)).add(parsing())  # error: mypy pyright
    Pipeline[str]().add(parsing()).add(parsing())  # error: mypy pyright
    Pipeline[str]().add(parsing()).add(Processor(shout))  # error: mypy pyright
    Pipeline().add(parsing()).add(Processor(shout))  # error: mypy pyright
    Pipeline[int]().add(two_lanes())  # error: mypy pyright
    Pipeline[str]().add(two_lanes()).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(two_lanes()).add(Join(3))  # error: mypy pyright
    Pipeline[str]().add(two_lanes()).run(["1"])  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(parsing())  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(parsing(), parsing(), Pipe())  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(3)).add(two_lanes(), Pipe())  # error: mypy pyright
    Pipeline[str]().add(parsing()).run([1])  # error: mypy pyright
    Pipeline[str](name=3).add(Processor(parse))  # error: mypy pyright
