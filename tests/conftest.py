"""What pytest needs to know of this directory, and the fixtures that several folders share."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import chain, groupby
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import PATIENCE_S, TESTS, holds_within, living_children, told_of


class _Settings(Protocol):
    """What is read of the settings of pytest-timeout."""

    @property
    def timeout(self) -> float: ...


# How long an example takes is the machine's affair, and no test's: a busy one takes longer.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# pytest rewrites what asserts; that takes longer than all else of a collection, so it is kept from
# one run to the next, also where bytecode is not kept otherwise: as far as the tests are collected.
KEEPS_BYTECODE = not sys.dont_write_bytecode
sys.dont_write_bytecode = False
# All that a collection makes is kept to the end, and would be looked through again and again.
gc.disable()

# All tests of these folders start processes: workers, scripts, checkers, or pytest itself. In the
# folders inside them that are named below, and everywhere else, a test that does says so by a mark.
WITH_PROCESSES = ("checkers", "docs", "plugins", "recording", "runtime")
WITHOUT_PROCESSES = ("runtime/shm", "runtime/step")
# Where the threads of a worker of pytest-xdist were when the time of its test was over.
STACKS = TESTS.parent / "build" / "stacks"
# What Linux has from 6.1 on, and Python's `mmap` has no name for.
MADV_COLLAPSE = 25
HUGE_PAGE = 2 << 20
# What does in an example of a docstring.
RUNS = (".run(", ".stream(", ".drain(")


class Failures:
    """Prints the name of each test that fails, and why, when it does: a run that is stopped has
    said what failed until then."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            said = f"FAILED {report.nodeid} ({report.when}): {_reason(report)}"
            self.terminal.write_line(f"\n{said}")  # it does not know of the letters before


@pytest.hookimpl(trylast=True)  # the terminal is there
def pytest_configure(config: pytest.Config) -> None:
    """Hears of Ctrl-C where a shell that began the suite in the background has it ignored."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if isinstance(terminal, pytest.TerminalReporter) and not is_worker:
        config.pluginmanager.register(Failures(terminal))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only ``test_*.py`` is collected: ``--doctest-modules`` would import, and so run, every script
    beside them.  Where no test with processes is wanted, files with no other tests are not even
    imported."""
    if not collection_path.is_file():
        return None
    is_script = not collection_path.name.startswith("test_")
    is_left_out = _none_with_processes(config) and _has_only_processes(collection_path)
    return True if is_script or is_left_out else None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `--numprocesses=logical`: three times as many as there are cores, as tests with processes
    wait for these; without any, as many as there are cores."""
    return (1 if _none_with_processes(config) else 3) * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Workers of pytest-xdist begin to import at different files, where all are wanted: so each
    rewrites what asserts in a part of them, and finds the rest rewritten by the others."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    config = session.config
    if workers == 1 or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    found = sorted(TESTS.rglob("test_*.py"))
    files = [file for file in found if not pytest_ignore_collect(file, config)]
    first = len(files) * int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) // workers
    for file in [*files[first:], *files[:first]]:
        # One that cannot be imported, or is skipped, is tried again and told of in its turn.
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks with `processes` what can be told to start some, and has what takes long begin first:
    else the last of them runs alone."""
    for item in items:
        if _starts_processes(item):
            item.add_marker("processes")
    items[:] = _long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _long_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests so that each worker of pytest-xdist, which takes one block of them after the other,
    begins with some of those that may take longer than others; those of a file stay together, as
    they may share what took long."""
    rest = [item for item in items if not _takes_long(item)]
    long = [item for item in items if _takes_long(item)]
    files = [list(of_file) for _, of_file in groupby(long, key=lambda item: item.path)]
    found: list[pytest.Item] = []
    for worker in range(workers):
        first = list(chain.from_iterable(files[worker::workers]))
        block = (len(items) - len(found)) // (workers - worker)
        room = max(0, block - len(first))
        found += [*first, *rest[:room]]
        del rest[:room]
    return [*found, *rest]


def pytest_collection_finish() -> None:
    """Thousands of tests are not looked through again by each collection of garbage, here and in
    every worker that is forked, which would copy all their memory for it."""
    sys.dont_write_bytecode = not KEEPS_BYTECODE
    _first_example()
    gc.collect()
    gc.freeze()
    gc.enable()
    _take_huge_pages()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fails each test that starts a process and is not marked, so that `make test-fast` stays what
    it is."""
    if item.get_closest_marker("processes"):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fork", _refuse)
        patch.setattr(subprocess.Popen, "__init__", _refuse)
        return (yield)


