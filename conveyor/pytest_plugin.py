"""The pytest plugin: a test that takes `simulate` is run once for each of many schedules, until one
fails.

Knows: pytest, and which schedules a test has failed under before.  Must never know: how schedules
are found, run or shrunk.

    @pytest.mark.explore(schedules=200)
    def test_that_nothing_is_lost(simulate):
        assert sorted(simulate(pipeline(), [1, 2, 3])) == [2, 3, 4]

pytest loads this file for every user, so the simulator is imported only where a test asks for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from inspect import iscoroutinefunction, signature
from os.path import relpath
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from typing_extensions import TypeVar

if TYPE_CHECKING:
    from conveyor.sim.faults import Faults
    from conveyor.sim.schedule import Schedule
    from conveyor.sim.schedulers.scheduler import Scheduler
    from conveyor.sim.search.findings import Exploration, Found
    from conveyor.sim.search.options import Strategy
    from conveyor.sim.search.repeated_tests import RepeatedTest
    from conveyor.sim.search.simulable import Simulable
    from conveyor.sim.search.simulation import Simulation

__all__ = ["Simulate"]

In = TypeVar("In")
Out = TypeVar("Out")

SCHEDULES: Final = 100
UNBOUNDED: Final = 1 << 62
REMEMBERED: Final = 5  # schedules of one test

HOW: Final = "write def test_x(simulate), and call simulate(pl, items)"
HOW_IN_A_CLASS: Final = (
    f"{HOW}; a unittest.TestCase gets it by a fixture with autouse=True that puts it into self"
)

SECTION: Final = "conveyor"
TOLD: Final = pytest.StashKey[str]()


class Simulate:
    """The fixture `simulate`: called once in a run of the test, it runs the schedule in turn."""

    def __init__(self) -> None:
        self._repeated: RepeatedTest | None = None

    def __call__(self, pl: Simulable[In, Out], items: Iterable[In]) -> Simulation[Out, In]:
        """The outputs, in order, with `.schedule`, `.trace` and `.report`; raises what a job
        raised, or `Deadlock`."""
        __tracebackhide__ = True
        from conveyor._builder.builder import Builder

        if not isinstance(pl, Builder):
            raise TypeError(f"simulate(pl, items): pl must be a Pipeline, not {type(pl).__name__}")
        if self._repeated is None:
            raise RuntimeError(
                "simulate(pl, items) is for the body of a test; here, use "
                "pl.simulate(items, seed=0)"
            )
        try:
            topology = pl._simulated("simulate()")  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]  # two faces of one library
            return self._repeated.simulate(topology, items)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # what the pipeline gives is Out
        except BaseException as error:
            if error is self._repeated.interruption:
                raise
            raise error.with_traceback(None)  # noqa: B904  # the simulator's own frames say nothing to a reader


@pytest.fixture
def simulate() -> Simulate:
    """Call it as `simulate(pl, items)`: the test is then run once for each schedule, until one
    fails."""
    return Simulate()


class Subtests:
    """In the place of pytest's own: a subtest that fails fails the test, under the schedule that it
    fails under; one that is skipped is reported by `own`, once, however often the test is run."""

    def __init__(self, own: pytest.Subtests) -> None:
        self.own = own
        self.skipped: set[str] = set()

    @contextmanager
    def test(self, msg: str | None = None, **parameters: object) -> Generator[None]:
        """A part of the test, named by a message and parameters."""
        __tracebackhide__ = True
        try:
            yield
        except pytest.skip.Exception as skip:  # it comes again in each schedule, and is told once
            part = f"{msg or ''}{parameters or ''}: {skip}"
            if part in self.skipped:
                return
            self.skipped.add(part)
            with self.own.test(msg, **parameters):
                raise
        except BaseException as error:
            error.add_note(f"in subtest {msg or ''}{parameters or ''}")
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `@pytest.mark.explore` says."""

    schedules: int | None = None
    strategy: Strategy | Scheduler = "portfolio"
    seed: int = 0
    faults: Faults | None = None
    seconds: float | None = None

    @property
    def most(self) -> int:
        """How many schedules are run at most: a search for every one has an end of its own."""
        if self.schedules is not None:
            return self.schedules
        return UNBOUNDED if self.strategy == "exhaustive" else SCHEDULES


