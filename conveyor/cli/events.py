"""What the monitor of a run sends, as its events come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from conveyor.cli.exits import FAILED, UNKNOWN, WRONG_CALL, CommandFailed
from conveyor.monitor.status import Status

__all__ = ["News", "events_of"]

SILENT_S: Final = 20.0  # a monitor says something every two seconds


class News(NamedTuple):
    """The newest status, None before the first; `quiet_s`: for so many seconds there was no other.

    `is_last`: the run is over.
    """

    status: Status | None
    quiet_s: float = 0.0
    is_last: bool = False


def events_of(address: str) -> Iterator[News]:
    """All news of a run to its end; `address` is what its monitor is seen at, with the token.

    Raises `CommandFailed`: with the exit code 2 for what is no address, 3 if there is no such
    monitor or the token is another one's, 1 if it breaks off.
    """
    host, port, query = parts_of(address)
    connection = HTTPConnection(host, port, timeout=SILENT_S)
    try:
        answer = asked(connection, query, address)
        news = News(None)
        for kind, data in messages(answer):
            if kind == "message":
                news = News(cast("Status", json.loads(data)))  # what the server writes
            elif kind == "quiet":
                news = news._replace(quiet_s=json.loads(data)["seconds"])
            elif kind == "end":
                yield news._replace(is_last=True)
                return
            yield news
        raise CommandFailed("the connection broke off: the program may be gone", FAILED)
    except (OSError, HTTPException) as error:
        text = "is silent" if isinstance(error, TimeoutError) else "is gone"
        raise CommandFailed(f"the monitor {text}: {error}", FAILED) from error
    finally:
        connection.close()


def parts_of(address: str) -> tuple[str, int, str]:
    """The host, the port, and what is asked for there."""
    example = "write the address that the run has told, http://HOST:PORT/?token=..."
    try:
        at = urlsplit(address if "//" in address else f"//{address}", scheme="http")
        host, port = at.hostname, at.port
    except ValueError as error:
        raise CommandFailed(f"{address!r}: {error}: {example}", WRONG_CALL) from error
    if at.scheme != "http" or not host or not port:
        raise CommandFailed(f"{address!r} is no address of a monitor: {example}", WRONG_CALL)
    return host, port, at.query


def asked(connection: HTTPConnection, query: str, address: str) -> HTTPResponse:
    """The answer of the monitor, whose events are still to be read."""
    try:
        connection.request("GET", f"/events?{query}")
        answer = connection.getresponse()
    except (OSError, HTTPException) as error:
        raise CommandFailed(f"there is no monitor at {address}: {error}", UNKNOWN) from error
    if answer.status != HTTPStatus.OK:
        said = answer.read().decode(errors="replace").strip() or answer.reason
        raise CommandFailed(f"{address}: {said}", UNKNOWN)
    return answer


def messages(lines: HTTPResponse) -> Iterator[tuple[str, str]]:
    """Server-sent events, each by its kind and its data, which is one line."""
    kind = "message"
    for line in lines:
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, value
            kind = "message"
