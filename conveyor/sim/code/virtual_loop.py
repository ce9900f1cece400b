"""Event loops whose time is virtual.

Knows: asyncio's own timers, locks, queues and tasks.  Must never know: a clock, or what goes on
outside of the process; whatever would wait for that is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from math import inf, nextafter
from typing import Final, NoReturn

from conveyor.errors import NotSimulated

__all__ = [
    "LONGEST_S",
    "SimulatedEventLoop",
    "VirtualLoop",
    "VirtualTime",
    "alone",
    "new_loop",
    "never_comes",
]

OUTSIDE: Final = """
    add_reader add_signal_handler add_writer connect_accepted_socket connect_read_pipe
    connect_write_pipe create_connection create_datagram_endpoint create_server
    create_unix_connection create_unix_server getaddrinfo getnameinfo run_in_executor sendfile
    sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall
    sock_sendfile sock_sendto start_tls subprocess_exec subprocess_shell
""".split()


def never_comes(stage: str) -> NotSimulated:
    return NotSimulated(
        f"stage {stage!r}: its job awaits what never comes in the simulator, where nothing happens "
        "outside of the job: a future that another thread is to set, or a lock that is never "
        "released"
    )


class Silence:
    """What an event loop asks for news: nothing comes from outside, so time passes."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[object]:
        if timeout is None:
            raise never_comes(self.stage)
        # However little: asyncio waits until a moment is past, and late in a long time what it adds
        # for that is lost in rounding
        self.now = max(self.now + timeout, nextafter(self.now, inf))
        return []

    def close(self) -> None:
        """Nothing is open."""


LONGEST_S: Final = 1e9  # beyond all else in a run


class VirtualTime:
    """What virtual event loops do for the jobs in their tasks.

    With `is_told` the time of an attempt runs out where that is said, and not by itself.
    """

    is_ending = False
    is_told = False

    def sleep(self, seconds: float) -> Awaitable[None]:
        return asyncio.sleep(seconds)

    def limit(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(LONGEST_S if self.is_told else seconds)


class VirtualLoop(VirtualTime):
    """Runs what async jobs of one worker give, one to its end before the next; the event loop is
    made by the first of them."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.loop: asyncio.BaseEventLoop | None = None

    def run(self, given: Awaitable[object]) -> object:
        """What comes of it.

        Raises `NotSimulated` if it awaits what is not simulated.
        """
        self.loop = self.loop or new_loop(self.stage)
        with alone():
            return self.loop.run_until_complete(given)

    def abandon(self) -> None:
        """Nothing goes on: what had still to be done was begun by jobs that are done."""


@contextmanager
def alone() -> Generator[None]:
    """No event loop runs here: not that of the program either, which may simulate in a task of its
    own."""
    around = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(around)


def new_loop(stage: str) -> asyncio.BaseEventLoop:
    """An event loop of asyncio's, with another clock, and no way out."""
    loop = SimulatedEventLoop()
    loop.begin(stage)
    return loop


class SimulatedEventLoop(asyncio.BaseEventLoop):
    """Asyncio's own, but for its time and what it waits for."""

    def begin(self, stage: str) -> None:
        self._selector = Silence(stage)
        for name in OUTSIDE:
            setattr(self, name, refusing(stage, name))

    def __del__(self) -> None:
        """Closes it; whoever had it may be gone already, if both went with a circle."""
        self.close()

    def time(self) -> float:
        return self._selector.now

    def _process_events(self, events: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing waits that another thread could wake."""


def refusing(stage: str, name: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **options: object) -> NoReturn:
        raise NotSimulated(
            f"stage {stage!r}: its job calls {name}() of the event loop, which reaches outside of "
            "the program; in the simulator it cannot. Hand the job its client, so that a test can "
            "hand it another one"
        )

    return refuse
