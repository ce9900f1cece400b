"""Several items in hand at once, with mistakes: each marked line is reported by the checkers that its mark names, and no
other line is."""

from __future__ import annotations

from conveyor import Filter, FlatMap, Pipe, Pipeline, Processor, ReplicatingFork, RunResult
from tests.typing.chain_stock import half, parse
from tests.typing.chains_that_wait import (
    Client,
    fetch,
    fetch_with,
    find,
    host_of,
    is_host,
    is_there,
    links,
    links_with,
    made,
    opened,
    pooled,
    total,
    words,
)


def what_waits_does_not_fit() -> None:
    Pipeline[bytes]().add(Processor(fetch))  # error: mypy pyright
    Pipeline[bytes]().add(Processor(Client().get))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch)).add(Processor(parse))  # error: mypy pyright
    Pipeline[str]().add(Processor(find)).add(Processor(parse))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch)).add(Processor(fetch))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(links))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(words))  # error: mypy pyright
    Pipeline[bytes]().add(FlatMap(links)).add(Processor(half))  # error: mypy pyright
    Pipeline[bytes]().add(FlatMap(words)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(total))  # error: mypy pyright
    Pipeline[int]().add(FlatMap(total))  # error: mypy pyright
    Pipeline[bytes]().add(Filter(is_there))  # error: mypy pyright
    Pipeline[str]().add(ReplicatingFork(2)).add(Processor(fetch), Processor(total))  # error: mypy pyright
    Pipeline[int]().add(ReplicatingFork(2)).add(Processor(fetch), Pipe())  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch_with, setup=dict))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch_with, setup=Client)).add(Processor(parse))  # error: mypy pyright
    Pipeline[bytes]().add(FlatMap(links_with, setup=Client))  # error: mypy pyright
    Pipeline().add(Processor(fetch)).add(Processor(parse))  # error: mypy pyright
    Processor[str, int](fetch)  # error: pyright
    Pipeline[str]().add(Processor[str, bytes](find)).add(Processor(parse))  # error: mypy pyright
    texts: RunResult[str] = Pipeline[str]().add(Processor(fetch)).run(["a"])  # error: mypy pyright
    print(texts)


def what_setup_waits_for_does_not_fit() -> None:
    Pipeline[str]().add(Processor(pooled, setup=made))  # error: mypy pyright
    Pipeline[str]().add(Processor(pooled, setup=opened))  # error: mypy pyright
    Pipeline[bytes]().add(Processor(fetch_with, setup=made))  # error: mypy pyright
    Pipeline[str]().add(Processor(host_of, setup=opened)).add(Processor(half))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch_with, setup=made)).add(Processor(parse))  # error: mypy pyright
    Pipeline[bytes]().add(FlatMap(links_with, setup=opened))  # error: mypy pyright
    Pipeline[bytes]().add(Filter(is_host, setup=made))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch_with, setup=parse))  # error: mypy pyright


def wrong_options() -> None:
    Pipeline[str]().add(Processor(parse, concurrency="8"))  # error: mypy pyright
    Pipeline[str]().add(Processor(parse, concurrency=8, ordered="no"))  # error: mypy pyright
    Pipeline[str]().add(Processor(fetch, concurrency=2.5))  # error: mypy pyright
    Pipeline[str]().add(FlatMap(str.split, concurency=8))  # error: mypy pyright
    Pipeline[str]().add(Filter(str.isdigit, ordered=0))  # error: mypy pyright
    Pipe(concurrency=8)  # error: mypy pyright
