"""A simulation runs on copies, and leaves the program as it is: in a script, and in functions of a
test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from conveyor import Processor
from tests.helpers import (
    LONG_HANGS_S,
    SCRIPTS,
    new_or_forked,
    pipeline,
    run_script,
    takes_long,
)

pytestmark = pytest.mark.processes


@takes_long
@new_or_forked
def test_what_code_holds_is_each_places_own_and_the_program_keeps_its(start_method: str) -> None:
    script = SCRIPTS / "own_state.py"
    assert run_script(script, start_method, hangs_s=LONG_HANGS_S) == ["done"]


def made() -> tuple[Callable[[int], int], list[int], type[Any]]:
    seen: list[int] = []

    class Local:
        known: list[int] = seen  # as is often written

        def add(self, item: int) -> int:
            self.known.append(item)
            return len(seen)

    return lambda item: Local().add(item), seen, Local


def test_a_closure_and_a_class_of_a_function_share_what_they_shared() -> None:
    job, seen, local = made()
    add = local.add

    assert list(pipeline().add(Processor(job)).simulate([5, 6])) == [1, 2]
    assert list(pipeline().add(Processor(job)).simulate([5, 6])) == [1, 2]
    assert (seen, local.known is seen, local.add is add) == ([], True, True)


def test_the_program_is_as_it_was_when_a_simulated_job_has_raised() -> None:
    seen: list[int] = []

    def job(item: int) -> int:
        seen.append(item)
        return 1 // (2 - len(seen))

    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(job)).simulate([1, 2, 3])
    assert seen == []


def test_without_copies_a_job_is_the_very_function_and_a_mock_is_called() -> None:
    seen: list[int] = []
    asked = mock.Mock(return_value=3)

    def job(item: int) -> int:
        seen.append(item)
        return int(asked(item))

    assert list(pipeline().add(Processor(job)).simulate([1, 2], copy=False)) == [3, 3]
    assert seen == [1, 2]
    assert asked.call_args_list == [mock.call(1), mock.call(2)]


class Sums(Processor[int, int]):
    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.total = 0

    def process(self, item: int, /) -> int:
        self.total += item
        self.client.send(self.total)
        return self.total


def test_without_copies_each_run_has_a_stage_of_its_own_whose_attributes_are_the_programs() -> None:
    client = mock.Mock()
    stage = Sums(client)
    pl = pipeline().add(stage)

    assert [list(pl.simulate([1, 2], copy=False)) for _ in range(2)] == [[1, 3], [1, 3]]
    assert client.send.call_args_list == [mock.call(1), mock.call(3)] * 2
    assert stage.total == 0


def test_a_simulation_refuses_what_a_run_refuses_in_the_same_words() -> None:
    table = {"job": (each for each in "abc")}

    def job(item: int) -> object:
        return table[str(item)]

    told: list[str] = []
    for call in ("run", "simulate"):
        with pytest.raises(
            Exception, match="variable 'table' -> \\['job'\\]: cannot pickle 'generator' object"
        ) as refused:
            getattr(pipeline().add(Processor(job)), call)([1])
        told.append(f"{type(refused.value)} {refused.value}")
    assert told[0] == told[1]
