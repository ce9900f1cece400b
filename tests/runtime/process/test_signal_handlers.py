"""Signal handlers of the program that raise, at any moment: what they raise comes out, and nothing
is left half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, FrameType
from typing import Any, NoReturn

import pytest

from conveyor import Processor
from conveyor.errors import NotPicklable
from conveyor.runtime.process.deferral import (
    Deferral,
    deliver,
    interruptible,
)
from conveyor.signal_handlers import SIGNALS, handler_of
from tests.helpers import (
    LONG_HANGS_S,
    PROVE,
    SCRIPTS,
    START_METHODS,
    pipeline,
    run_script,
    takes_long,
)

MOMENTS = {"fork": 20, "forkserver": 20, "spawn": 3}


class Late(Exception):
    pass


class Other(Exception):
    pass


def raise_late(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Late


def raise_other(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Other


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGUSR2)]
    signal.signal(signal.SIGUSR1, raise_late)
    signal.signal(signal.SIGUSR2, raise_other)
    yield
    for number, handler in before:
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def in_force() -> bool:
    return (
        signal.getsignal(signal.SIGUSR1) is raise_late
        and signal.getsignal(signal.SIGUSR2) is raise_other
    )


@takes_long
@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_run_that_is_interrupted_at_any_moment_leaves_nothing_and_the_next_one_works(
    start_method: str,
) -> None:
    moments = MOMENTS[start_method] * (10 if PROVE else 1)
    script = SCRIPTS / "alarm.py"
    *left, interrupted = run_script(script, start_method, str(moments), hangs_s=LONG_HANGS_S)

    assert left == []
    assert int(interrupted) > moments  # of three times as many


class Work:
    """What is to be done in one piece, and how far it came."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def interrupted(self) -> None:
        with Deferral():
            send(signal.SIGUSR1)
            self.steps.append("done")

    def interrupted_within(self) -> None:
        with Deferral():
            self.interrupted()
            self.steps.append("done, too")

    def interrupted_thrice(self) -> None:
        with Deferral():
            send(signal.SIGUSR1)
            send(signal.SIGUSR2)
            send(signal.SIGUSR1)

    def interrupted_before_a_halt(self) -> None:
        with Deferral():
            send(signal.SIGUSR1)
            self.steps.append("done")
            deliver()
            self.steps.append("not reached")

    def waits(self) -> None:
        assert in_force()
        send(signal.SIGUSR1)
        self.steps.append("not reached")

    def interrupted_while_it_waits_and_cleans_up(self) -> None:
        with Deferral():
            try:
                interruptible(self.waits)
            finally:
                send(signal.SIGUSR2)
                self.steps.append("cleaned up")


@pytest.mark.parametrize(
    ("of", "raised", "steps"),
    [
        (Work.interrupted, Late, ["done"]),
        (Work.interrupted_within, Late, ["done", "done, too"]),
        (Work.interrupted_thrice, Other, []),
        (Work.interrupted_before_a_halt, Late, ["done"]),
        (Work.interrupted_while_it_waits_and_cleans_up, Other, ["cleaned up"]),
    ],
)
def test_what_a_handler_raises_waits_until_it_may(
    of: Callable[[Work], None], raised: type[Exception], steps: list[str]
) -> None:
    work = Work()
    with pytest.raises(raised) as found:
        of(work)
    assert work.steps == steps
    assert in_force()
    if raised is Other:
        assert isinstance(found.value.__context__, Late), "the first of two is not lost"


def test_a_handler_that_is_set_meanwhile_stays() -> None:
    def once(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)

    signal.signal(signal.SIGUSR1, once)
    with Deferral():
        send(signal.SIGUSR1)
        deliver()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_a_finalizer_that_runs_while_handlers_are_put_back_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    put: Callable[[int, Any], Any] = signal.signal
    nested: list[int] = []

    def finalized(number: int, handler: Any) -> Any:
        """Puts a handler in its place, and then does what the finalizer of a stream does."""
        given = put(number, handler)
        if not nested:
            nested.append(number)
            with Deferral():
                pass
        return given

    with Deferral():
        monkeypatch.setattr(signal, "signal", finalized)
    monkeypatch.undo()
    assert nested
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


def test_other_threads_are_left_alone() -> None:
    found: list[bool] = []

    def look() -> None:
        with Deferral():
            found.append(in_force())
            found.append(interruptible(in_force))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [True, True]


class Handler:
    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        raise Late

    def method(self, _number: int, _frame: FrameType | None) -> None:
        raise Late


class Slow:
    """Its pickling takes until something happens."""

    def __reduce__(self) -> NoReturn:
        send(signal.SIGUSR1)
        while True:
            pass


@pytest.mark.parametrize("handler", [raise_late, partial(raise_late), Handler(), Handler().method])
@pytest.mark.parametrize("what", ["an item", "a stage"])
def test_what_a_handler_raises_is_not_taken_for_an_error_of_pickle(
    what: str, handler: Callable[[int, FrameType | None], None]
) -> None:
    signal.signal(signal.SIGUSR1, handler)
    slow = Slow()
    job = partial(isinstance, slow) if what == "a stage" else len
    with pytest.raises(Late):
        pipeline().add(Processor(job)).run([slow])


def test_an_error_of_pickle_is_one_all_the_same() -> None:
    with pytest.raises(NotPicklable):
        pipeline().add(Processor(len)).run([threading.Lock()])


def test_handlers_are_asked_for_without_a_detour_in_every_python() -> None:
    """Some versions hide it; a warm run asks for nearly 200, and with the detour took a tenth
    longer."""
    assert isinstance(handler_of, BuiltinFunctionType)
    assert [handler_of(number) == signal.getsignal(number) for number in SIGNALS] == [True] * len(
        SIGNALS
    )