def pytest_timeout_set_timer(item: pytest.Item, settings: _Settings) -> bool | None:
    """Ends a worker of pytest-xdist whose test takes too long, and keeps what its threads were at:
    pytest-timeout writes that to a terminal which such a worker has not."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return None
    timer = threading.Timer(settings.timeout, _end_with_stacks, (_stacks_of(worker),))

    def cancel() -> None:
        timer.cancel()
        timer.join()

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # pytest-timeout calls it
    timer.start()
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(report: pytest.TestReport) -> None:
    """Shows where the threads of a worker of pytest-xdist were when the time of its test was
    over."""
    stacks = _stacks_of(report.node.gateway.id)
    if stacks.exists():
        report.sections.append(("Stacks when the time was over", stacks.read_text()))
        stacks.unlink()


@pytest.fixture
def nothing_is_left_behind() -> Iterator[None]:
    """No process is left of the test: for `pytest.mark.usefixtures` at the head of a file."""
    yield
    if not holds_within(lambda: not living_children(), PATIENCE_S):
        pytest.fail(f"still there: {[*map(told_of, living_children())]}")


@settings(max_examples=1, database=None)
@given(st.none())
def _first_example(_: None) -> None:
    """What Hypothesis makes with the first example of a process is there before what is frozen: it
    looks whether anything refers to it, and finds nothing that is frozen."""


def _take_huge_pages() -> None:
    """Moves what is there into pages of 2 MB, where the system does so on request: each worker that
    is forked gets a copy of the table of all pages, which are 50,000 of 4 kB."""
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, _, _, inode, *_ = line.split()
        if rights == "rw-p" and inode == "0":
            first, end = (int(bound, 16) for bound in span.split("-"))
            first = -(-first // HUGE_PAGE) * HUGE_PAGE
            if first + HUGE_PAGE <= end:
                # An older kernel refuses it, as any does where a part has no page yet.
                advise(first, (end - first) // HUGE_PAGE * HUGE_PAGE, MADV_COLLAPSE)


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(report.longrepr if crash is None else crash.message).strip().splitlines()
    return lines[0] if lines else ""


def _end_with_stacks(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stacks:
        faulthandler.dump_traceback(stacks, all_threads=True)
    os._exit(1)


def _stacks_of(worker: str) -> Path:
    return STACKS / f"{worker}.txt"


def _none_with_processes(config: pytest.Config) -> bool:
    return "not processes" in config.option.markexpr


def _takes_long(item: pytest.Item) -> bool:
    limit = item.get_closest_marker("timeout")
    return limit is not None and limit.args[0] > float(item.config.getini("timeout"))


def _starts_processes(item: pytest.Item) -> bool:
    if isinstance(item, pytest.DoctestItem):
        return any(call in example.source for example in item.dtest.examples for call in RUNS)
    return _has_only_processes(item.path) or _asks_for_processes(item)


def _has_only_processes(file: Path) -> bool:
    folder = f"{file.parent.relative_to(TESTS).as_posix()}/"
    return _is_in(folder, WITH_PROCESSES) and not _is_in(folder, WITHOUT_PROCESSES)


def _is_in(folder: str, folders: tuple[str, ...]) -> bool:
    return folder.startswith(tuple(f"{name}/" for name in folders))


def _asks_for_processes(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and not {
        "nothing_is_left_behind",
        "start_method",
    }.isdisjoint(item.fixturenames)


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("this test starts a process: mark it with `processes` (see tests/conftest.py)")
