"""An exception out of a signal handler ends a simulation at once, as what it is: nothing counts it
as a failure of a job."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from conveyor import Filter, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.errors import JobExited
from conveyor.sim import Faults

CALLS: dict[str, Callable[[Any], object]] = {
    "simulate": lambda pl: pl.simulate([1, 2, 3]),
    "explore": lambda pl: pl.explore([1, 2, 3]),
    "explore with a check": lambda pl: pl.explore([1, 2, 3], bool, strategy="exhaustive"),
    "explore with faults": lambda pl: pl.explore([1, 2, 3], faults=Faults()),
    "replay": lambda pl: pl.replay([1, 2, 3], "cv1:"),
}


class TooLate(Exception):
    """What a time limit raises."""


class NoException(BaseException):
    """What another one raises."""


def handler(error: type[BaseException], number: int, frame: FrameType | None) -> None:
    raise error("out of the handler")


class Handler:
    """A handler in its other forms."""

    def method(self, number: int, frame: FrameType | None) -> None:
        raise TooLate("out of the handler")

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.method(number, frame)


HANDLERS: dict[str, tuple[Callable[[int, FrameType | None], object], type[BaseException]]] = {
    "Ctrl-C": (signal.default_int_handler, KeyboardInterrupt),
    "an Exception": (partial(handler, TooLate), TooLate),
    "no Exception": (partial(handler, NoException), NoException),
    "SystemExit": (partial(handler, SystemExit), SystemExit),
    "a method": (Handler().method, TooLate),
    "an object": (Handler(), TooLate),
    "a lambda": (lambda number, frame: handler(TooLate, number, frame), TooLate),
}


@pytest.fixture(params=HANDLERS)
def raised(request: pytest.FixtureRequest) -> Iterator[type[BaseException]]:
    """What comes out of the handler of SIGUSR1."""
    handles, error = HANDLERS[request.param]
    before = signal.signal(signal.SIGUSR1, handles)
    CALLED.clear()
    yield error
    signal.signal(signal.SIGUSR1, before)


CALLED: list[object] = []


def interrupted(item: int) -> int:
    CALLED.append(item)
    signal.raise_signal(signal.SIGUSR1)
    return item


def in_the_middle(item: int) -> Iterator[int]:
    yield item
    yield interrupted(item)


class Interrupted(Processor[int, int]):
    """Is interrupted in one of its methods."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def at(self, where: str) -> None:
        if where == self.where:
            interrupted(0)

    def setup(self) -> None:
        self.at("setup")

    def process(self, item: int, /) -> int:
        self.at("process")
        return item

    def finish(self) -> Iterator[int]:
        self.at("finish")
        yield 0

    def teardown(self) -> None:
        self.at("teardown")


STAGES: dict[str, Callable[[], Any]] = {
    "a function": lambda: Processor(interrupted),
    "one that skips": lambda: Processor(interrupted, on_error="skip"),
    "one that gives up": lambda: Processor(interrupted, on_error="dead_letter"),
    "one that tries again": lambda: Processor(interrupted, retries=3),
    "a filter": lambda: Filter(interrupted),
    "a flat-map": lambda: FlatMap(in_the_middle, on_error="skip", retries=2),
    **{where: partial(Interrupted, where) for where in ("setup", "process", "finish", "teardown")},
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("call", CALLS)
def test_what_a_handler_raises_in_a_job_is_raised_at_once(
    call: str, stage: str, raised: type[BaseException]
) -> None:
    interrupting: Any = STAGES[stage]()
    with pytest.raises(raised) as caught:
        CALLS[call](Pipeline[int]().add(interrupting))
    assert type(caught.value) is raised
    assert len(CALLED) == 1, "no job is called again"


@pytest.mark.parametrize("call", ["explore", "replay"])
def test_it_is_raised_out_of_a_lane_too(call: str, raised: type[BaseException]) -> None:
    pl: Any = (
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(interrupted), Pipe()).add(Join(2))
    )
    with pytest.raises(raised):
        CALLS[call](pl)


def test_count_passes_it_on(raised: type[BaseException]) -> None:
    with pytest.raises(raised):
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(interrupted), Pipe()).add(
            Join(2)
        ).count([1, 2])


def test_it_is_raised_out_of_a_check(raised: type[BaseException]) -> None:
    with pytest.raises(raised):
        Pipeline[int]().add(Processor(str)).explore([1], lambda run: interrupted(1))


class Unlike:
    """Is interrupted when it is compared, which is done with the results of two runs."""

    def __eq__(self, other: object) -> bool:
        return bool(interrupted(1))

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # as Python does it


def unlike(item: int) -> Unlike:
    return Unlike()


def test_it_is_raised_out_of_a_comparison(raised: type[BaseException]) -> None:
    with pytest.raises(raised):
        Pipeline[int]().add(Processor(unlike)).explore([1])


def goes_on_for_ever(item: int) -> int:
    while item > 0:
        item = item + 1
    return item


@pytest.mark.parametrize("call", ["simulate", "explore"])
def test_a_time_limit_ends_a_job_that_never_ends(call: str) -> None:
    before = signal.signal(signal.SIGALRM, partial(handler, TooLate))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TooLate):
            CALLS[call](Pipeline[int]().add(Processor(goes_on_for_ever, on_error="skip")))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------ what does not come from outside


def raises_it(item: int) -> int:
    raise KeyboardInterrupt


def limits_itself(item: int) -> int:
    before = signal.signal(signal.SIGUSR1, own_handler)
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    return item


def own_handler(number: int, frame: FrameType | None) -> None:
    raise TooLate("the job's own")


def swallows(item: int) -> int:
    try:
        interrupted(item)
    except TooLate:
        return 0
    return item


def test_a_job_that_raises_keyboard_interrupt_has_failed() -> None:
    pl = Pipeline[int]().add(Processor(raises_it))
    with pytest.raises(JobExited):
        pl.simulate([1])
    failure = pl.explore([1]).failure
    assert failure is not None
    assert isinstance(failure.error, JobExited)


def test_a_limit_that_a_job_sets_for_itself_is_its_own_matter() -> None:
    assert Pipeline[int]().add(Processor(limits_itself, on_error="skip")).simulate([1, 2]) == []
    failure = Pipeline[int]().add(Processor(limits_itself)).explore([1, 2]).failure
    assert failure is not None
    assert isinstance(failure.error, TooLate)


def test_a_job_may_catch_what_a_handler_raises() -> None:
    before = signal.signal(signal.SIGUSR1, partial(handler, TooLate))
    try:
        assert Pipeline[int]().add(Processor(swallows)).simulate([1, 2]) == [0, 0]
    finally:
        signal.signal(signal.SIGUSR1, before)
