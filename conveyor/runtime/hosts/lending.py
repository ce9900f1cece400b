"""How a host on the program's own machine gets the program's memory, in place of one that mirrors
it.

Knows: descriptors, and the socket over which they are lent.  Must never know: what is in the
memory.

Rule 1.  The socket is in a directory that only this user can enter, and is gone as soon as the
         hosts have begun.
Rule 2.  A side that is gone is noticed by the other: what waits on a socket sees its end.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from conveyor.runtime.mirror.mirror import PROGRAM
from conveyor.runtime.parent.shared import Lent, Shared
from conveyor.runtime.shm.wakeup import Wakeup

__all__ = ["borrowed", "lending", "memories"]

AT_ONCE: Final = 128  # descriptors; Linux lets 253 go at a time
LONGEST: Final = 100  # bytes of the address of a socket; macOS allows 104


def memories(homes: Mapping[int, int], near: int | None) -> dict[int, int]:
    """The machine whose memory each node has: its own, but the program's on the machine `near`.

    >>> memories({0: 0, 1: 1, 2: 2}, near=1)
    {0: 0, 1: 0, 2: 2}
    """
    return {node: PROGRAM if home == near else home for node, home in homes.items()}


@contextmanager
def lending(shared: Shared) -> Generator[str]:
    """Lends out the memory of a pipeline and its wakeups: gives the address for `borrowed`."""
    folder = tempfile.mkdtemp(prefix="conveyor-")
    try:
        if len(os.fsencode(address := os.path.join(folder, "memory"))) > LONGEST:
            shutil.rmtree(folder)
            folder = tempfile.mkdtemp(prefix="conveyor-", dir="/tmp")
            address = os.path.join(folder, "memory")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(address)
            door.listen()
            lends = threading.Thread(target=lend, args=(door, shared), daemon=True)
            lends.start()
            try:
                yield address
            finally:
                with socket.socket(socket.AF_UNIX) as last:  # which wakes it
                    last.connect(address)
                    last.sendall(b"!")
                    lends.join()
    finally:
        shutil.rmtree(folder)


def lend(door: socket.socket, shared: Shared) -> None:
    """Gives the descriptors to each process that asks, until one says that it was the last."""
    fds = [shared.memory.fd]
    for node in sorted(shared.wakeups):
        wakeup = shared.wakeups[node]
        fds += [wakeup.read_fd, wakeup.write_fd][: Wakeup.DESCRIPTORS]
    while True:
        asks, _ = door.accept()
        with asks:
            if asks.recv(1) == b"!":
                return
            try:
                for at in range(0, len(fds), AT_ONCE):
                    socket.send_fds(asks, [b"."], fds[at : at + AT_ONCE])
            except OSError:
                continue  # it is gone, which is noticed where it was begun


def borrowed(address: str, nodes: int) -> Lent:
    """The descriptors of a pipeline of so many nodes.

    Raises `OSError` if the program cannot be reached, or is gone.
    """
    fds: list[int] = []
    with socket.socket(socket.AF_UNIX) as asks:
        asks.connect(address)
        asks.sendall(b"?")
        while len(fds) < 1 + Wakeup.DESCRIPTORS * nodes:
            said, some, _, _ = socket.recv_fds(asks, 1, AT_ONCE)
            if not said:
                raise ConnectionError("the program is gone, and with it the memory of its channels")
            fds += some
    for fd in fds:
        os.set_inheritable(fd, False)
    memory, *others = fds
    pairs = [
        others[at : at + Wakeup.DESCRIPTORS] for at in range(0, len(others), Wakeup.DESCRIPTORS)
    ]
    return Lent(memory, {node: (pair[0], pair[-1]) for node, pair in enumerate(pairs)})
