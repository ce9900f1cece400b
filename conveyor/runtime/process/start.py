"""How worker processes are started.

This file knows the start methods.  It must never know pipelines.

Rule 1.  No name in the program's environment, and no descriptor that it can see, changes while a
         process is started.
Rule 2.  A process that is started is known to the caller, or ends by itself: it waits for its
         order, which then does not come.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing.spawn
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing import resource_tracker, util
from typing import Final, Literal, cast

from conveyor.errors import TopologyError
from conveyor.runtime.descriptors import file_of
from conveyor.runtime.process.bootstrap import Identity, Target, fork, live, write_order
from conveyor.runtime.process.deferral import Deferral, deliver
from conveyor.runtime.process.forkserver import NUMBER
from conveyor.runtime.process.handle import Handle, is_ready
from conveyor.runtime.process.preload import preload

__all__ = [
    "START_METHODS",
    "StartMethod",
    "checked_start_method",
    "environment",
    "start_process",
]

StartMethod = Literal["forkserver", "spawn", "fork"]
START_METHODS: Final[tuple[StartMethod, ...]] = ("forkserver", "spawn", "fork")

START_METHOD_VARIABLE: Final = "CONVEYOR_START_METHOD"
HASH_SEED: Final = "PYTHONHASHSEED"

ATTEMPTS: Final = 3  # to start a process, if the fork server is killed meanwhile
GLANCE_S: Final = 0.05
# What has the library in it, wherever the program has that from.
HERE: Final = os.path.dirname(next(iter(sys.modules["conveyor"].__path__)))


def checked_start_method(method: str | None) -> StartMethod:
    """Gives the start method that the program or the environment asks for.

    Raises `TopologyError` for another word.
    """
    chosen = method or os.environ.get(START_METHOD_VARIABLE) or "forkserver"
    for known in START_METHODS:
        if chosen == known:
            return known
    raise TopologyError(f"start method {chosen!r}: it must be one of {', '.join(START_METHODS)}")


def environment() -> dict[str, str]:
    """Copies the program's environment, whatever another thread does to it meanwhile."""
    return {name: value for name in list(os.environ) if (value := os.environ.get(name)) is not None}


class Server:
    """The fork server of this process, made anew when it is gone, or when what workers inherit from
    it has changed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: socket.socket | None = None
        self.file: object = None  # of `requests`, whose number may become another's
        self.pid = 0
        self.fits: object = None
        self.retired: list[int] = []
        os.register_at_fork(after_in_child=self.forget)

    def fork(self, way: socket.socket) -> None:
        """Asks for a process at the other end of `way`."""
        with self.lock:
            fits = inherited()
            if self.requests is None or self.fits != fits or not self.can_be_asked(self.requests):
                self.retire()
                ours, theirs = socket.socketpair()
                with ours, theirs:
                    code = (
                        "from conveyor.runtime.process.forkserver import serve; "
                        f"serve({theirs.fileno()}, {preload()!a})"
                    )
                    self.pid = interpreter(code, theirs.fileno(), stdin=subprocess.DEVNULL)
                    self.requests, self.fits = ours.dup(), fits
                    self.file = file_of(self.requests.fileno())
            try:
                socket.send_fds(self.requests, [b"."], [way.fileno()])
            except (BrokenPipeError, ConnectionResetError):
                self.retire()

    def retire(self) -> None:
        """Has no more to do with the server there is; it ends when its last worker has."""
        if self.requests is not None:
            self.close(self.requests)
            self.retired.append(self.pid)
        self.retired = [pid for pid in self.retired if not has_ended(pid)]

    def has_failed(self) -> None:
        """Called when the server did not answer: the next process comes from another one."""
        with self.lock:
            self.retire()

    def forget(self) -> None:
        """Forgets, in a forked process, the server, which is its parent's, and the lock, which a
        thread that is not here may hold."""
        self.lock = threading.Lock()
        self.retired = []
        if self.requests is not None:
            self.close(self.requests)

    def can_be_asked(self, requests: socket.socket) -> bool:
        return file_of(requests.fileno()) == self.file

    def close(self, requests: socket.socket) -> None:
        if self.can_be_asked(requests):
            requests.close()
        else:
            requests.detach()
        self.requests = None


server = Server()
seed = int.from_bytes(os.urandom(4))


def start_process(
    method: StartMethod, target: Target, order: object, fds: list[int], lifeline: int, name: str
) -> Handle:
    """Starts a process that calls `target(order, descriptors)`; these hold `fds` and `lifeline`.

    The process ends when all copies of the other end of `lifeline` are closed.  Raises `OSError` if
    the system has no room for it.
    """
    with Deferral():
        if method == "fork":
            return _forked(target, order, fds, lifeline, name)
        _track_names()
        identity = Identity.of_a_child(name)
        for _ in range(ATTEMPTS):
            handle = _spawned() if method == "spawn" else _served()
            if handle is not None:
                write_order(handle.way, identity, lifeline, [*fds, lifeline], target, order)
                return handle
        raise OSError(
            errno.ECHILD, "the fork server ended before it could start a process, several times"
        )


def _forked(target: Target, order: object, fds: list[int], lifeline: int, name: str) -> Handle:
    identity = Identity.of_a_child(name)
    ours, theirs = socket.socketpair()
    with theirs:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            pid = fork(
                lambda: live(identity, target, order, {fd: fd for fd in [*fds, lifeline]}, lifeline)
            )
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Handle(pid, ours, is_child=True)


def _spawned() -> Handle:
    ours, theirs = socket.socketpair()
    with theirs:
        fd = theirs.fileno()
        try:
            pid = interpreter(
                f"from conveyor.runtime.process.bootstrap import spawned; sys.exit(spawned({fd}))",
                fd,
            )
        except OSError:
            ours.close()
            raise
    return Handle(pid, ours, is_child=True)


def _served() -> Handle | None:
    """Has the fork server fork a process; None if the server was killed before it did."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            server.fork(theirs)
        while not is_ready(ours.fileno(), GLANCE_S):
            deliver()
        with contextlib.suppress(ConnectionResetError):
            if data := ours.recv(NUMBER.size):
                (pid,) = NUMBER.unpack(data)
                if pid < 0:
                    raise OSError(-pid, os.strerror(-pid))
                return Handle(pid, ours, is_child=False)
    except BaseException:
        ours.close()
        raise
    ours.close()
    server.has_failed()
    return None


