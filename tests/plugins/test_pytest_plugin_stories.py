"""What the pytest plugin tells where a test fails for another reason than its schedule, and tests
of other kinds."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.timeout(600)  # each starts pytest, which on a busy machine takes a while
import_module(
    "conveyor.sim.search.repeated_tests"
)  # else each run of pytest inside this one imports the simulator anew

PIPELINE = """
import logging
import os
import signal
import unittest
import pytest
from conveyor import *
from conveyor.sim import Faults

def copies():
    return Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
"""


@pytest.fixture
def user(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory of a user's, whose shell finds `pytest`."""
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    return pytester


def ran(user: pytest.Pytester, test: str, *options: str) -> str:
    """What pytest prints for a file with this test in it."""
    user.makepyfile(test_x=PIPELINE + test)
    return str(user.runpytest("test_x.py", *options).stdout)


# ---------------------------------------------------------------------- what earlier schedules left

LEAVES_SOMETHING = [
    (
        "def test_it(simulate, tmp_path):\n    (tmp_path / 'out').mkdir()\n"
        "    simulate(copies(), [1, 2])"
    ),
    "def test_it(simulate, caplog):\n    logging.getLogger().warning('one')\n"
    "    simulate(copies(), [1])\n"
    "    assert len(caplog.records) == 1",
    "@pytest.fixture\ndef db(): return []\ndef test_it(simulate, db):\n"
    "    db.extend(simulate(copies(), [1, 2]))\n"
    "    assert len(db) == 4",
    "class TestIt:\n    def setup_method(self): self.seen = []\n    def test_it(self, simulate):\n"
    "        self.seen.extend(simulate(copies(), [1, 2]))\n        assert len(self.seen) == 4",
    "@pytest.mark.explore(strategy='exhaustive')\ndef test_it(simulate, tmp_path):\n"
    "    simulate(copies(), [1, 2])\n"
    "    with open(tmp_path / 'rows', 'a') as rows: rows.write('x')\n"
    "    assert (tmp_path / 'rows').read_text() == 'x'",
]


@pytest.mark.parametrize("test", LEAVES_SOMETHING)
def test_a_test_that_leaves_something_behind_is_told_so_and_no_line_that_passes(
    user: pytest.Pytester, test: str
) -> None:
    printed = ran(user, test)
    assert (
        "NotDeterministic: the same schedule passed before: the test depends on what an earlier "
        "schedule left" in printed
    )
    assert "replay: " not in printed
    assert "a schedule that failed before" not in ran(user, test), "nothing of it is remembered"
    assert "1 passed" in ran(user, test, "--conveyor-schedule=cv1:")


def test_fixtures_that_begin_anew_by_themselves_are_none_of_these(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
def test_capsys(simulate, capsys):
    print(len(simulate(copies(), [1, 2])))
    assert capsys.readouterr().out == "4\\n"
def test_monkeypatch(simulate, monkeypatch):
    monkeypatch.setenv("X", "1")
    assert len(simulate(copies(), [1, 2])) == 4
""",
    )
    assert "2 passed" in printed


def test_a_ledger_of_effects_is_not_mixed_up_by_repeats(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
LEDGER = []
def pay(n: int) -> int:
    LEDGER.append(n)
    return n
def paid():
    return Pipeline[int]().add(ReplicatingFork(2)).add(Processor(pay), Pipe()).add(Join(2))
def test_it(simulate):
    simulate(paid(), [1, 2])
    assert LEDGER == [1, 2]
    LEDGER.clear()
""",
    )
    assert "1 passed" in printed


# -------------------------------------------------------------------------- what comes from outside


def test_a_time_limit_ends_the_search_and_the_next_test_is_run(user: pytest.Pytester) -> None:
    user.makepyfile(
        test_x=PIPELINE
        + """
class Waits(Processor[int, int]):
    def process(self, item: int) -> int:
        while True:
            signal.sigtimedwait([], 0.01)
@pytest.mark.timeout(1, method="signal")
def test_waits(simulate):
    simulate(copies().add(Waits()), [1, 2])
def test_next(simulate):
    simulate(copies(), [1, 2])
"""
    )
    printed = user.runpytest_subprocess("test_x.py").stdout.str()
    assert "1 failed, 1 passed" in printed
    assert "Timeout (>1.0s) from pytest-timeout" in printed
    assert "signal.sigtimedwait" in printed, "where it was"
    assert "replay" not in printed


