"""A process that a job forks ends where it comes out of the job: it never does the work of its
worker a second time."""

from __future__ import annotations

from tests.helpers import SCRIPTS, new_or_forked, run_script


@new_or_forked
def test_children_of_jobs_end_by_themselves_and_results_come_once(start_method: str) -> None:
    assert run_script(SCRIPTS / "forking_jobs.py", start_method) == [
        "returns [(0, 0), (1, 0), (2, 0)]",
        "exits [(0, 3), (1, 4), (2, 5)]",
        "fails [(0, 1), (1, 1), (2, 1)]",
        "pools [(0, 0), (1, 1), (2, 4)]",
        "yields [(1, 0), (1, 0), (2, 0), (2, 0)]",
        "at the end [(7, 0), (7, 0)]",
    ]
