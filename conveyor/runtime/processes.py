"""How worker processes are started, and how they come to end with their parent.

Knows: multiprocessing's start methods.  Must never know: pipelines.

Rule 1.  A worker never imports the user's main module, so no script needs a main guard.
Rule 2.  A worker is killed by the system when its parent is gone, whatever it is doing: the parent alone holds the write end
         of a pipe, its *lifeline*, and the end of the last writer sends the reader's signal.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import multiprocessing.process
import multiprocessing.spawn
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from multiprocessing import reduction, resource_tracker, util
from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess as Process
from typing import Final, Literal, cast

from conveyor.errors import TopologyError

__all__ = [
    "START_METHODS",
    "Descriptors",
    "Handle",
    "StartMethod",
    "checked_start_method",
    "end_with_parent",
    "environment",
    "lifeline",
    "serve_forks",
    "start_process",
]

StartMethod = Literal["forkserver", "spawn", "fork"]
START_METHODS: Final[tuple[StartMethod, ...]] = ("forkserver", "spawn", "fork")

START_METHOD_VARIABLE: Final = "CONVEYOR_START_METHOD"

SAFE_PATH: Final = "PYTHONSAFEPATH"

# By the fork server, once for all workers: what each needs, and what comes with the module or the value of most jobs.
PRELOAD: Final = ("conveyor.runtime.preload", "conveyor.pipeline", "cloudpickle")

F_SETSIG: Final = 10  # Linux: which signal O_ASYNC sends


def checked_start_method(method: str | None) -> StartMethod:
    """The start method that was asked for, by the program or by the environment; raises `TopologyError` for another word."""
    chosen = method or os.environ.get(START_METHOD_VARIABLE) or "forkserver"
    for known in START_METHODS:
        if chosen == known:
            return known
    raise TopologyError(f"start method {chosen!r}: it must be one of {', '.join(START_METHODS)}")


class Descriptors(dict[int, int]):
    """File descriptors that travel to a worker by the start method's own means: the parent's number -> the worker's."""

    def __init__(self, fds: Iterable[int]) -> None:
        super().__init__((fd, fd) for fd in fds)

    def __reduce__(self) -> tuple[Callable[[list[tuple[int, object]]], Descriptors], tuple[list[tuple[int, object]]]]:
        return _received, ([(fd, reduction.DupFd(fd)) for fd in sorted(self)],)


def _received(duplicates: list[tuple[int, object]]) -> Descriptors:
    received = Descriptors(())
    for fd, duplicate in duplicates:
        detach: Callable[[], int] = getattr(duplicate, "detach")  # noqa: B009  # multiprocessing does not name the type
        received[fd] = detach()
    return received


_starting = threading.local()
_start_lock = threading.Lock()
_preparation_data: Callable[[str], dict[str, object]] = multiprocessing.spawn.get_preparation_data


def _without_main(name: str) -> dict[str, object]:
    """What a new process is told about its parent; for our workers, nothing of the main module."""
    data = _preparation_data(name)
    if getattr(_starting, "a_worker", False):
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data


# multiprocessing offers no other way to start a process that does not run the user's script again.
setattr(multiprocessing.spawn, "get_preparation_data", _without_main)  # noqa: B010  # not an assignment to a function


def environment() -> dict[str, str]:
    """The program's environment, without what is set in it for a moment while another thread starts a process."""
    with _start_lock:
        return dict(os.environ)


def _renew_locks() -> None:
    """In a process that was forked: it has a copy of the lock, which a thread that it has not got may hold."""
    global _start_lock
    _start_lock = threading.Lock()
    _starting.a_worker = False


os.register_at_fork(after_in_child=_renew_locks)


