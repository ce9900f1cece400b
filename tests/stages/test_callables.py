"""What can be a job is judged by what a call will run, whatever its decorators say of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar, cast
from unittest import mock

import pytest

from conveyor import Filter, FlatMap, Join, Pipe, Pipeline, Processor, Tap
from conveyor.core.job_node import ItemFailed
from conveyor.errors import TopologyError
from conveyor.stages import is_async

R = TypeVar("R")
ANYTHING: Any = object()


def injecting(*before: object, **named: object) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """A decorator that gives a function more than its caller does."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def inner(item: object) -> R:
            return function(*before, item, **named)

        return inner

    return decorate


def unpacking(function: Callable[..., R]) -> Callable[..., R]:
    @functools.wraps(function)
    def inner(items: Any) -> R:
        return function(**items) if isinstance(items, dict) else function(*items)

    return inner


def forgetting(function: Callable[[], R]) -> Callable[..., R]:
    @functools.wraps(function)
    def inner(_: object) -> R:
        return function()

    return inner


def passing_on(function: Callable[..., R]) -> Callable[..., R]:
    @functools.wraps(function)
    def inner(*args: object, **named: object) -> R:
        return function(*args, 1, **named)

    return inner


def claiming_another_signature(function: Callable[..., R]) -> Callable[..., R]:
    def inner(*args: object) -> R:
        return function(*args, *args)

    inner.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return inner


def repeated(text: Any, times: int) -> Any:
    return text * times


class Service:
    def __init__(self) -> None: ...

    @staticmethod
    @injecting("db")
    def static(db: str, item: int) -> str:
        return db * item

    @classmethod
    @passing_on
    def of_class(cls, item: int, other: int) -> int:
        return item + other

    @passing_on
    def method(self, item: int, other: int) -> int:
        return item + other

    @functools.cache  # noqa: B019
    def cached(self, item: int) -> int:
        return item

    @passing_on
    def __call__(self, item: int, other: int) -> int:
        return item - other


@contextlib.contextmanager
def in_a_context() -> Generator[None]:
    yield


class Wrapper:
    """A decorator that is a class."""

    def __init__(self, function: Callable[..., object]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, item: int) -> object:
        return self.function("a", item)


@pytest.mark.parametrize(
    ("function", "item", "result"),
    [
        (injecting("ab")(repeated), 2, "abab"),
        (injecting(times=2)(repeated), "a", "aa"),
        (unpacking(repeated), ("a", 3), "aaa"),
        (unpacking(repeated), {"text": "a", "times": 2}, "aa"),
        (forgetting(lambda: 5), 1, 5),
        (passing_on(repeated), "b", "b"),
        (claiming_another_signature(repeated), 2, 4),
        (functools.partial(injecting(times=2)(repeated)), "a", "aa"),
        (functools.lru_cache(injecting("ab")(repeated)), 1, "ab"),
        (Service.static, 2, "dbdb"),
        (Service.of_class, 2, 3),
        (Service().method, 2, 3),
        (Service().cached, 2, 2),
        (Service(), 2, 1),
        (Wrapper(repeated), 3, "aaa"),
        (mock.patch("os.sep", "!")(passing_on(repeated)), "a", "a"),
        (in_a_context()(functools.partial(repeated, "a")), 2, "aa"),
    ],
)
def test_a_function_is_what_its_decorator_made_of_it(
    function: Any, item: Any, result: object
) -> None:
    pl: Any = Pipeline()
    assert function(item) == result
    pl.add(Processor(function))
    for kind in (FlatMap, Filter):
        kind(function)


def one(item: Any) -> Any: ...
def two(item: Any, other: Any) -> Any: ...


NOT_OF_ONE_ITEM: list[Any] = [
    functools.wraps(one)(two),
    functools.cache(two),
    functools.partial(functools.cache(two)),
    functools.partial(two, 1, 2),
    Service,
]


@pytest.mark.parametrize("function", NOT_OF_ONE_ITEM)
def test_what_no_call_with_one_item_could_do_is_refused(function: Any) -> None:
    with pytest.raises(TypeError):
        function(1)
    with pytest.raises(TopologyError, match="exactly one required argument"):
        Processor(function)


async def fetch(item: int) -> int:
    return item


async def pages(item: int) -> AsyncIterator[int]:
    yield item


def words(text: str) -> Iterator[str]:
    yield from text.split()


class Fetch:
    async def __call__(self, item: int) -> int:
        return item

    async def method(self, item: int) -> int:
        return item


@pytest.mark.parametrize(
    "function",
    [
        fetch,
        functools.partial(fetch),
        functools.cache(fetch),
        Fetch(),
        Fetch().method,
        mock.AsyncMock(),
    ],
)
def test_an_async_function_is_told_in_whatever_it_is_wrapped(function: Any) -> None:
    for stage in (Processor(function), FlatMap(function), Filter(function)):
        assert is_async(stage)
    with pytest.raises(TopologyError, match=r"is an async function.*asyncio\.run\("):
        Tap(function)


def test_an_async_generator_function_is_for_a_flat_map() -> None:
    assert is_async(FlatMap(pages))
    for kind in (Processor, Filter):
        with pytest.raises(TopologyError, match=r"async generator function; FlatMap\(pages\)"):
            cast("Any", kind)(pages)


