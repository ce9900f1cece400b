"""What follows from deaths: when the next worker is started, and which item is to blame."""

from __future__ import annotations

import pytest

from conveyor.deaths import FRESH, Death, Deaths, History


def test_a_commit_takes_back_what_counted_against_the_stage() -> None:
    deaths = Deaths()
    waits = [deaths.died(commits, None) for commits in [0] * 9 + [1] + [0] * 10]

    assert waits == [0, 0, 10, 20, 40, 80, 160, 200, 200, 0, 0, 0, 10, 20, 40, 80, 160, 200, 200, None]
    assert deaths.count == 20


def test_a_worker_that_was_killed_for_its_item_counts_against_nobody() -> None:
    deaths = Deaths()

    assert [deaths.died(0, Death(0, 5, 6, 5, timed_out=True)) for _ in range(20)] == [0] * 20
    assert deaths.died(0, None) == 0


@pytest.mark.parametrize(
    ("death", "suspect"),
    [
        (Death(0, 5, 6), 5),
        (Death(0, 5, 9), None),
        (Death(0, 5, 9, 7), 7),
        (Death(0, 5, 6, running=False), None),
        (Death(0, 5, 9, 7, running=False), None),
    ],
)
def test_an_item_is_suspect_if_its_job_was_at_work_and_no_other_can_have_been(death: Death, suspect: int | None) -> None:
    assert death.suspect == suspect


def test_three_deaths_with_an_item_alone_in_hand_make_it_poison() -> None:
    alone, among_others, sent_on = Death(1, 5, 6), Death(1, 4, 9), Death(1, 5, 6, running=False)

    assert not History([among_others, alone, alone]).past(1, 5).is_poison
    assert not History([sent_on] * 9).past(1, 5).is_poison
    assert History([among_others, alone, alone, alone]).past(1, 5).is_poison
    assert History([alone] * 3).past(0, 5) == FRESH
    assert History([alone] * 3).past(1, 6) == FRESH


def test_an_item_that_may_have_been_begun_has_been_attempted() -> None:
    history = History([Death(0, 4, 8), Death(0, 4, 8, 5), Death(0, 4, 8, 5, running=False)])

    assert [history.past(0, position).attempts for position in range(3, 9)] == [0, 3, 3, 1, 1, 0]


def test_what_was_in_hand_is_taken_one_by_one_in_its_own_input() -> None:
    history = History([Death(0, 4, 8), Death(1, 2, 3)])

    assert [history.careful_until(source) for source in range(3)] == [8, 3, 0]