def test_ctrl_c_ends_pytest(user: pytest.Pytester) -> None:
    user.makepyfile(
        test_x=PIPELINE
        + """
def interrupted(n: int) -> int:
    signal.raise_signal(signal.SIGINT)
    return n
def test_it(simulate):
    simulate(Pipeline[int]().add(Processor(interrupted, on_error="skip")), [1, 2])
def test_next():
    print("came to the next")
"""
    )
    result = user.runpytest_subprocess("test_x.py", "-s")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "came to the next" not in result.stdout.str()


# ----------------------------------------------------------------------------- tests of other kinds


def test_a_subtest_that_fails_fails_the_test_under_its_schedule(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
def test_it(simulate, subtests):
    out = simulate(copies(), [1, 2])
    with subtests.test("skipped"):
        pytest.skip("this part")
    with subtests.test("order", first=1):
        assert list(out) != [1, 1, 2, 2]
    with subtests.test("count"):
        assert len(out) == 4
""",
    )
    assert (
        len(re.findall(r"^E +assert \[1, 1, 2, 2\] != \[1, 1, 2, 2\]", printed, re.MULTILINE)) == 1
    )
    assert "in subtest order{'first': 1}" in printed
    assert re.search(
        r"replay: pytest test_x.py::test_it --conveyor-schedule='cv1:join.0=1'", printed
    )
    assert "1 failed" in printed


def test_a_subtest_that_is_skipped_is_reported_once_as_pytest_reports_it(
    user: pytest.Pytester,
) -> None:
    printed = ran(
        user,
        """
def skips(subtests):
    for part in (1, 2):
        with subtests.test("part", number=part):
            pytest.skip("not here")
def test_under_schedules(simulate, subtests):
    simulate(copies(), [1, 2])
    skips(subtests)
def test_alone(subtests):
    skips(subtests)
""",
        "-v",
    )
    for name in ("test_under_schedules", "test_alone"):
        assert re.findall(rf"{name} SUBSKIPPED(.*?\))", printed) == [
            "[part] (number=1)",
            "[part] (number=2)",
        ]
    assert "2 passed, 4 skipped" in printed


def test_a_method_of_a_test_case_is_run_under_every_schedule_too(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
class TestBoth(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def take(self, simulate):
        self.simulate = simulate
    @pytest.mark.explore(strategy="exhaustive")
    def test_fine(self):
        self.assertEqual(len(self.simulate(copies(), [1, 2])), 4)
    def test_rare(self):
        self.assertNotEqual(self.simulate(copies(), [1, 2]), [1, 1, 2, 2])
class TestWithout(unittest.TestCase):
    @pytest.mark.explore(schedules=50)
    def test_marked(self):
        raise AssertionError("it is run")
""",
    )
    assert "2 failed, 1 passed" in printed
    assert (
        "replay: pytest test_x.py::TestBoth::test_rare --conveyor-schedule='cv1:join.0=1'"
        in printed
    )
    assert "@pytest.mark.explore needs the fixture `simulate`" in printed
    assert "it is run" not in printed.replace('AssertionError("it is run")', "")


def test_a_test_beside_those_that_simulate_need_not_simulate_itself(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
class TestBoth(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def take(self, simulate):
        self.simulate = simulate
    def test_simulates(self):
        self.assertEqual(len(self.simulate(copies(), [1, 2])), 4)
    def test_passes(self):
        self.assertEqual(copies().count([]), 1)
    def test_fails(self):
        self.assertEqual(copies().count([]), 2)
    @pytest.mark.explore(schedules=50)
    def test_says_that_it_explores(self):
        pass
""",
    )
    assert "2 failed, 2 passed" in printed
    assert "AssertionError: 1 != 2" in printed
    assert "the test never called simulate(pl, items)" in printed
