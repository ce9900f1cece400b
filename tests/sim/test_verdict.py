"""What a check raises says that it has failed, unless it ends the test or the program in which it
is called."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conveyor import Join, Pipe, Pipeline, ReplicatingFork

TWO_AND_TWO = [1, 1, 2, 2]


def by_assert(run: list[int]) -> None:
    assert run != TWO_AND_TWO


def by_fail(run: list[int]) -> None:
    if run == TWO_AND_TWO:
        pytest.fail("this order")


def by_raises(run: list[int]) -> None:
    with pytest.raises(ValueError, match="another"):
        raises(run)


def raises(run: list[int]) -> None:
    if run != TWO_AND_TWO:
        raise ValueError("another")


class OfNoException(BaseException):
    """As that of a test framework."""


def by_another(run: list[int]) -> None:
    if run == TWO_AND_TWO:
        raise OfNoException


def explored(check: Callable[[Any], object]) -> Any:
    return (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Pipe(), Pipe())
        .add(Join(2))
        .explore([1, 2], check)
    )


@pytest.mark.parametrize("check", [by_assert, by_fail, by_raises, by_another])
def test_a_check_fails_by_whatever_a_test_fails_by(check: Callable[[Any], object]) -> None:
    assert explored(check).failure.schedule == "cv1:join.0=1"


def test_a_check_fails_by_the_false_of_numpy_too() -> None:
    other = np.array(TWO_AND_TWO)

    assert explored(lambda run: run != TWO_AND_TWO).failure.schedule == "cv1:join.0=1"
    assert explored(lambda run: (np.array(run) != other).any()).failure.schedule == "cv1:join.0=1"


@pytest.mark.parametrize("verdict", [None, 0, [], "", np.True_, np.int64(0)])
def test_a_check_that_returns_no_false_passes(verdict: object) -> None:
    assert explored(lambda run: verdict).failure is None


def test_a_check_that_returns_many_truth_values_fails_as_they_do_anywhere() -> None:
    failure = explored(lambda run: np.array(run) > 0).failure

    assert isinstance(failure.error, ValueError)
    assert "truth value of an array" in str(failure.error)


def skips(run: object) -> None:
    pytest.skip("not today")


def expects_to_fail(run: object) -> None:
    pytest.xfail("not today")


def ends_the_session(run: object) -> None:
    pytest.exit("enough")


def skips_in_unittest(run: object) -> None:
    raise unittest.SkipTest("not today")


def exits(run: object) -> None:
    raise SystemExit


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (skips, pytest.skip.Exception),
        (expects_to_fail, pytest.xfail.Exception),
        (ends_the_session, pytest.exit.Exception),
        (skips_in_unittest, unittest.SkipTest),
        (exits, SystemExit),
    ],
)
def test_what_ends_the_test_is_no_failure(
    check: Callable[[Any], object], error: type[BaseException]
) -> None:
    with pytest.raises(error):
        explored(check)
