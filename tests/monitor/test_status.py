"""What a monitor makes of two snapshots."""

from __future__ import annotations

import re

import pytest

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.monitor.page import page, policy
from conveyor.monitor.snapshot import Activity, Failure, Fill, How, Snapshot, WorkerSeen
from conveyor.monitor.status import status_of
from conveyor.progress import Progress, progress_of
from conveyor.report import Report, StageReport
from tests.jobs import double


def progress(seconds: float, busy: float, blocked: float, items: int) -> Progress:
    """Of a run with the one stage `work`, which has nothing in hand."""
    stage = StageReport("work", "Processor", items, items, items, busy_s=busy, blocked_s=blocked)
    return progress_of(Report({"work": stage}, seconds), {"work": 3}, None, items, 1.0)


def at(state: Activity, told: Progress) -> Snapshot:
    return Snapshot(told, {"work": state})


def test_rates_are_of_what_has_happened_since_the_status_before() -> None:
    before = at(Activity.WORKING, progress(10.0, 10.0, 0.0, 100))
    now = at(Activity.WORKING, progress(12.0, 10.5, 1.5, 700))
    status = status_of(before, now, {})
    (stage,) = status["stages"]

    assert status["rate"] == pytest.approx(700 / 12)
    assert status["recent_rate"] == stage["rate"] == pytest.approx(300)
    assert (stage["busy"], stage["blocked"]) == pytest.approx((0.25, 0.75))
    assert stage["state"] == "blocked"
    assert (stage["items_in"], stage["queued"]) == (700, 3)


@pytest.mark.parametrize(
    ("state", "share"),
    [(Activity.WORKING, "busy"), (Activity.WAITING, "waiting"), (Activity.BLOCKED, "blocked")],
)
def test_time_that_a_worker_has_not_noted_yet_goes_to_what_it_is_at(
    state: Activity, share: str
) -> None:
    """A job that takes an hour notes nothing for an hour."""
    before = at(state, progress(10.0, 1.0, 0.0, 5))
    status = status_of(before, at(state, progress(20.0, 1.0, 0.0, 5)), {})
    (stage,) = status["stages"]

    shares = {"busy": stage["busy"], "waiting": stage["waiting"], "blocked": stage["blocked"]}
    assert shares.pop(share) == pytest.approx(1.0)
    assert [*shares.values()] == [0.0, 0.0]
    assert stage["state"] == state.value


def test_time_that_is_noted_late_is_never_more_than_all() -> None:
    before = at(Activity.WORKING, progress(10.0, 0.0, 0.0, 0))
    (stage,) = status_of(before, at(Activity.WORKING, progress(11.0, 11.0, 0.0, 1)), {})["stages"]

    assert stage["busy"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "state", [Activity.RESTARTING, Activity.CLOSED, Activity.DONE, Activity.STARTING]
)
def test_what_is_not_at_work_says_so_whatever_it_did_before(state: Activity) -> None:
    (stage,) = status_of(None, at(state, progress(10.0, 9.0, 1.0, 5)), {})["stages"]
    assert stage["state"] == state.value


def test_a_status_has_channels_workers_failures_and_the_end() -> None:
    snapshot = Snapshot(
        progress(1.0, 0.0, 0.0, 0),
        channels=(Fill(2, 16),),
        workers=(
            WorkerSeen(("work",), 71, (3,), Activity.WORKING, 2),
            WorkerSeen(("gone",), None, (), Activity.CLOSED, 0),
        ),
        failures=(Failure(0.5, "work", "worker 70 was killed"),),
        ended=How.FAILED,
    )
    status = status_of(None, snapshot, {71: 4096})

    assert status["ended"] == "failed"
    assert status["channels"] == [{"queued": 2, "capacity": 16}]
    assert [(w["pid"], w["memory"], w["restarts"]) for w in status["workers"]] == [
        (71, 4096, 2),
        (None, None, 0),
    ]
    assert status["failures"] == [{"at_s": 0.5, "stage": "work", "text": "worker 70 was killed"}]
    assert [stage["state"] for stage in status["stages"]] == [""]


def a_page(program: str) -> str:
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(double), Pipe(7)).add(Join(2))
    return page(pl.topology.figure, len(pl.topology.channels), program, "n0nce")


def test_the_page_draws_the_topology_and_asks_nobody_else_for_anything() -> None:
    text = a_page("etl.py")

    assert ">double</text>" in text
    assert len(re.findall("data-box=", text)) == len(re.findall("<title>", text)) - 1 > 3
    found = set(re.findall(r"(?:https?:)?//[^\s\"'`<>]+", text))
    assert found == {"http://www.w3.org/2000/svg"}  # the name of a language, which is not fetched
    assert not re.search(r"\b(src|srcset)=|@import|url\((?!#)", text)


def test_the_name_of_a_program_is_text_wherever_it_stands() -> None:
    text = a_page("</script><b>`${x}`.py {{graph}}")

    assert "<b>" not in text
    assert text.count("<svg xmlns") == 1
    assert text.count("</script>") == 1


def test_only_the_script_of_the_page_may_run() -> None:
    rules = dict(rule.split(" ", 1) for rule in policy("n0nce").split("; "))

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'nonce-n0nce'"
    assert '<script nonce="n0nce">' in a_page("etl.py")
