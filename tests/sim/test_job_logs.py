"""What simulated jobs log has the fields that records of real jobs have."""

from __future__ import annotations

import logging
import os
import threading

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from tests.logs import LOG, Talks, kept, told, where


def test_records_of_a_simulated_run_have_their_place() -> None:
    with kept() as log:
        Pipeline[int]().add(Talks()).simulate(range(2))
    assert log.texts() == ["setup", "at 0", "at 1", "finish", "teardown"]
    places = [("Talks", None), ("Talks", 0), ("Talks", 1), ("Talks", None), ("Talks", None)]
    assert [where(record) for record in log.of()] == places
    assert {record.__dict__["worker"] for record in log.of()} == {os.getpid()}


def test_the_handlers_are_as_before_when_the_run_is_over() -> None:
    with kept() as log:
        Pipeline[int]().add(Processor(told)).simulate([1])
        assert log.filters == []
        LOG.info("outside")
    assert not hasattr(log.records[-1], "stage")


def test_each_schedule_of_a_search_tells_which_job_it_is() -> None:
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(told, name="left"), Pipe())
        .add(Join(2))
        .add(Processor(told, name="right"))
    )
    with kept() as log:
        pl.explore([1, 2], strategy="exhaustive")
    assert {where(record) for record in log.of()} >= {("left", 0), ("left", 1), ("right", 3)}


def test_records_of_other_threads_and_of_the_users_own_fields_are_left_alone() -> None:
    def job(item: int) -> int:
        thread = threading.Thread(target=LOG.info, args=("beside",))
        thread.start()
        thread.join()
        LOG.info("own", extra={"stage": "mine"})
        return item

    with kept() as log:
        Pipeline[int]().add(Processor(job)).simulate([1])
    beside, own = log.of()
    assert not hasattr(beside, "stage")
    assert own.__dict__["stage"] == "mine"
    assert own.__dict__["item"] == 0


def test_the_level_is_that_of_the_program() -> None:
    with kept(logging.WARNING) as log:
        Pipeline[int]().add(Processor(told)).simulate([1])
    assert log.of() == []