class Handle:
    """A process that was started: waited for, signalled and asked by what the system itself says of it.

    multiprocessing hears of the children of its fork server from that server, which may be killed; `fd` is ready when the
    process is gone, whoever its parent is.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.pid: int = process.pid or 0
        self.fd: int = process.sentinel
        self.is_own = False
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # it is gone already, or there is no descriptor: the sentinel tells its end, too
                self.fd = os.pidfd_open(self.pid)
                self.is_own = True

    def wait(self, seconds: float) -> bool:
        """Waits for its end; is it gone?"""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        gone = bool(poll.poll(seconds * 1000))
        if gone:
            self.process.join(REAP_S)
        return gone

    def exit_code(self) -> int | None:
        return self.process.exitcode

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.is_own and sys.platform == "linux":
                signal.pidfd_send_signal(self.fd, number)
            else:
                os.kill(self.pid, number)

    def close(self) -> None:
        """Gives back what the system keeps for it."""
        self.process.join(0)
        with contextlib.suppress(ValueError):  # it is still there, in a state in which no signal reaches it
            self.process.close()
        if self.is_own:
            os.close(self.fd)


REAP_S: Final = 0.3


def start_process(method: StartMethod, target: Callable[[object], None], order: object, name: str) -> Handle:
    """Starts `target(order)` in a process of its own."""
    process: Process = _context(method).Process(target=_run, args=(target, order), name=name, daemon=True)
    with _start_lock:
        before = os.environ.get(SAFE_PATH)
        os.environ[SAFE_PATH] = "1"  # else it finds modules in the working directory that its parent does not look for there
        _starting.a_worker = True
        if method != "fork":
            resource_tracker.ensure_running()  # which lets interrupts in again when it has just been started
        # An interrupt of the whole group would end an interpreter that is just starting, with a traceback of its own.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _starting.a_worker = False
            if before is None:
                del os.environ[SAFE_PATH]
            else:
                os.environ[SAFE_PATH] = before
    # Whoever starts a process next, in any thread, would else look after this one, and take its exit code.
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # there is no public way to opt out
    return Handle(process)


def serve_forks(anything: object) -> None:
    """Called in the fork server: its children take interrupts as ever once they are ready, but for workers.

    The server has them blocked if it was a worker that wanted it first, and so do its children at their birth.
    """
    util.register_after_fork(anything, _let_interrupts_in)


def _let_interrupts_in(_anything: object) -> None:
    if getattr(multiprocessing.current_process(), "_target", None) is not _run:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _run(target: Callable[[object], None], order: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it was born with it blocked
    # A daemon is ended by multiprocessing when the parent forgets to; but a job may have workers of its own.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # the public setter refuses
    target(order)


def _context(method: StartMethod) -> ForkContext | SpawnContext | ForkServerContext:
    if method == "fork":
        return multiprocessing.get_context("fork")
    if method == "spawn":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver  # with sockets and more: only the parent, and only for this method

    context = multiprocessing.get_context("forkserver")
    # The fork server, if it is not running yet, imports all this; and never the main module.
    server: object = getattr(forkserver, "_forkserver", None)  # what it preloads can be set, not asked
    wanted = cast("list[str]", getattr(server, "_preload_modules", []))
    context.set_forkserver_preload(list(dict.fromkeys([*filter("__main__".__ne__, wanted), *PRELOAD])))
    return context


class _Lifeline:
    """The pipe of this process; a forked child drops its copy of the write end."""

    def __init__(self) -> None:
        self.ends: tuple[int, int] | None = None
        os.register_at_fork(after_in_child=self.drop)

    def read_end(self) -> int:
        if self.ends is None:
            self.ends = os.pipe()
        return self.ends[0]

    def drop(self) -> None:
        if self.ends is not None:
            os.close(self.ends[1])
            self.ends = None


_lifeline = _Lifeline()


def lifeline() -> int:
    """The read end of this process's lifeline, for its workers."""
    return _lifeline.read_end()


def end_with_parent(fd: int) -> None:
    """Called in a worker: from now on it is killed as soon as nobody holds the other end of `fd` any more."""
    if sys.platform == "linux" and os.path.exists(f"/proc/self/fd/{fd}"):
        # A description of its own, since the owner of the signal is kept there and workers share what they inherit.
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
        poll = select.poll()
        poll.register(own, select.POLLHUP)
        if poll.poll(0):  # the parent was gone before the signal was asked for
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(fd,), name="conveyor-lifeline", daemon=True).start()


def _watch(fd: int) -> None:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGKILL)
