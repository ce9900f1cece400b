"""Where a monitor is to listen, as a program writes it."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["Address", "address_of"]

HIGHEST_PORT: Final = 65535


class Address(NamedTuple):
    """A host, and a port of it; 0: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address_of(text: object) -> Address:
    """What `monitor=` names; without a host it is this machine alone.

    Raises `TypeError` for what is no text, `ValueError` for what is no address.

    >>> address_of(":8080"), str(address_of("[::1]:0"))
    (Address(host='127.0.0.1', port=8080), '[::1]:0')
    """
    example = "an address such as '127.0.0.1:0'; the port 0 is any that is free"
    if not isinstance(text, str):
        raise TypeError(f"monitor is {example}; not {text!r}")
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"monitor is {example}; of version 6 '[::1]:0', not {text!r}")
    if not colon or not port.isascii() or not port.isdigit() or any(map(str.isspace, host)):
        raise ValueError(f"monitor is {example}; not {text!r}")
    if int(port) > HIGHEST_PORT:
        raise ValueError(f"monitor: {text!r}: the highest port is {HIGHEST_PORT}")
    return Address(host or "127.0.0.1", int(port))
