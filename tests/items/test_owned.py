"""Plain things to which nobody else refers go on as they are between two jobs of a worker; whatever
somebody may still change does not."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.kernels import map_slice
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Sealed, is_owned, seal
from conveyor.items.slices import opened_loose, tight

CALLS = 300  # the interpreter takes other ways for what it has done a few times

simple = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
plain = st.lists(simple) | st.dictionaries(st.text() | st.integers(), simple)


def given_by(job: Callable[[Any], object], *items: object) -> list[Any]:
    out: list[object] = []
    map_slice(job, items or (0,), out, loose=True)
    return out


class Record(dict[str, int]):
    pass


class Keeper:
    """Has many ways to get at what it gave."""

    def __init__(self) -> None:
        self.kept: Any = None

    def itself(self, item: int) -> object:
        self.kept = {"a": item}
        return self.kept

    def view(self, item: int) -> object:
        made = {"a": item}
        self.kept = made.values()
        return made

    def iterator(self, item: int) -> object:
        made = [item, item]
        self.kept = iter(made)
        return made

    def closure(self, item: int) -> object:
        made = {"a": item}
        self.kept = lambda: made
        return made

    def method(self, item: int) -> object:
        made = [item]
        self.kept = made.append
        return made

    def attributes(self, item: int) -> object:
        self.kept = item
        return self.__dict__

    def of_a_generator(self, item: int) -> object:
        def each() -> Any:
            made = {"a": item}
            yield made

        self.kept = each()
        return next(self.kept)

    def on_the_stack_of_a_generator(self, item: int) -> object:
        def each() -> Generator[object, None, tuple[object, None]]:
            made = {"a": item}
            return made, (yield made)

        self.kept = each()
        return next(self.kept)

    def of_a_coroutine(self, item: int) -> object:
        @types.coroutine
        def give(made: object) -> Any:
            yield made

        async def each() -> None:
            made = [item]
            await give(made)
            made.append(2)

        self.kept = each()
        given: object = self.kept.send(None)
        AWAITED.append(self.kept)
        return given

    def frame(self, item: int) -> object:
        made = [item]
        self.kept = sys._getframe()  # pyright: ignore[reportPrivateUsage]
        return made

    def traceback(self, item: int) -> object:
        def fail(made: list[int]) -> None:
            raise ValueError

        made = [item]
        try:
            fail(made)
        except ValueError as error:
            self.kept = error
        return made

    def names(self, item: int) -> object:
        made = [item]
        self.kept = locals()
        return made

    def argument(self, item: int) -> object:
        def keep(*given: object) -> object:
            self.kept = given
            return given[0]

        return keep([item])

    def default(self, item: int) -> object:
        made = [item]

        def keep(made: object = made) -> object:
            return made

        self.kept = keep
        return made

    def bound(self, item: int) -> object:
        made = [item]
        self.kept = partial(len, made)
        return made

    def global_name(self, item: int) -> object:
        global known_to_the_module
        known_to_the_module = [item]
        return known_to_the_module

    def part(self, item: int) -> object:
        made = [item]
        self.kept = {"a": (made,)}
        return made

    def in_another_thread(self, item: int) -> object:
        made = [item]
        self.kept = threading.local()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(setattr, self, "kept", made).result()
        return made


known_to_the_module: list[int] = []
AWAITED: list[Any] = []
WAYS = [name for name in vars(Keeper) if not name.startswith("_")]


@pytest.fixture(autouse=True)
def coroutines_end() -> Iterator[None]:
    yield
    for each in AWAITED:
        each.close()
    AWAITED.clear()


@pytest.mark.parametrize("way", WAYS)
def test_what_somebody_can_still_get_at_is_sealed(way: str) -> None:
    outs = given_by(getattr(Keeper(), way), *range(CALLS))

    assert all(isinstance(out, Sealed) for out in outs)


def last_of_two(item: int) -> object:
    first = second = [item]
    del first
    return second


def from_inside(item: int) -> object:
    def make(made: list[int]) -> list[int]:
        made.append(1)
        return made

    return make([item])


def from_a_generator(item: int) -> object:
    def each() -> Any:
        yield {"a": item}

    return next(each())


def while_leaving(item: int) -> object:
    made = {"a": item}
    try:
        return made
    finally:
        made["b"] = 2


NEW: list[Callable[[Any], object]] = [
    lambda item: {"a": item},
    lambda item: [item, item],
    lambda item: [each * 2 for each in range(item % 3)],
    lambda item: {each: each for each in "ab"},
    lambda item: {"a": item} | {"b": 2},
    lambda item: [item] * 3,
    lambda item: "a b".split(),
    partial(dict.fromkeys, "ab"),
    last_of_two,
    from_inside,
    from_a_generator,
    while_leaving,
]


@pytest.mark.parametrize("job", NEW, ids=range(len(NEW)))
def test_what_a_job_made_and_let_go_is_not_sealed(job: Callable[[Any], object]) -> None:
    assert not any(isinstance(out, Sealed) for out in given_by(job, *range(CALLS)))


def passed_on(box: list[object]) -> bool:
    return is_owned(box)


def put_in_a_box(given: object) -> bool:
    return is_owned([given])


def let_go_in_a_box(given: object) -> bool:
    box = [given]
    del given
    return is_owned(box)


@pytest.mark.parametrize("ask", [put_in_a_box, let_go_in_a_box])
def test_what_a_caller_further_up_has_is_not_owned(ask: Callable[[object], bool]) -> None:
    def answers() -> Iterator[bool]:
        for number in range(CALLS):
            mine = [number]
            yield ask(mine)
            mine.append(2)

    assert set(answers()) == {False}


@pytest.mark.parametrize("ask", [is_owned, passed_on])
def test_what_only_a_box_has_is_owned_however_often_it_is_asked(
    ask: Callable[[list[object]], bool],
) -> None:
    assert {ask([{"a": number}]) for number in range(CALLS)} == {True}


NOT_SIMPLE: list[Callable[[object], object]] = [
    lambda _: {"a": [1]},
    lambda _: [[1]],
    lambda _: {"a": object},
    lambda _: Record(a=1),
    lambda _: {1, 2},
    lambda _: bytearray(b"a"),
    lambda _: [True, (1, 2)],
]


@pytest.mark.parametrize(
    "job",
    NOT_SIMPLE,
    ids=range(7),
)
def test_what_has_parts_that_can_change_or_is_no_plain_dict_or_list_is_sealed(
    job: Callable[[Any], object],
) -> None:
    (out,) = given_by(job)

    assert isinstance(out, Sealed)


@given(plain)
def test_a_plain_thing_that_is_new_is_not_sealed_and_is_seen_as_a_copy(value: Any) -> None:
    (out,) = given_by(lambda _: value.copy())
    (seen,) = opened_loose([out], iter([out]))

    assert type(out) is type(value)
    assert seen == value
    assert seen is not out


def test_an_item_that_is_given_back_is_not_sealed() -> None:
    def change(item: Any) -> Any:
        item["b"] = 2
        return item

    out: list[object] = []
    map_slice(change, (each.open() for each in [seal({"a": 1})]), out, loose=True)

    assert out == [{"a": 1, "b": 2}]


def test_what_goes_to_a_channel_is_sealed() -> None:
    (out,) = tight(given_by(lambda _: {"a": 1}))
    one: Any = out.open() if isinstance(out, Sealed) else None
    one["a"] = 2

    assert isinstance(out, Sealed)
    assert out.open() == {"a": 1}


@pytest.mark.processes
@given(st.lists(plain, max_size=4), st.lists(st.integers(0, 5), max_size=8))
def test_a_job_that_gives_the_same_thing_again_and_changes_it_is_not_seen_to_do_so(
    things: list[Any], picks: list[int]
) -> None:
    """The model: each result is copied when it is given."""
    seen: list[Any] = []

    def job(pick: int) -> Any:
        thing: Any = things[pick % len(things)] if things else [pick]
        if hasattr(thing, "append"):
            thing.append(pick)
        else:
            thing[pick] = pick
        seen.append(thing.copy())
        return thing

    out = given_by(job, *picks) if picks else []

    assert not out or list(opened_loose(out, iter(out))) == seen
    assert not any(is_atom(each) for each in out)