# ----------------------------------------------------------------------------------------------
# what pytest calls


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conveyor", "tests of pipelines under many schedules")
    group.addoption(
        "--conveyor-seed",
        type=int,
        metavar="N",
        help="the seed of every search (default: what the test says, or 0)",
    )
    group.addoption(
        "--conveyor-schedule",
        metavar="TEXT",
        help="run the test under this schedule alone, as a failure prints it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"explore(schedules={SCHEDULES}, strategy='portfolio', seed=0, faults=None, seconds=None): "
        "run the test once for each schedule that its `simulate` fixture can have, until one "
        "fails.",
    )
    text = config.getoption("--conveyor-schedule")
    if text is not None:
        from conveyor.errors import ScheduleMismatch
        from conveyor.sim.schedule import Schedule

        try:
            Schedule.parse(text)
        except ScheduleMismatch as error:
            raise pytest.UsageError(f"--conveyor-schedule: {error}") from None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Puts in the place of the test, be it a method of a `unittest.TestCase`, one that runs it
    again and again."""
    if not isinstance(item, pytest.Function):
        yield
        return
    simulates = item.funcargs.get("simulate")
    mark = item.get_closest_marker("explore")
    test = item.obj
    if isinstance(simulates, Simulate):
        item.obj = explored(item, test, simulates, mark)
    elif mark is not None:
        item.obj = refused(
            test, f"needs the fixture `simulate`: {HOW if item.cls is None else HOW_IN_A_CLASS}"
        )
    yield
    item.obj = test


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Puts what was found below the traceback, where a line can be copied."""
    outcome = yield
    told = item.stash.get(TOLD, None)
    if call.when != "call" or told is None:
        return
    report = outcome.get_result()
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(SECTION, f"{told}\n", "-")
    else:
        report.sections.append((SECTION, told))


# ----------------------------------------------------------------------------------------------
# a test, many times


def refused(test: Callable[..., object], why: str) -> Callable[..., None]:
    @wraps(test)
    def refusal(**arguments: object) -> None:
        pytest.fail(f"@pytest.mark.explore {why}", pytrace=False)

    return refusal


def explored(
    item: pytest.Function,
    test: Callable[..., object],
    simulates: Simulate,
    mark: pytest.Mark | None,
) -> Callable[..., None]:
    """The test, under every schedule that was asked for."""
    if iscoroutinefunction(test):
        return refused(
            test, "runs no async test: the simulator is not awaited, so the test need not be async"
        )
    try:
        asked = Asked(*(mark.args if mark else ()), **(mark.kwargs if mark else {}))
    except TypeError as error:
        return refused(test, f"cannot be read: {str(error).replace('Asked.__init__()', 'it')}")

    @wraps(test)
    def under_schedules(**arguments: object) -> None:
        __tracebackhide__ = True
        from conveyor.sim.search.repeated_tests import RepeatedTest

        ends = None if asked.seconds is None else monotonic() + asked.seconds
        if "subtests" in arguments:
            arguments["subtests"] = Subtests(cast("pytest.Subtests", arguments["subtests"]))
        simulates._repeated = repeated = RepeatedTest(  # pyright: ignore[reportPrivateUsage]  # the test sees no more of it than a call
            lambda: test(**arguments), asked.most, lambda: ends is not None and monotonic() > ends
        )
        text = item.config.getoption("--conveyor-schedule")
        if text is not None:
            replay(item, repeated, text)
        else:
            search(item, repeated, asked)

    return under_schedules


def asks(item: pytest.Function) -> bool:
    """Does the test ask for simulations itself, and not only by a fixture that it shares?"""
    test: Callable[..., object] = item.obj  # which keeps the signature of the test (`explored`)
    is_marked = item.get_closest_marker("explore") is not None
    return is_marked or "simulate" in signature(test).parameters


def replay(item: pytest.Function, repeated: RepeatedTest, text: str) -> None:
    """The test under one schedule."""
    __tracebackhide__ = True
    from conveyor.sim.schedule import Schedule
    from conveyor.sim.search.describe import describe
    from conveyor.sim.search.repeated_tests import replay_test

    schedule = Schedule.parse(text)
    try:
        replay_test(repeated, schedule)
    except BaseException:
        if repeated.error is not None:
            words = describe(schedule, repeated.simulator.pipeline.topology)
            item.stash[TOLD] = (
                f"the schedule of --conveyor-schedule: default everywhere except: {words}"
            )
        raise


