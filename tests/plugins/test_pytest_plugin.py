"""The pytest plugin, as a user has it: test files, what pytest prints, and the line that is pasted
into a shell."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork

pytest_plugins = ("pytester",)
# Each starts pytest several times, which on a busy machine takes a minute.
pytestmark = pytest.mark.timeout(600)
# Else each run of pytest inside this one imports the simulator anew.
import_module("conveyor.sim.search.repeated_tests")

PIPELINE = """
import pytest
from conveyor import *
from conveyor.sim import Faults, Scheduler

def add_one(n: int) -> int:
    return n + 1

def diamond():
    return Pipeline[int]().add(ReplicatingFork(2)).add(Processor(add_one), Pipe()).add(Join(2))
"""

RARE = """
def test_rare(simulate):
    out = simulate(diamond(), [2, 9, 11])
    print("out is", out)
    assert out != [2, 3, 9, 11, 10, 12]
"""


def add_one(n: int) -> int:
    return n + 1


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


def replay_line(printed: str) -> str:
    lines: list[str] = re.findall(r"^replay: (pytest .*)$", printed, re.MULTILINE)
    assert len(lines) == 1
    return lines[0]


def test_a_test_is_run_once_for_each_schedule(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
seen = []
@pytest.mark.explore(strategy="exhaustive")
def test_all(simulate):
    seen.append(tuple(simulate(diamond(), [2, 9, 11])))
def test_each_was_there():
    assert len(set(seen)) == 20
@pytest.mark.explore(schedules=30)
def test_some(simulate):
    seen.append(0)
    assert sorted(simulate(diamond(), [2, 9, 11])) == [2, 3, 9, 10, 11, 12]
def test_that_was_30_times():
    assert seen.count(0) == 30
""",
    )
    assert "4 passed" in printed


def test_a_rare_failure_is_told_with_the_line_that_replays_it(user: pytest.Pytester) -> None:
    printed = ran(user, RARE)
    told = printed[printed.index("- conveyor -") :]
    assert re.search(
        r"schedule \d+ of the portfolio, shrunk from \d+ decisions to 3 in \d+ runs", told
    )
    assert (
        "default everywhere except: join 'join' #0 takes lane 1 (of 2), from 'source'; join" in told
    )
    assert printed.count("E       assert [2, 3, 9, 11, 10, 12] != [2, 3, 9, 11, 10, 12]\n") == 1
    assert printed.count("replay: ") == 1
    assert printed.count("out is") == 1 + RARE.count("out is"), (
        "what the last run printed, and the source"
    )


def test_the_replay_line_does_it_again_when_it_is_pasted_into_a_shell(
    user: pytest.Pytester,
) -> None:
    line = replay_line(ran(user, RARE))
    again = user.run("sh", "-c", f"{line} -p no:cacheprovider")
    assert again.ret == pytest.ExitCode.TESTS_FAILED
    again.stdout.fnmatch_lines(
        [
            "E*assert [[]2, 3, 9, 11, 10, 12] != *",
            "the schedule of --conveyor-schedule: default*except: join*",
        ]
    )
    fine = user.run("sh", "-c", re.sub("cv1:.*'", "cv1:'", line))
    assert fine.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("directory", [".", "below", ".."])
def test_the_replay_line_fits_the_directory_and_names_that_a_shell_would_take_apart(
    user: pytest.Pytester, directory: str
) -> None:
    user.makeini("[pytest]")
    user.mkdir("below")
    test = """
class TestOfAPool:
    @pytest.mark.parametrize("n", [3], ids=["it's $HOME; a b"])
    def test_first(self, simulate, n):
        lanes = Pipeline[int]().add(BalancingFork(2, name="a pool!"))
        pl = lanes.add(Pipe(), Processor(add_one)).add(Join(2))
        assert simulate(pl, [1, n])[0] == 1
"""
    user.makepyfile(test_x=PIPELINE + test)
    os.chdir(user.path / directory)
    path = os.path.relpath(user.path / "test_x.py")
    line = replay_line(user.runpytest_subprocess(path, "-p", "no:cacheprovider").stdout.str())
    again = user.run("sh", "-c", line)
    again.stdout.fnmatch_lines(["E*assert 3 == 1*", "*1 failed*"])


