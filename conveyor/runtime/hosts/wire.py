"""What carries letters from one machine to the others.

This file knows what is asked of it.  It must never know what is in a letter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from conveyor.runtime.hosts.messages import Letter

__all__ = ["Deliver", "Network", "Wire"]

Deliver: TypeAlias = Callable[[int, Letter], None]
"""Takes a letter from the machine of this number; may be called in any thread, one at a time."""


class Wire(Protocol):
    """One machine's way to the others."""

    @property
    def gather_s(self) -> float:
        """How long to wait from one letter to the next to the same machine."""
        ...

    def is_ready(self, to: int) -> bool:
        """May another letter be sent to this machine now?  If not, `woken` is called later."""
        ...

    def send(self, to: int, letter: Letter) -> None:
        """Sends a letter, without waiting for its arrival."""
        ...


class Network(Protocol):
    """The machines of one deployment, as the program has them; machine 0 is its own."""

    def names(self) -> dict[int, str]:
        """What each of the others is called."""
        ...

    def connect(self, deliver: Deliver, woken: Callable[[], None]) -> Wire:
        """The program's own way to the others, which have begun by then; `deliver` gets what they
        send."""
        ...

    def lost(self) -> tuple[int, str] | None:
        """A machine that is gone, and what is known of it."""
        ...

    def close(self) -> None:
        """Ends the hosts, and with them their workers.  Does nothing the second time."""
        ...