def search(item: pytest.Function, repeated: RepeatedTest, asked: Asked) -> None:
    """The test under many schedules; the smallest that fails is run once more, as what pytest
    reports."""
    __tracebackhide__ = True
    from conveyor.errors import ConveyorError, NotDeterministic
    from conveyor.sim.schedule import Schedule
    from conveyor.sim.search.repeated_tests import explore_test, replay_test

    memory = FailedSchedules(item)
    known = memory.schedules()
    option = item.config.getoption("--conveyor-seed")
    seed = asked.seed if option is None else option
    try:
        result = explore_test(
            repeated, known, strategy=asked.strategy, seed=seed, faults=asked.faults
        )
    except (ConveyorError, TypeError, ValueError) as error:
        if error in (repeated.fault, repeated.error, repeated.interruption):
            raise
        if repeated.made is None and repeated.error is None and not asks(item):
            return  # a test beside others that simulate
        raise pytest.fail.Exception(f"@pytest.mark.explore: {error}", pytrace=False) from None
    found = result.failure
    memory.remember([found.schedule] if found is not None and not found.is_left_behind else [])
    if found is None:
        check_completeness(asked, result)
        item.add_report_section("call", SECTION, repr(result))  # shown by -rP
        return
    item.stash[TOLD] = told(item, found, len(known), asked.strategy)
    if isinstance(found.error, NotDeterministic):
        raise found.error
    forget_output(item)
    if found.repeats:
        replay_test(repeated, Schedule.parse(found.schedule))
    raise NotDeterministic(
        "the test failed under this schedule, and did not when it was run under it once more: it "
        "depends on something that an earlier run left behind"
    ) from found.error


def check_completeness(asked: Asked, result: Exploration[object]) -> None:
    """Who asks for every schedule must not take some for all."""
    if asked.strategy == "exhaustive" and not result.complete:
        what = (
            f"{asked.seconds} seconds"
            if asked.schedules is None
            else f"{asked.schedules} schedules"
        )
        pytest.fail(
            f"not every schedule was run: {what} were not enough. Allow more, or take fewer items",
            pytrace=False,
        )


def told(item: pytest.Function, found: Found, known: int, strategy: Strategy | Scheduler) -> str:
    """What was found, how small it has become, and the line that does it again."""
    if found.number <= known:
        which = "a schedule that failed before"
    elif isinstance(strategy, str):
        which = f"schedule {found.number - known} of " + (
            "the portfolio" if strategy == "portfolio" else f"strategy {strategy!r}"
        )
    else:
        which = f"schedule {found.number - known} of {type(strategy).__name__}"
    if found.is_left_behind:
        return f"{which}, but not because of it"
    replay = found.how_to_replay(f"pytest {address(item)} --conveyor-schedule='{found.schedule}'")
    return f"{which}, {found.story()}\n{replay}"


def address(item: pytest.Function) -> str:
    """The test as a shell takes it, in the directory where pytest was called."""
    _, *names = str(item.nodeid).split("::")
    return shlex.quote("::".join([relpath(item.path, item.config.invocation_params.dir), *names]))


def forget_output(item: pytest.Function) -> None:
    """What hundreds of runs printed is noise: only the last one's is shown."""
    capture: Any = item.config.pluginmanager.getplugin("capturemanager")
    if capture is not None and capture.is_globally_capturing():
        capture.read_global_capture()


class FailedSchedules:
    """The schedules under which a test failed when it was last run, in pytest's cache: a file for
    each test, so that processes of pytest-xdist do not write over one another's."""

    def __init__(self, item: pytest.Function) -> None:
        self.cache: Any = getattr(item.config, "cache", None)
        self.test = item.nodeid
        self.key = f"conveyor/{sha256(item.nodeid.encode()).hexdigest()[:16]}"

    def schedules(self) -> list[Schedule]:
        """The newest first; what cannot be read any more is left out."""
        from conveyor.errors import ScheduleMismatch
        from conveyor.sim.schedule import Schedule

        found: list[Schedule] = []
        for text in self.texts():
            try:
                found.append(Schedule.parse(text))
            except ScheduleMismatch:  # of an older version, whose text was another
                continue
        return found

    def texts(self) -> list[str]:
        kept = None if self.cache is None else self.cache.get(self.key, None)
        return [] if kept is None else kept["schedules"]

    def remember(self, failed: list[str]) -> None:
        """`failed` comes first; a test that passes has no schedules that fail any more."""
        before = self.texts()
        others = [text for text in before if text not in failed]
        texts = [*failed, *others][:REMEMBERED] if failed else []
        if self.cache is not None and texts != before:
            self.cache.set(self.key, {"test": self.test, "schedules": texts})
