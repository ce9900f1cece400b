"""What follows from deaths: when the next worker is started, and which item is to blame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.crashes import FRESH, Deaths, History, Moment, WorkerDeath, remembered

AT_WORK, IDLE, STARTING, SETTING_UP = (
    Moment.AT_WORK,
    Moment.IDLE,
    Moment.STARTING,
    Moment.SETTING_UP,
)


def test_a_commit_takes_back_what_counted_against_the_stage() -> None:
    deaths = Deaths()
    waits = [deaths.died(AT_WORK, commits) for commits in [0] * 9 + [1] + [0] * 10]

    assert waits == [
        0,
        0,
        10,
        20,
        40,
        80,
        160,
        200,
        200,
        0,
        0,
        10,
        20,
        40,
        80,
        160,
        200,
        200,
        200,
        None,
    ]
    assert deaths.count == 20


def test_a_worker_that_was_killed_for_its_item_counts_against_nobody() -> None:
    deaths = Deaths()

    assert [deaths.died(AT_WORK, timed_out=True) for _ in range(20)] == [0] * 20
    assert deaths.died(AT_WORK) == 0


def test_a_worker_that_has_nothing_to_do_may_be_killed_for_ever() -> None:
    deaths = Deaths()

    assert None not in [deaths.died(IDLE) for _ in range(1000)]
    assert deaths.died(IDLE) == 200, "but they are not started as fast as they die"


@given(st.lists(st.sampled_from([AT_WORK, STARTING]), max_size=40))
def test_its_death_takes_back_what_counted_before(moments: list[Moment]) -> None:
    """Only a row of ten at work ends the run here, and what lies between them of others does not
    matter, but for the idle."""
    deaths, in_a_row = Deaths(was_ready=True), 0
    for number, moment in enumerate(moments):
        in_a_row += moment is AT_WORK
        assert (deaths.died(moment, born_ms=number, now_ms=number) is None) == (in_a_row >= 10)
    deaths.died(IDLE)

    assert [deaths.died(AT_WORK) is None for _ in range(10)] == [False] * 9 + [True]


def test_ten_that_die_in_a_setup_that_nobody_came_through_end_the_run() -> None:
    deaths = Deaths()

    assert [deaths.died(SETTING_UP) is None for _ in range(10)] == [False] * 9 + [True]


def test_but_not_those_among_others_that_die_before_it() -> None:
    deaths = Deaths()

    assert [deaths.died(each) is None for each in 11 * [*[SETTING_UP] * 9, STARTING]] == [
        False
    ] * 110


@pytest.mark.parametrize(
    ("was_ready", "moment", "seconds"),
    [(False, STARTING, 10), (True, STARTING, 30), (True, SETTING_UP, 30)],
)
def test_others_that_die_before_they_are_ready_count_against_time(
    was_ready: bool, moment: Moment, seconds: int
) -> None:
    def lives(milliseconds: int) -> int:
        """How many workers are started when they live so long."""
        deaths = Deaths(was_ready)
        now = born = 0
        while (
            wait := deaths.died(moment, born_ms=born, now_ms=(now := born + milliseconds))
        ) is not None:
            born = now + wait
        assert now >= 1000 * seconds
        return deaths.count

    assert lives(0) == pytest.approx(seconds * 5, rel=0.2), (
        "from the eighth on there are 200 ms between them"
    )
    assert lives(60_000) == 10, "as few as ten may be chance"


def test_a_worker_that_was_ready_takes_back_the_deaths_of_those_that_were_not() -> None:
    deaths = Deaths()
    for _ in range(100):
        assert [deaths.died(SETTING_UP) is None for _ in range(9)] == [False] * 9
        deaths.died(IDLE)
        deaths.was_ready = False  # as in another run


@pytest.mark.parametrize(
    ("moment", "why"),
    [(SETTING_UP, "none of them was ready"), (AT_WORK, "none of them had finished an item")],
)
def test_what_is_said_is_what_counted(moment: Moment, why: str) -> None:
    deaths = Deaths()
    while deaths.died(moment) is not None:
        pass

    assert "the 9 workers before it" in deaths.why()
    assert why in deaths.why()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(0, 9)), max_size=60))
def test_only_deaths_that_may_concern_an_item_that_is_to_come_are_remembered(
    steps: list[tuple[int, int, int]],
) -> None:
    """A worker takes an input in its order: of the items that are not done the same is told as if
    nothing was forgotten."""
    heads = [0, 0, 0]
    all_of_them: list[WorkerDeath] = []
    some: list[WorkerDeath] = []
    for source, size, done in steps:
        death = WorkerDeath(source, heads[source], heads[source] + size)
        all_of_them.append(death)
        some = remembered(some, death)
        for each, head in enumerate(heads):
            for position in range(head, head + 12):
                assert History(some).past(each, position) == History(all_of_them).past(
                    each, position
                )
        heads[source] += done
    assert len(some) <= 3 * 10 or not all(done for _, _, done in steps)


@pytest.mark.parametrize(
    ("death", "suspect"),
    [
        (WorkerDeath(0, 5, 6), 5),
        (WorkerDeath(0, 5, 9), None),
        (WorkerDeath(0, 5, 9, 7), 7),
        (WorkerDeath(0, 5, 6, running=False), None),
        (WorkerDeath(0, 5, 9, 7, running=False), None),
    ],
)
def test_an_item_is_suspect_if_its_job_was_at_work_and_no_other_can_have_been(
    death: WorkerDeath, suspect: int | None
) -> None:
    assert death.suspect == suspect


def test_three_deaths_with_an_item_alone_in_hand_make_it_poison() -> None:
    alone, among_others, sent_on = (
        WorkerDeath(1, 5, 6),
        WorkerDeath(1, 4, 9),
        WorkerDeath(1, 5, 6, running=False),
    )

    assert not History([among_others, alone, alone]).past(1, 5).is_poison
    assert not History([sent_on] * 9).past(1, 5).is_poison
    assert History([among_others, alone, alone, alone]).past(1, 5).is_poison
    assert History([alone] * 3).past(0, 5) == FRESH
    assert History([alone] * 3).past(1, 6) == FRESH


def test_an_item_that_may_have_been_begun_has_been_attempted() -> None:
    history = History(
        [WorkerDeath(0, 4, 8), WorkerDeath(0, 4, 8, 5), WorkerDeath(0, 4, 8, 5, running=False)]
    )

    assert [history.past(0, position).attempts for position in range(3, 9)] == [0, 3, 3, 1, 1, 0]


def test_side_by_side_one_item_had_no_more_time_and_all_others_had_begun_too() -> None:
    late = WorkerDeath(0, 4, 8, at=5, timed_out=True)
    history = History([late, WorkerDeath(0, 4, 8)], side_by_side=True)

    past = [history.past(0, position) for position in range(3, 9)]

    assert [each.attempts for each in past] == [0, 2, 2, 2, 2, 0]
    assert [each.timeouts for each in past] == [0, 0, 1, 0, 0, 0]
    assert [each.riddles for each in past] == [0, 1, 1, 1, 1, 0]


def test_what_was_in_hand_is_taken_one_by_one_in_its_own_input() -> None:
    history = History([WorkerDeath(0, 4, 8), WorkerDeath(1, 2, 3)])

    assert [history.careful_until(source) for source in range(3)] == [8, 3, 0]
