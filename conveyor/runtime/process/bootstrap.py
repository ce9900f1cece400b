"""What a new worker process does first, however it was started.

This file knows how orders travel, and what a process must be told so that jobs may use
multiprocessing in it.  It must never know pipelines.

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
from conveyor.runtime.process.forked_children import is_a_worker

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
"""The numbers of descriptors that travel beside an order: in the parent -> in the worker."""

Target: TypeAlias = Callable[[object, Descriptors], None]

LIFE: Final = cast("CodeType", multiprocessing.Process._bootstrap.__code__)  # type: ignore[attr-defined]  # none of its processes comes back from it

HEAD: Final = struct.Struct("=qq")  # how many descriptors and how many bytes come
CHUNK: Final = 200  # descriptors in one message; the system takes 253
CLOEXEC: Final[int] = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
READ_AT_ONCE: Final = 1 << 20


class Identity(NamedTuple):
    """What a worker is to multiprocessing, so that a job may use that as the program may.

    key: by which the processes of a program know one another, such as a manager and its clients;
    start_method: that the program has chosen for its own processes; tracker: the parent's
    descriptor of multiprocessing's resource tracker.
    """

    name: str
    parent: int
    key: bytes
    arguments: list[str]
    start_method: str | None
    tracker: int | None

    @classmethod
    def of_a_child(cls, name: str) -> Identity:
        """Makes the identity of a worker that this process is about to start."""
        chosen = multiprocessing.get_start_method(allow_none=True)
        key = bytes(multiprocessing.current_process().authkey)
        return cls(
            name=name,
            parent=os.getpid(),
            key=key,
            arguments=list(getattr(sys, "argv", ())),
            start_method=chosen,
            tracker=getattr(_tracker(), "_fd"),  # noqa: B009
        )


def _tracker() -> object:
    """Gives multiprocessing's resource tracker.

    A program has one.  Its other processes must be given its descriptor.
    """
    return resource_tracker._resource_tracker  # pyright: ignore[reportPrivateUsage]  # it has no public name


def fork(work: Callable[[], int]) -> int:
    """Forks a process that calls `work` and exits with what that returns; gives its pid."""
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
    identity: Identity, target: Target, order: object, descriptors: Descriptors, lifeline: int
) -> int:
    """Lives the life of one of multiprocessing's processes; gives its exit code.

    `lifeline` is readable when the parent is gone.
    """
    # A handler that does nothing, and not none: a program that a job starts would inherit that, and
    # outlive a Ctrl-C.
    signal.signal(signal.SIGINT, ignore)
    signal.siginterrupt(signal.SIGINT, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # it was born with interrupts blocked
    is_a_worker()
    process = multiprocessing.Process(target=target, args=(order, descriptors), name=identity.name)
    process.authkey = identity.key
    setattr(process, "_parent_pid", identity.parent)  # noqa: B010  # it may be the child of another process
    return cast("int", process._bootstrap(lifeline))  # type: ignore[attr-defined]  # as each of its start methods does


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Handles an interrupt by doing nothing: the program gets it, too, and ends its workers."""


def write_order(
    way: socket.socket,
    identity: Identity,
    lifeline: int,
    fds: list[int],
    target: Target,
    order: object,
) -> None:
    """Sends a new process what it is to do; does nothing if it is gone already."""
    fds = [*fds, *([identity.tracker] if identity.tracker is not None else [])]
    data = pickle.dumps(
        (tuple(identity), fds, lifeline, list(sys.path), pickle.dumps((target, order)))
    )
    try:
        way.sendall(HEAD.pack(len(fds), len(data)))
        for at in range(0, len(fds), CHUNK):
            socket.send_fds(way, [b"."], fds[at : at + CHUNK])
        way.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return  # its end will be noticed as that of any other


def read_order(way: socket.socket) -> int:
    """Reads what this process is to do, and does it; gives its exit code.

    Raises `EOFError` if the parent is gone.
    """
    count, size = HEAD.unpack(_exactly(way, HEAD.size))
    received: list[int] = []
    while len(received) < count:
        _, fds, _, _ = socket.recv_fds(way, 1, CHUNK, CLOEXEC)
        if not fds:
            raise EOFError("the parent is gone")
        received += fds
    for fd in received:
        os.set_inheritable(fd, False)
    fields, fds, lifeline, path, work = pickle.loads(_exactly(way, size))
    descriptors = dict(zip(fds, received, strict=True))
    identity = Identity(*fields)
    sys.path[:] = path
    sys.argv = identity.arguments
    if identity.start_method is not None:
        multiprocessing.set_start_method(identity.start_method, force=True)
    if identity.tracker is not None:
        setattr(_tracker(), "_fd", descriptors[identity.tracker])  # noqa: B010
    target, order = pickle.loads(work)
    return live(identity, target, order, descriptors, descriptors[lifeline])


def _exactly(way: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = way.recv(min(READ_AT_ONCE, size - len(data)))
        if not part:
            raise EOFError("the parent is gone")
        data += part
    return bytes(data)


def spawned(fd: int) -> int:
    """Lives the life of a new process, which reads from `fd` what to do; gives its exit code."""
    fill_standard()
    os.set_inheritable(fd, False)
    with socket.socket(fileno=fd) as way:  # closed at the end, which is how the parent learns of it
        try:
            return read_order(way)
        except EOFError:  # the parent is gone, or does not want it any more
            return 1