def interpreter(code: str, fd: int, stdin: int | None = None) -> int:
    """Starts an interpreter like this one that runs `code`, with `fd` open; gives its process.

    It looks for modules where this one does: not in the working directory (-P), unless that is in
    the path.  Strings have the same hashes in all workers, also in one that takes the place of
    another.
    """
    executable = multiprocessing.spawn.get_executable()
    if not executable or getattr(sys, "frozen", False):
        raise OSError(
            errno.ENOEXEC,
            "this program has no interpreter of its own that could be started: choose "
            "start_method='fork', or name one by multiprocessing.set_executable()",
        )
    flags = cast("list[str]", util._args_from_interpreter_flags())  # type: ignore[attr-defined]  # as multiprocessing does
    start = f"import sys; sys.path[:] = {[*map(str, sys.path), HERE]!a}; {code}"
    # An interrupt of the whole group would end it while it starts, with a traceback of its own.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            [os.fsdecode(executable), *flags, "-P", "-c", start],
            env={HASH_SEED: str(seed)} | environment(),
            pass_fds=[fd],
            stdin=stdin,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # It is waited for here: else `subprocess` would do so, too, or warn that it is still there.
    process.returncode = 0
    return process.pid


class _Tracking:
    """Held while the resource tracker is started."""

    lock = threading.Lock()
    seen: tuple[int, object] | None = None  # the descriptor that leads to it, and of what that was

    @classmethod
    def renew(cls) -> None:
        """In a process that was forked: a thread that it has not got may hold its copy."""
        cls.lock = threading.Lock()

    @classmethod
    def leads_there(cls, fd: int) -> bool:
        """Is the descriptor, by which multiprocessing reaches it, still of what it was?"""
        found = file_of(fd)
        if cls.seen is None or cls.seen[0] != fd:  # multiprocessing has started it
            cls.seen = fd, found
        return found is not None and cls.seen == (fd, found)


os.register_at_fork(after_in_child=_Tracking.renew)


def _track_names() -> None:
    """Starts multiprocessing's resource tracker, if it is not running: what a job shares is to
    outlive its worker.

    multiprocessing would let it look for modules in the working directory.  Threads whose runs
    begin at the same moment start one together.
    """
    with _Tracking.lock:
        _start_tracker()


def _start_tracker() -> None:
    tracker: object = resource_tracker._resource_tracker  # pyright: ignore[reportPrivateUsage]  # it has no public name
    fd: int | None = getattr(tracker, "_fd", None)
    if fd is not None and _Tracking.leads_there(fd):
        resource_tracker.ensure_running()
        return
    read_end, write_end = os.pipe()
    try:
        pid = interpreter(
            f"from multiprocessing.resource_tracker import main; main({read_end})", read_end
        )
    except OSError:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    vars(tracker).update(_fd=write_end, _pid=pid)
    _Tracking.seen = write_end, file_of(write_end)


def inherited() -> object:
    """Gives all that a worker inherits from its fork server and cannot be given later.

    If it changes, another server is needed.
    """
    root = os.stat("/")
    rights = os.getuid(), os.geteuid(), os.getgid(), os.getegid(), tuple(os.getgroups())
    place = root.st_dev, root.st_ino, os.getsid(0), os.getpgrp()
    return (
        rights,
        place,
        os.getpriority(os.PRIO_PROCESS, 0),
        multiprocessing.spawn.get_executable(),
        preload(),
    )


def has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
