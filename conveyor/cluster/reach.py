"""Whether a machine of a cluster is still there.

Knows: the address of Ray's own server on it.  Must never know: what runs there.

Rule 1.  Ray takes 12 s and more to say that a machine is gone.  One on which nothing listens any
         more is gone at once, one that cannot be reached after some seconds.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import Final

__all__ = ["Reach"]

EVERY_S: Final = 2.0
PROBE_S: Final = 1.0
GONE_S: Final = 6.0


class Reach:
    """The way to one machine.

    >>> server = socket.create_server(("127.0.0.1", 0))
    >>> reach = Reach(*server.getsockname())
    >>> reach.look()
    >>> server.close()
    >>> reach.look()
    Traceback (most recent call last):
    ConnectionError: nothing of Ray runs there any more
    """

    def __init__(self, host: str, port: int) -> None:
        self.address = host, port
        self.last = monotonic()  # when it was there
        self.next = self.last + EVERY_S

    def look_now_and_then(self) -> None:
        """Looks, unless it has just done so; the machine was heard."""
        self.last = monotonic()
        if self.last >= self.next:
            self.look()

    def look(self) -> None:
        """Raises `ConnectionError` if it is gone."""
        try:
            socket.create_connection(self.address, PROBE_S).close()
            self.last = monotonic()
        except ConnectionRefusedError as error:
            raise ConnectionError("nothing of Ray runs there any more") from error
        except OSError as error:
            if monotonic() - self.last > GONE_S:
                raise ConnectionError(f"it cannot be reached: {error}") from error
        self.next = monotonic() + EVERY_S
