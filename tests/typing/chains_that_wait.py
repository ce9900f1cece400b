"""Chains with several items in hand at once, of async functions and others: all accepted, with exactly these types."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, assert_type

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipeline, Processor, ReplicatingFork, RunResult
from tests.typing.chain_stock import half, parse

MYPY = False  # mypy, and it alone, takes a variable of this name for true


class Client:
    def __init__(self, host: str = "") -> None:
        self.host = host

    async def get(self, path: str) -> bytes:
        return (self.host + path).encode()


class Getter:
    async def __call__(self, path: str) -> bytes:
        return path.encode()


async def fetch(path: str) -> bytes:
    return path.encode()


async def find(path: str) -> bytes | None:
    return path.encode() or None


async def words(page: bytes) -> list[str]:
    return page.decode().split()


async def links(page: bytes) -> AsyncIterator[str]:
    for word in page.decode().split():
        yield word


async def is_there(path: str) -> bool:
    return bool(path)


async def fetch_with(path: str, client: Client) -> bytes:
    return await client.get(path)


async def words_with(path: str, client: Client) -> list[str]:
    return [client.host + path]


async def links_with(path: str, client: Client) -> AsyncIterator[str]:
    yield client.host + path


@contextmanager
def connected() -> Generator[Client]:
    yield Client()


async def made() -> Client:
    return Client()


@asynccontextmanager
async def opened() -> AsyncGenerator[Client]:
    yield Client()


async def made_to_be_opened() -> AbstractContextManager[Client]:
    return connected()


class Session:
    async def __aenter__(self) -> Client:
        return Client()

    async def __aexit__(self, *raised: object) -> None: ...


class Pool:
    """Gives itself when it is entered, as most do."""

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *raised: object) -> None: ...


async def pooled(path: str, pool: Pool) -> bytes:
    return f"{path}{pool}".encode()


def host_of(path: str, client: Client) -> str:
    return client.host + path


def is_host(path: str, client: Client) -> bool:
    return path == client.host


def words_at(path: str, client: Client) -> list[str]:
    return [client.host, path]


async def perhaps(path: str, client: Client) -> bytes | None:
    return path.encode() if client.host else None


async def total(number: int) -> float:
    return number / 2


def plain() -> None:
    assert_type(Pipeline[str]().add(Processor(fetch)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch)).run(["a"]), RunResult[bytes])
    assert_type(Pipeline[str]().add(Processor(find)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch)).add(FlatMap(words)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(fetch)).add(FlatMap(links)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(is_there)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(Client().get)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(Getter())), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(parse)).add(Processor(total)), Pipeline[str, float])
    assert_type(Pipeline().add(Processor(fetch)), Pipeline[str, bytes])
    assert_type(Processor[str, bytes](fetch), Processor[str, bytes])
    if not MYPY:
        assert_type(Pipeline[Any]().add(Processor(fetch)), Pipeline[Any, bytes])
    assert_type(Pipeline[str]().add(Processor[str, bytes](find, concurrency=8)), Pipeline[str, bytes])


def with_options() -> None:
    assert_type(Pipeline[str]().add(Processor(fetch, concurrency=100, ordered=False)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(parse, concurrency=8)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(lambda text: text.strip(), concurrency=8)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(str.split, concurrency=2, ordered=False)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(str.isdigit, concurrency=2)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(fetch, name="get", retries=2, timeout_s=3.0)), Pipeline[str, bytes])
    assert_type(Pipeline[bytes]().add(FlatMap(links, concurrency=4, on_error="skip")), Pipeline[bytes, str])


def with_setup() -> None:
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=Client)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=connected, concurrency=8)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(FlatMap(words_with, setup=Client)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(links_with, setup=connected, ordered=False)), Pipeline[str, str])


def with_setup_that_waits() -> None:
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=made)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=opened)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=Session)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=lambda: opened())), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(fetch_with, setup=made_to_be_opened)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(pooled, setup=Pool, concurrency=8)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(perhaps, setup=made)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(host_of, setup=made)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(host_of, setup=opened, retries=1)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Processor(lambda path, client: client.host + path, setup=made)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(words_with, setup=made)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(links_with, setup=opened, ordered=False)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(words_at, setup=opened)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(is_host, setup=made)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(Filter(is_host, setup=opened)), Pipeline[str, str])
    assert_type(Pipeline().add(Processor(fetch_with, setup=opened)), Pipeline[str, bytes])
    both = Pipeline[str]().add(ReplicatingFork(2)).add(Processor(fetch_with, setup=made), FlatMap(words_at, setup=opened))
    assert_type(both, Pipeline[str, bytes, str])


def in_rows() -> None:
    both = Pipeline[str]().add(ReplicatingFork(2)).add(Processor(fetch), Processor(parse))
    assert_type(both, Pipeline[str, bytes, int])
    then = both.add(FlatMap(links), Processor(total))
    assert_type(then, Pipeline[str, str, float])
    assert_type(then.add(Join(2)), Pipeline[str, str | float])
    spread = Pipeline[str]().add(BalancingFork()).add(Processor(fetch)).add(Join())
    assert_type(spread, Pipeline[str, bytes])
    assert_type(spread.add(Processor(len)).add(Processor(half)), Pipeline[str, float])
