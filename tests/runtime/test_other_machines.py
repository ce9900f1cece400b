"""Where no worker can run, a run says so at once, and the simulator goes on working."""

from __future__ import annotations

import sys

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import RunError
from conveyor.runtime.parent.this_machine import why_not
from tests.helpers import living_children
from tests.jobs import double


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("platform", "win32", "Linux and macOS, and this is win32"),
        ("_is_gil_enabled", lambda: False, "free-threaded build"),
    ],
)
def test_a_run_is_refused_where_none_can_be_and_a_simulation_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, why: str
) -> None:
    pl = Pipeline[int]().add(Processor(double))
    before = living_children()
    monkeypatch.setattr(sys, name, value, raising=False)

    with pytest.raises(RunError, match=why):
        pl.run([1])
    assert pl.simulate([1, 2]) == [2, 4]

    monkeypatch.undo()
    assert living_children() == before
    assert pl.run([1]) == [2]


def test_this_machine_is_one_on_which_pipelines_run() -> None:
    assert why_not(sys.platform, has_one_lock=True) is None