def test_a_crash_that_makes_an_effect_happen_twice_is_found(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
written = []
def write(n: int) -> int:
    written.append(n)
    return n
@pytest.mark.explore(faults=Faults(["write"]))
def test_written_once(simulate):
    written.clear()
    assert simulate(Pipeline[int]().add(Processor(write)), [5, 6]) == [5, 6]
    assert written == [5, 6]
""",
    )
    assert re.search(
        r"default everywhere except: worker 'write' dies before anything of item [01] is out",
        printed,
    )
    user.run("sh", "-c", replay_line(printed)).stdout.fnmatch_lines(["*1 failed*"])


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (
            (
                "def test_it(simulate): simulate(Pipeline[int]().add(Processor(lambda n: 1 // n, "
                "name='divide')), [1, 0])"
            ),
            "ZeroDivisionError: ",
        ),
        (
            "def test_it(simulate):\n"
            "    lanes = Pipeline[int]().add(ReplicatingFork(2)).add(Filter(lambda n: n > 3), "
            "Pipe(1))\n"
            "    simulate(lanes.add(Zip(2)), [1, 2, 3, 4])",
            "Deadlock: bounded pipes wait for one another in a circle",
        ),
        (
            "import random\n"
            "def test_it(simulate): simulate(Pipeline[int]().add(Processor(lambda n: "
            "random.random(), name='dice')), [1])",
            "NotDeterministic: the job of stage 'dice' is not deterministic",
        ),
    ],
)
def test_what_ends_a_run_fails_the_test(user: pytest.Pytester, test: str, told: str) -> None:
    printed = ran(user, test)
    assert told in printed
    assert "default everywhere: no certain order is needed for this" in printed
    assert "1 failed" in printed
    user.run("sh", "-c", replay_line(printed)).stdout.fnmatch_lines(["*1 failed*"])


def test_a_test_may_expect_what_ends_a_run(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
def test_it(simulate):
    with pytest.raises(ZeroDivisionError):
        simulate(Pipeline[int]().add(Processor(lambda n: 1 // n)), [1, 0])
""",
    )
    assert "1 passed" in printed


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("nonsense", "--conveyor-schedule: 'nonsense' is no schedule: it must begin with 'cv1:'"),
        ("cv1:merge=3", "--conveyor-schedule: 'merge=3' is no part of a schedule"),
        (
            "cv1:merge.0=1",
            (
                "ScheduleMismatch: 'merge' #0: the schedule wants 1, and the run has no such "
                "decision point"
            ),
        ),
        (
            "cv1:join.0=7",
            (
                "ScheduleMismatch: 'join' #0: the schedule wants 7, and possible is 0, 1; it "
                "belongs to another"
            ),
        ),
        ("cv1:!nobody.0.taken", "the worker 'nobody' never came to where the schedule has it die"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(
    user: pytest.Pytester, schedule: str, told: str
) -> None:
    user.makepyfile(test_x=PIPELINE + RARE)
    result = user.runpytest("test_x.py", f"--conveyor-schedule={schedule}")
    assert result.ret != pytest.ExitCode.OK
    assert told in result.stdout.str() + result.stderr.str()


MISUSES = (
    ("@pytest.mark.explore\ndef test_it(): pass", "needs the fixture `simulate`"),
    (
        "@pytest.mark.explore(scedules=3)\ndef test_it(simulate): pass",
        "unexpected keyword argument 'scedules'",
    ),
    (
        "@pytest.mark.explore(3)\ndef test_it(simulate): pass",
        "cannot be read: it takes 1 positional argument but 2 were given",
    ),
    (
        "@pytest.mark.explore(strategy='luck')\ndef test_it(simulate): simulate(diamond(), [1])",
        "strategy is 'luck'; it must be a Scheduler or one of portfolio, random",
    ),
    (
        (
            "@pytest.mark.explore(faults=Faults(['nobody']))\n"
            "def test_it(simulate): simulate(diamond(), [1])"
        ),
        "faults: there is no worker 'nobody'; the workers are add_one",
    ),
    (
        "@pytest.mark.explore(faults=['add_one'])\ndef test_it(simulate): simulate(diamond(), [1])",
        "explore(): faults must be of type Faults, and is ['add_one']",
    ),
    (
        "@pytest.mark.explore(schedules=0)\ndef test_it(simulate): simulate(diamond(), [1])",
        "schedules is 0; it must be 1 or more",
    ),
    (
        (
            "@pytest.mark.explore(strategy='exhaustive', schedules=9)\n"
            "def test_it(simulate): simulate(diamond(), [1, 2, 3])"
        ),
        "not every schedule was run: 9 schedules were not enough",
    ),
    ("def test_it(simulate): pass", "the test never called simulate(pl, items)"),
    (
        "def test_it(simulate):\n    for _ in 'ab': simulate(diamond(), [1])",
        "simulate() is called a second time in one run",
    ),
    ("def test_it(simulate): simulate([1], [1])", "pl must be a Pipeline, not list"),
    (
        "def test_it(simulate): simulate(Pipeline[int]().add(ReplicatingFork(2)), [1])",
        "TopologyError: simulate()",
    ),
    (
        "@pytest.fixture\ndef early(simulate): simulate(diamond(), [1])\ndef test_it(early): pass",
        "is for the body of a test",
    ),
    ("async def test_it(simulate): pass", "runs no async test"),
)


def test_a_misuse_is_told_in_one_sentence(user: pytest.Pytester) -> None:
    tests = (test.replace("test_it", f"test_{number}") for number, (test, _) in enumerate(MISUSES))
    printed = ran(user, "\n\n".join(tests), "-p", "no:cacheprovider")
    assert f"{len(MISUSES) - 1} failed, 1 error" in printed
    for _, told in MISUSES:
        assert told in printed
    assert "replay:" not in printed
    assert "During handling" not in printed


def test_a_schedule_that_failed_is_tried_first_the_next_time(user: pytest.Pytester) -> None:
    assert "of the portfolio" in ran(user, RARE)
    again = ran(user, RARE)
    assert "a schedule that failed before, shrunk from 3 decisions to 3" in again
    assert "1 passed" in ran(user, RARE.replace("[2, 3, 9, 11, 10, 12]", "[]"))
    assert "of the portfolio" in ran(user, RARE), "a test that passes has nothing to remember"


def test_what_is_remembered_need_not_fit_any_more(user: pytest.Pytester) -> None:
    ran(user, RARE)
    other = RARE.replace("diamond()", "Pipeline[int]().add(Processor(add_one))")
    assert "1 passed" in ran(user, other)


def test_it_works_without_a_cache_and_in_several_processes(user: pytest.Pytester) -> None:
    twice = RARE + RARE.replace("test_rare", "test_as_rare")
    printed = ran(user, twice, "-p", "no:cacheprovider")
    assert printed.count("replay: ") == 2
    user.makepyfile(test_x=PIPELINE + twice)
    parallel = user.runpytest_subprocess("-n2", "test_x.py").stdout.str()
    assert sorted(re.findall("replay: .*", parallel)) == sorted(re.findall("replay: .*", printed))
    assert ran(user, twice).count("a schedule that failed before") == 2, (
        "the processes have remembered it"
    )


@pytest.mark.parametrize(("option", "seed"), [((), 5), (("--conveyor-seed=11",), 11)])
def test_the_seed_decides_which_schedules_are_tried(
    user: pytest.Pytester, option: tuple[str, ...], seed: int
) -> None:
    ran(
        user,
        """
@pytest.mark.explore(schedules=2, strategy="random", seed=5)
def test_it(simulate):
    with open("seen", "a") as seen:
        print(simulate(diamond(), [2, 9, 11]).schedule, file=seen)
""",
        *option,
    )
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(add_one), Pipe()).add(Join(2))
    drawn = pl.simulate([2, 9, 11], seed=seed).schedule
    assert (user.path / "seen").read_text().split() == ["cv1:", drawn]


