"""What a new worker process does first, however it was started.

Knows: what a process must be told to be one of multiprocessing's, and how orders travel.  Must
never know: pipelines.

Rule 1.  A worker never imports the program's main module, so no script needs a main guard.
Rule 2.  A process that is new reads its parent's import path before anything else that its parent
         wrote.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker, util
from types import CodeType, FrameType
from typing import Final, NamedTuple, TypeAlias, cast

from conveyor.runtime.descriptors import fill_standard
from conveyor.runtime.process.offspring import is_a_worker

__all__ = [
    "CLOEXEC",
    "LIFE",
    "Descriptors",
    "Identity",
    "Target",
    "fork",
    "ignore",
    "live",
    "read_order",
    "spawned",
    "write_order",
]

Descriptors: TypeAlias = dict[int, int]
"""What travels beside an order: the numbers that descriptors have in the parent -> those that they have in the worker."""

Target: TypeAlias = Callable[[object, Descriptors], None]

LIFE: Final = cast("CodeType", multiprocessing.Process._bootstrap.__code__)  # type: ignore[attr-defined]  # none of its processes comes back from it

HEAD: Final = struct.Struct("=qq")  # how many descriptors and how many bytes come
CHUNK: Final = 200  # descriptors in one message; the system takes 253
CLOEXEC: Final[int] = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
READ_AT_ONCE: Final = 1 << 20


class Identity(NamedTuple):
    """What a worker is to multiprocessing, so that a job may use that as the program may."""

    name: str
    parent: int
    key: bytes  # by which the processes of a program know one another, such as a manager and its clients
    arguments: list[str]
    start_method: str | None  # that the program has chosen for its own processes
    tracker: int | None  # the parent's descriptor of multiprocessing's resource tracker

    @classmethod
    def of_a_child(cls, name: str) -> Identity:
        """Of a worker that this process is about to start."""
        chosen = multiprocessing.get_start_method(allow_none=True)
        key = bytes(multiprocessing.current_process().authkey)
        return cls(
            name,
            os.getpid(),
            key,
            list(getattr(sys, "argv", ())),
            chosen,
            getattr(_tracker(), "_fd"),  # noqa: B009
        )


def _tracker() -> object:
    """multiprocessing's tracker of what has a name: one for a program; its other processes must be
    given its descriptor."""
    return resource_tracker._resource_tracker  # pyright: ignore[reportPrivateUsage]  # it has no public name


def fork(work: Callable[[], int]) -> int:
    """Forks a process that does `work`, whose result is its exit code, and then ends; gives its
    number."""
    util._flush_std_streams()  # type: ignore[attr-defined]  # else what is in them comes out of both
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        atexit._clear()  # pyright: ignore[reportPrivateUsage]  # what the program has registered is for its own end
        atexit.register(util._exit_function)  # type: ignore[attr-defined]  # as multiprocessing does
        code = work()
    finally:
        try:
            atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # as multiprocessing does
        finally:
            os._exit(code)


def live(
    who: Identity, target: Target, order: object, descriptors: Descriptors, lifeline: int
) -> int:
    """The life of a process as one of multiprocessing's; gives its exit code.  `lifeline` is ready
    when the parent is gone."""
    # A handler that does nothing, and not none: a program that a job starts would inherit that, and
    # outlive a Ctrl-C.
    signal.signal(signal.SIGINT, ignore)
    signal.siginterrupt(signal.SIGINT, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # it was born with interrupts blocked
    is_a_worker()
    process = multiprocessing.Process(target=target, args=(order, descriptors), name=who.name)
    process.authkey = who.key
    setattr(process, "_parent_pid", who.parent)  # noqa: B010  # it may be the child of another process
    return cast("int", process._bootstrap(lifeline))  # type: ignore[attr-defined]  # as each of its start methods does


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Of an interrupt, which is for the whole group: the program gets it, too, and ends its
    workers."""


def write_order(
    way: socket.socket, who: Identity, lifeline: int, fds: list[int], target: Target, order: object
) -> None:
    """Sends a new process what it is to do; nothing, if it is gone already."""
    fds = [*fds, *([who.tracker] if who.tracker is not None else [])]
    data = pickle.dumps((tuple(who), fds, lifeline, list(sys.path), pickle.dumps((target, order))))
    try:
        way.sendall(HEAD.pack(len(fds), len(data)))
        for at in range(0, len(fds), CHUNK):
            socket.send_fds(way, [b"."], fds[at : at + CHUNK])
        way.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return  # its end will be noticed as that of any other


def read_order(way: socket.socket) -> int:
    """Reads what this process is to do, and does it; gives its exit code.  Raises `EOFError` if
    there is no parent."""
    count, size = HEAD.unpack(_exactly(way, HEAD.size))
    received: list[int] = []
    while len(received) < count:
        _, fds, _, _ = socket.recv_fds(way, 1, CHUNK, CLOEXEC)
        if not fds:
            raise EOFError("the parent is gone")
        received += fds
    for fd in received:
        os.set_inheritable(fd, False)
    identity, fds, lifeline, path, work = pickle.loads(_exactly(way, size))
    descriptors = dict(zip(fds, received, strict=True))
    who = Identity(*identity)
    sys.path[:] = path
    sys.argv = who.arguments
    if who.start_method is not None:
        multiprocessing.set_start_method(who.start_method, force=True)
    if who.tracker is not None:
        setattr(_tracker(), "_fd", descriptors[who.tracker])  # noqa: B010
    target, order = pickle.loads(work)
    return live(who, target, order, descriptors, descriptors[lifeline])


def _exactly(way: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = way.recv(min(READ_AT_ONCE, size - len(data)))
        if not part:
            raise EOFError("the parent is gone")
        data += part
    return bytes(data)


def spawned(fd: int) -> int:
    """What a process does that knows nothing; `fd` is its way from the parent.  Gives its exit
    code."""
    fill_standard()
    os.set_inheritable(fd, False)
    with socket.socket(
        fileno=fd
    ) as way:  # open until the end, which the parent may learn from that
        try:
            return read_order(way)
        except EOFError:  # the parent is gone, or does not want it any more
            return 1
