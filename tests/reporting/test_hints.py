"""What a report advises where handing over costs more than the work."""

import time
from dataclasses import dataclass

import pytest

from conveyor import Pipe, Pipeline, Processor
from conveyor.reporting import hints as hints_module
from conveyor.reporting.hints import ITEMS, SECONDS, WorkerPace, hints

HURTS = WorkerPace("parse", 100_000, work_s=0.1, handing_s=0.5)


def test_the_stages_are_named_with_what_their_work_and_their_hand_over_cost() -> None:
    (note,) = hints([HURTS, WorkerPace("fit", 100_000, 0.9, 0.1)], 1.0)

    assert "in parse (1.0 µs of work an item, 5.0 µs to hand it over); what helps: " in note
    assert "fit" not in note


def test_lanes_of_the_same_stages_are_counted_together() -> None:
    (note,) = hints([HURTS, HURTS._replace(work_s=0.3)], 1.0)

    assert "in parse (2.0 µs of work an item, 5.0 µs to hand it over); " in note


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (HURTS._replace(work_s=0.5), 1.0),  # no more than the work
        (HURTS._replace(items=ITEMS - 1), 1.0),  # too few to tell
        (HURTS, SECONDS / 2),  # over in a moment
        (HURTS, 10.0),  # a small part of the run
    ],
)
def test_nothing_is_said_where_it_does_not_hurt(pace: WorkerPace, seconds: float) -> None:
    assert hints([pace], seconds) == ()


@dataclass(frozen=True)
class Reading:
    number: int
    unit: str


def reading(number: int) -> Reading:
    return Reading(number, "K")


def same(reading: Reading) -> Reading:
    return reading


def slow(number: int) -> int:
    time.sleep(0.0005)
    return number


@pytest.mark.processes
def test_a_run_of_next_to_no_work_on_records_says_so_and_one_of_coarse_work_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine most of a run is waiting for a core.
    monkeypatch.setattr(hints_module, "SHARE", 0.0)
    light = Pipeline[int]().add(Processor(reading)).add(Pipe()).add(Processor(same))
    heavy = Pipeline[int]().add(Processor(slow))

    def says_so() -> bool:
        noted = light.run(range(30_000)).report.notes
        return any("costs more than the work in " in note and "same (" in note for note in noted)

    # What waits for a core in the middle of a job looks like work: not in all of several runs.
    assert any(says_so() for _ in range(5))
    assert not any("costs more" in note for note in heavy.run(range(ITEMS)).report.notes)
