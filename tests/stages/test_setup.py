"""`setup=` gives a function what was made once in its worker, and closes it at the end."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from conveyor import Filter, FlatMap, Pipeline, Processor
from conveyor.errors import StageTypeError, TopologyError
from conveyor.stages import Job, job_of

KINDS: tuple[Any, ...] = (Processor, FlatMap, Filter)


class Desk:
    """Can be closed, and says how often it was."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Door(Desk):
    """A context manager that gives something else than itself, and could be closed, too."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.room = Desk()

    def __enter__(self) -> Desk:
        self.steps.append("in")
        return self.room

    def __exit__(self, *error: object) -> None:
        assert error == (None, None, None)
        self.steps.append("out")


class Twice(Processor[int, int]):
    def __init__(self) -> None:
        untyped: Any = super()
        untyped.__init__(setup=dict)

    def process(self, item: int, /) -> int:
        return 2 * item


def both(item: object, made: object) -> tuple[object, object]:
    return item, made


def looked_up(key: str, table: dict[str, int]) -> int:
    return table[key]


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(TopologyError) as failed:
        make()
    return str(failed.value)


def set_up(stage: Job[Any, Any]) -> Job[Any, Any]:
    stage.setup()
    return stage


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_is_given_what_setup_made(kind: Any) -> None:
    stage = set_up(kind(both, setup=lambda: "made"))
    assert job_of(stage)("item") == ("item", "made")


@pytest.mark.parametrize("made", [None, 0, [], ""])
def test_whatever_setup_makes_is_given_nothing_included(made: object) -> None:
    assert job_of(set_up(Processor(both, setup=lambda: made)))(1) == (1, made)


def test_a_processor_that_was_set_up_can_be_called_by_hand() -> None:
    stage = set_up(Processor(looked_up, setup=lambda: {"a": 1}))
    assert isinstance(stage, Processor)
    assert stage.process("a") == 1


def test_setup_is_called_once_for_each_setup_of_the_stage() -> None:
    made: list[int] = []
    stage = Processor(both, setup=lambda: made.append(1))
    assert made == []
    set_up(stage)
    assert made == [1]


def test_what_can_be_closed_is_closed_at_the_end_once() -> None:
    desk = Desk()
    stage = set_up(Processor(both, setup=lambda: desk))
    assert desk.closed == 0
    stage.teardown()
    stage.teardown()
    assert desk.closed == 1


def test_a_context_manager_is_entered_and_left_and_gives_what_it_is_entered_for() -> None:
    door = Door()
    stage = set_up(Processor(both, setup=lambda: door))
    assert job_of(stage)(1) == (1, door.room)
    stage.teardown()
    assert door.steps == ["in", "out"]
    assert (door.closed, door.room.closed) == (0, 0)


def test_what_yields_in_a_context_manager_goes_on_behind_the_yield() -> None:
    steps: list[str] = []

    @contextmanager
    def opened() -> Generator[str]:
        steps.append("in")
        yield "made"
        steps.append("out")

    stage = set_up(Processor(both, setup=opened))
    assert job_of(stage)(1) == (1, "made")
    stage.teardown()
    assert steps == ["in", "out"]


def test_closing_closes_what_is_a_context_manager_of_another_kind() -> None:
    door = Door()
    stage = set_up(Processor(both, setup=lambda: closing(door)))
    stage.teardown()
    assert (door.steps, door.closed) == ([], 1)


@pytest.mark.parametrize("made", [Desk, os, 3, [1], {"close": 1}], ids=repr)
def test_what_is_not_a_thing_that_can_be_closed_is_left_alone(made: object) -> None:
    set_up(Processor(both, setup=lambda: made)).teardown()


def test_where_setup_raises_there_is_nothing_to_close() -> None:
    def fails() -> object:
        raise OSError("no room")

    stage = Processor(both, setup=fails)
    with pytest.raises(OSError, match="no room"):
        stage.setup()
    stage.teardown()


def test_what_cannot_be_entered_is_not_left() -> None:
    class Shut(Door):
        def __enter__(self) -> Desk:
            raise OSError("shut")

    shut = Shut()
    stage = Processor(both, setup=lambda: shut)
    with pytest.raises(OSError, match="shut"):
        stage.setup()
    stage.teardown()
    assert shut.steps == []


def test_a_stage_with_a_setup_is_not_stateful() -> None:
    stage = Processor(both, setup=dict[str, int])
    assert not stage.is_stateful
    assert not stage.is_restorable


@pytest.mark.parametrize("kind", KINDS)
def test_its_function_takes_two_arguments(kind: Any) -> None:
    words = refused(lambda: kind(abs, setup=dict))
    assert f"{kind.__name__}(abs): the function must take exactly two required arguments" in words
    assert "the item and what setup makes" in words


def test_setup_takes_no_argument() -> None:
    untyped: Any = Processor
    words = refused(lambda: untyped(both, setup=abs))
    assert words.startswith("Processor(setup=abs): the function must take no required argument")
    Processor(both, setup=functools.partial(abs, -3))


@pytest.mark.parametrize("made", [3, {}, Desk()], ids=["number", "dict", "object"])
def test_what_was_made_too_early_is_refused_with_what_to_write(made: Any) -> None:
    words = refused(lambda: Processor(both, setup=made))
    assert "it must be a function without arguments that makes what the job is given" in words


def test_what_cannot_make_anything_is_refused_with_what_to_write() -> None:
    async def connected() -> AsyncIterator[int]:
        yield 1

    def opened() -> Iterator[int]:
        yield 1

    assert "contextlib.asynccontextmanager" in refused(lambda: Processor(both, setup=connected))
    assert "contextlib.contextmanager" in refused(lambda: Processor(both, setup=opened))


def test_an_async_function_of_two_is_given_both() -> None:
    async def fetched(item: int, client: dict[int, str]) -> str:
        return client[item]

    pl = Pipeline[int]().add(Processor(fetched, setup=lambda: {1: "one", 2: "two"}))
    assert pl.simulate([1, 2]) == ["one", "two"]


def test_a_class_has_a_setup_of_its_own() -> None:
    assert "a class has a setup(self) of its own" in refused(Twice)
    alone: Any = Processor
    assert "nothing to do" in refused(lambda: alone(setup=dict))


# ---------------------------------------------------------------------------------- by annotations


def table_of_text() -> dict[str, str]:
    return {}


def table() -> dict[str, int]:
    return {"a": 1}


@contextmanager
def opened_table() -> Generator[dict[str, int]]:
    yield {"a": 1}


def test_what_setup_makes_is_held_against_what_the_function_takes() -> None:
    untyped: Any = Processor
    with pytest.raises(StageTypeError) as failed:
        Pipeline[str]().add(untyped(looked_up, setup=table_of_text))
    assert str(failed.value) == (
        "row 1, lane 1: Processor(looked_up) takes dict[str, int] beside its item, but "
        "setup=table_of_text makes dict[str, str]"
    )


FITTING: tuple[Any, ...] = (
    table,
    dict,
    opened_table,
    lambda: {"a": 1},
    functools.partial(dict[str, int], a=1),
)


@pytest.mark.parametrize("make", FITTING)
def test_what_fits_or_cannot_be_told_is_accepted(make: Any) -> None:
    Pipeline[str]().add(Processor(looked_up, setup=make))


def test_the_lane_is_held_against_the_first_argument_and_carries_the_result() -> None:
    untyped: Any = Pipeline[int]()
    with pytest.raises(StageTypeError, match=r"takes str, but the lane carries int"):
        untyped.add(Processor(looked_up, setup=table))
    numbers: Any = Pipeline[str]().add(Processor(looked_up, setup=table))
    with pytest.raises(StageTypeError, match=r"takes str, but the lane carries int"):
        numbers.add(Processor(str.upper))


class Dictionary:
    def meaning(self, word: str, table: dict[str, int]) -> int:
        return table[word]


def test_a_method_says_what_it_takes_beside_its_item_too() -> None:
    untyped: Any = Processor
    Pipeline[str]().add(untyped(Dictionary().meaning, setup=table))
    with pytest.raises(StageTypeError, match="beside its item"):
        Pipeline[str]().add(untyped(Dictionary().meaning, setup=table_of_text))


def test_what_a_builtin_takes_with_a_second_argument_is_not_known() -> None:
    """`max` of one argument takes an iterable."""
    untyped: Any = Processor
    pl: Any = Pipeline[int]()
    assert list(pl.add(untyped(max, setup=lambda: 3)).simulate([1, 5])) == [3, 5]
