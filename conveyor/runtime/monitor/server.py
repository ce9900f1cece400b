"""Listens at an address, and serves what a run shows to those who have its token.

Knows: sockets and threads.  Must never know: what is shown.

Rule 1.  No client can hold up the run: each has a thread of its own, there are `CLIENTS` at most,
         and one that takes nothing for `PATIENCE_S` is dropped.
Rule 2.  The server lives as long as its run: it listens before any worker is started, and is gone
         when the run has ended, in processes that were forked meanwhile, too.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final

from conveyor.drawing.figure import Figure
from conveyor.monitor.snapshot import Snapshot
from conveyor.runtime.monitor.address import Address
from conveyor.runtime.monitor.board import Board
from conveyor.runtime.monitor.requests import PATIENCE_S, Served, answer

__all__ = ["MonitorServer"]

CLIENTS: Final = 32
LAST_WORD_S: Final = 0.25  # for clients to take the last status
A_MOMENT_S: Final = 0.05
WAITING_CLIENTS: Final = 16  # that the system keeps until they are accepted


class MonitorServer:
    """The monitor of one run."""

    url = ""  # until it is open

    def __init__(self, address: Address) -> None:
        self.address = address
        self.board = Board()
        self.served = Served(secrets.token_urlsafe(16), program(), os.getpid())
        self.clients: set[socket.socket] = set()
        self.open_in = 0  # the process in which it is open
        self.listener: socket.socket
        self.waker: socket.socket
        self.woken: socket.socket
        self.thread: threading.Thread

    # ---------------------------------------------------------------------------
    # for the run

    def open(self) -> None:
        """Begins to listen.  Raises `OSError` if it cannot do so at its address."""
        self.listener = listening(self.address)
        self.url = f"http://{shown(self.address, self.listener)}/?token={self.served.token}"
        self.waker, self.woken = socket.socketpair()
        self.open_in = os.getpid()
        _all.add(self)
        self.thread = threading.Thread(target=self.accept, name="conveyor monitor", daemon=True)
        self.thread.start()

    @property
    def is_watched(self) -> bool:
        """Is it worth while to show anything?"""
        return self.board.is_watched

    def draw(self, figure: Figure, channels: int) -> None:
        """Says which graph the page is to draw."""
        self.served.figure, self.served.channels = figure, channels
        self.served.has_begun.set()

    def show(self, snapshot: Snapshot) -> None:
        """Shows how the run goes now."""
        self.board.show(snapshot)

    def close(self) -> None:
        """Lets clients have the last word, for a moment, and is gone; does nothing the second
        time."""
        if self.open_in != os.getpid():
            return
        self.open_in = 0
        self.waker.send(b".")
        self.thread.join()
        self.served.has_begun.set()  # nobody needs to wait for it any more
        self.board.end()
        self.board.wait_for_readers(LAST_WORD_S)
        for client in [*self.clients]:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for end in (self.waker, self.woken):
            end.close()

    # ---------------------------------------------------------------------------
    # in its own threads

    def accept(self) -> None:
        """Takes clients, until the run ends."""
        with selectors.PollSelector() as selector, self.listener:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if not self.open_in:
                    break
                if self.listener in ready:
                    self.accept_one()
            # A worker that was forked may have a copy, which would go on listening.
            with suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)

    def accept_one(self) -> None:
        try:
            client, _ = self.listener.accept()
        except OSError:  # it has gone again, or there are no descriptors left
            sleep(A_MOMENT_S)  # or this would be tried without a pause until there are
            return
        client.settimeout(PATIENCE_S)
        if len(self.clients) >= CLIENTS:
            self.refuse(client)
            return
        self.clients.add(client)
        thread = threading.Thread(
            target=self.serve, args=(client,), name="conveyor monitor client", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no threads left
            self.let_go(client)

    def refuse(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.setblocking(False)
            client.send(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    def serve(self, client: socket.socket) -> None:
        try:
            with suppress(OSError):  # the client has gone, or is too slow
                answer(client, self.served, self.board)
        finally:
            self.let_go(client)

    def let_go(self, client: socket.socket) -> None:
        self.clients.discard(client)
        # The other side hears of it even if a process that was forked has a copy.
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()

    def forget(self) -> None:
        """In a process that was forked: it serves no one."""
        self.open_in = 0
        for end in (self.listener, self.waker, self.woken, *self.clients):
            end.close()


_all: weakref.WeakSet[MonitorServer] = weakref.WeakSet()


def _forget_all() -> None:
    for server in [*_all]:
        if server.open_in:
            server.forget()
    _all.clear()


os.register_at_fork(after_in_child=_forget_all)


def program() -> str:
    """What runs, by its script."""
    script = Path(sys.argv[0] if sys.argv else "")
    if script.name == "__main__.py":  # python -m package
        return script.resolve().parent.name
    return script.name if script.name not in ("", "-c") else "Python"


def listening(address: Address) -> socket.socket:
    """A socket that listens there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(WAITING_CLIENTS)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise OSError(
            error.errno, f"the monitor cannot listen at {address}: {error.strerror}"
        ) from error
    listener.setblocking(False)
    return listener


def shown(address: Address, listener: socket.socket) -> Address:
    """The address for a browser: the port that was taken, and a name where it is any of the
    machine's."""
    host = socket.gethostname() if address.host in ("0.0.0.0", "::") else address.host
    return Address(host, int(listener.getsockname()[1]))
