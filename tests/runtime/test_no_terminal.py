"""A job that asks for a terminal is told that its worker has none, and what to do instead."""

import bdb
import pdb
from collections.abc import Callable

import pytest

from conveyor import Pipeline, Processor


def stops(item: int) -> int:
    breakpoint()
    return item


def stops_in_pdb(item: int) -> int:
    pdb.set_trace()
    return item


def asks(item: int) -> str:
    return input(f"{item}? ")


def told(job: Callable[[int], object], error: type[Exception], start_method: str) -> str:
    pl = Pipeline[int](start_method=start_method).add(Processor(job, name="job"))  # type: ignore[arg-type]  # one of the methods
    with pytest.raises(error) as raised:
        pl.run([7])
    notes: list[str] = raised.value.__notes__
    assert "in stage 'job'" in notes[-1]
    return " ".join([str(raised.value), *notes])


# Not stops_in_pdb in a fork of pytest: there it is pytest's own debugger.
@pytest.mark.parametrize(
    ("job", "error", "start_method"),
    [
        (stops, RuntimeError, "forkserver"),
        (stops, RuntimeError, "fork"),
        (stops_in_pdb, bdb.BdbQuit, "forkserver"),
    ],
)
def test_a_breakpoint_in_a_job_names_the_simulator(
    job: Callable[[int], int], error: type[Exception], start_method: str
) -> None:
    assert "pl.simulate(items)" in told(job, error, start_method)


def test_a_question_in_a_job_is_an_end_of_input_that_says_why() -> None:
    assert "input('7? '): a worker has no standard input" in told(asks, EOFError, "forkserver")


def test_a_debugger_that_the_user_has_named_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")  # which is how breakpoints are switched off
    assert Pipeline[int]().add(Processor(stops)).run([7]) == [7]