def test_a_fixture_of_the_users_own_by_that_name_is_left_alone(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
runs = []
@pytest.fixture
def simulate(): return runs.append
def test_it(simulate): simulate(1)
def test_once(): assert runs == [1]
""",
    )
    assert "2 passed" in printed


def test_who_does_not_use_it_does_not_import_the_simulator(user: pytest.Pytester) -> None:
    user.makepyfile(
        "import sys\n"
        "def test_it(): assert not [name for name in sys.modules if "
        "name.startswith('conveyor.sim')]"
    )
    assert user.runpytest_subprocess().ret == pytest.ExitCode.OK


def test_a_test_may_be_skipped_or_expected_to_fail_from_inside(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
def test_skips(simulate):
    simulate(diamond(), [1])
    pytest.skip("not today")
@pytest.mark.xfail(strict=True)
def test_fails(simulate): assert simulate(diamond(), [1, 2]) == [2, 3, 1, 2]
def test_xfails(simulate):
    simulate(diamond(), [1])
    pytest.xfail("not today")
""",
    )
    assert "1 skipped, 2 xfailed" in printed


def test_a_test_that_depends_on_how_often_it_was_run_is_told_so(user: pytest.Pytester) -> None:
    printed = ran(
        user,
        """
runs = []
def test_it(simulate):
    runs.append(simulate(diamond(), [1]))
    assert len(runs) != 2
""",
    )
    assert "NotDeterministic: the same schedule passed before" in printed