def test_what_is_to_be_written_for_an_async_function_works() -> None:
    async def all_of(items: list[int]) -> list[int]:
        return await asyncio.gather(*map(fetch, items))

    pl = (
        Pipeline[list[int]]()
        .add(FlatMap(lambda items: asyncio.run(all_of(items))))
        .add(Processor(lambda n: asyncio.run(fetch(n))))
    )
    assert pl.simulate([[1, 2], [3]]) == [1, 2, 3]


def test_a_generator_function_is_for_a_flat_map() -> None:
    with pytest.raises(
        TopologyError,
        match=r"Processor\(words\): words is a generator function; .*FlatMap\(words\)",
    ):
        Processor(words)
    with pytest.raises(TopologyError, match=r"Filter\(words\): .*always true.*True or False"):
        Filter(words)
    assert Pipeline[str]().add(FlatMap(words)).simulate(["a b"]) == ["a", "b"]


def test_a_wrapper_that_runs_an_async_function_is_no_async_function() -> None:
    @functools.wraps(fetch)
    def run(item: int) -> int:
        return asyncio.run(fetch(item))

    assert Pipeline[int]().add(Processor(run)).simulate([1]) == [1]


class Misspelt(Processor[int, int]):
    def proces(self, item: int) -> int:
        return item


class InCapitals(FlatMap[int, int]):
    def Process(self, item: int) -> list[int]:
        return [item]


class Half(Filter[int]):
    def setup(self) -> None: ...


class OfTwo(Processor[int, int]):
    def process(self, item: int, other: int) -> int:  # type: ignore[override]
        return item


class AsyncSnapshot(Processor[int, int]):
    async def process(self, item: int) -> int:
        return item

    async def snapshot(self) -> None: ...
    def restore(self, state: None) -> None: ...


class Yields(Processor[int, int]):
    def process(self, item: int) -> Iterator[int]:  # type: ignore[override]
        yield item


class YieldsInSetup(Processor[int, int]):
    async def setup(self) -> AsyncIterator[None]:  # type: ignore[override]
        yield

    def process(self, item: int) -> int:
        return item


class NoMethod(Processor[int, int]):
    process = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (
            Misspelt,
            r"row 1, lane 1: Misspelt has no process\(\) method; was it meant by proces\(\)\?",
        ),
        (InCapitals, r"InCapitals has no process\(\) method; was it meant by Process\(\)\?"),
        (Half, r"Half has no process\(\) method: write process\(self, item\)"),
        (OfTwo, r"OfTwo\.process: the function must take exactly one required argument"),
        (AsyncSnapshot, r"AsyncSnapshot\.snapshot is an async function.*write def snapshot"),
        (Yields, r"Yields\.process: process is a generator function; .*FlatMap"),
        (YieldsInSetup, r"YieldsInSetup\.setup is an async generator function"),
        (NoMethod, r"NoMethod has no process\(\) method"),
    ],
)
def test_a_class_that_cannot_work_is_refused_when_it_is_added(cls: Any, said: str) -> None:
    with pytest.raises(TopologyError, match=said):
        Pipeline[int]().add(cls())


class WithAFunction(Processor[int, int]):
    def __init__(self) -> None:
        super().__init__(lambda item: item + 1)


class OfItsOwn(Processor[int, int]):
    def __init__(self) -> None:
        self.process = self.add  # type: ignore[method-assign]

    def add(self, item: int) -> int:
        return item + 2


class Inherits(OfItsOwn):
    pass


class Many(FlatMap[int, int]):
    def process(self, item: int) -> Iterator[int]:
        yield item

    def finish(self) -> Iterator[int]:
        yield 0


@pytest.mark.parametrize(
    ("cls", "out"), [(WithAFunction, [2]), (OfItsOwn, [3]), (Inherits, [3]), (Many, [1, 0])]
)
def test_a_class_may_say_what_it_does_in_any_way(
    cls: type[Processor[int, int]], out: list[int]
) -> None:
    assert Pipeline[int]().add(cls()).simulate([1]) == out


@pytest.mark.parametrize("kind", [Processor, FlatMap, Filter])
@pytest.mark.parametrize("stage", [Processor(len), Pipe(), Join(2), WithAFunction()])
def test_a_stage_needs_no_other_around_it(kind: Any, stage: Any) -> None:
    with pytest.raises(TopologyError, match="is a stage already; add it as it is"):
        kind(stage)
    with pytest.raises(
        TopologyError, match=r"is a class of stages already; add one: \w+\(\.\.\.\)"
    ):
        kind(type(stage))


def test_what_is_added_in_the_place_of_a_row_gets_a_hint() -> None:
    pl: Any = Pipeline()
    with pytest.raises(
        TopologyError, match=r"row 1, lane 1: .* is not a stage; .*add\(first, second\)"
    ):
        pl.add([Processor(abs)])


@pytest.mark.parametrize("given", [6, None])
def test_a_finish_that_gives_no_iterable_says_what_it_must_give(given: Any) -> None:
    class Total(Processor[int, int]):
        def process(self, item: int) -> None: ...

        def finish(self) -> Any:
            return given

    with pytest.raises(
        TypeError,
        match=rf"finish\(\) gave {given}; it must give an iterable.*yield it, or return a list",
    ) as failed:
        Pipeline[int]().add(Total()).simulate([1])
    assert not isinstance(failed.value, ItemFailed)
