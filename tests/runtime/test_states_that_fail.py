"""A state that cannot be kept fails alike in a run and in the simulator, where no worker may die,
too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conveyor import Processor
from conveyor.errors import NotPicklable, ScheduleMismatch
from tests.helpers import new_or_forked, pipeline


class Keeps(Processor[int, int]):
    """Counts; what it keeps of that is what `kept` makes of the count."""

    def __init__(self, kept: Callable[[int], object]) -> None:
        super().__init__()
        self.kept = kept

    def setup(self) -> None:
        self.count = 0

    def process(self, item: int) -> int:
        self.count += 1
        return self.count

    def snapshot(self) -> object:
        return self.kept(self.count)

    def restore(self, state: object) -> None:
        raise AssertionError("no worker dies here")


def never(count: int) -> object:
    return lambda: count


def late(count: int) -> object:
    """Can be kept as long as there was no item."""
    return (lambda: count) if count else 0


def raising(count: int) -> object:
    raise LookupError("no state")


CASES = [
    pytest.param(never, NotPicklable, "what snapshot\\(\\) gave cannot be pickled", id="a lambda"),
    pytest.param(late, NotPicklable, "what snapshot\\(\\) gave cannot be pickled", id="late"),
    pytest.param(raising, LookupError, "no state", id="raises"),
]


@pytest.mark.parametrize(("kept", "error", "text"), CASES)
def test_a_state_that_cannot_be_kept_ends_a_simulated_run(
    kept: Callable[[int], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        pipeline().add(Keeps(kept)).simulate([1, 2])


@new_or_forked
@pytest.mark.parametrize(("kept", "error", "text"), CASES)
def test_and_a_real_one(
    kept: Callable[[int], object], error: type[Exception], text: str, start_method: str
) -> None:
    with pytest.raises(error, match=text):
        pipeline(start_method=start_method).add(Keeps(kept)).run([1, 2])


def test_a_schedule_of_a_worker_that_is_not_there_does_not_fit() -> None:
    with pytest.raises(ScheduleMismatch, match=r"there is no worker 'x'; the workers are Keeps"):
        pipeline().add(Keeps(late)).replay([1], "cv1:!x.0.taken")
