"""What a client may ask a monitor for: the page, and its events."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import Final
from urllib.parse import parse_qs, urlsplit

from conveyor.drawing.figure import Figure
from conveyor.monitor.page import page, policy
from conveyor.runtime.monitor.board import Board

__all__ = ["PATIENCE_S", "Served", "answer"]

PATIENCE_S: Final = 5.0
HEARTBEAT_S: Final = 2.0  # how often a client is told that there is no news


@dataclass(slots=True)
class Served:
    """What the server of one run serves, and to whom."""

    token: str
    program: str
    pid: int
    figure: Figure = field(default_factory=Figure)
    channels: int = 0
    has_begun: threading.Event = field(default_factory=threading.Event)  # with a graph to draw


def answer(client: socket.socket, served: Served, board: Board) -> None:
    """Answers the one request of a client.  Raises `OSError` if it goes, or takes too long."""
    Answer(client, served, board)


class Answer(BaseHTTPRequestHandler):
    """Of one connection, which has one request."""

    server_version = "Conveyor"
    sys_version = ""
    timeout = PATIENCE_S

    def __init__(self, client: socket.socket, served: Served, board: Board) -> None:
        self.served = served
        self.board = board
        # It asks the server for nothing, and the address is only for its log, which is silent.
        super().__init__(client, ("", 0), None)  # type: ignore[arg-type]  # see above

    def log_message(self, format: str, *args: object) -> None:
        """A run's standard error is not for this."""

    def do_GET(self) -> None:
        try:
            asked = urlsplit(self.path)
        except ValueError:
            self.refuse(HTTPStatus.BAD_REQUEST, "that is no address")
            return
        token = parse_qs(asked.query).get("token", [""])[-1]
        if not secrets.compare_digest(token.encode(), self.served.token.encode()):
            self.refuse(HTTPStatus.FORBIDDEN, "the address needs the token that the run has told")
        elif asked.path == "/":
            self.give_page()
        elif asked.path == "/events":
            self.give_events()
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "there is the page at /, and its /events")

    def __getattr__(self, name: str) -> object:
        """What may be asked besides is refused: a monitor is only looked at."""
        if name.startswith("do_"):
            return self.refuse_method
        raise AttributeError(name)

    def refuse_method(self) -> None:
        self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, "a monitor is only looked at")

    def refuse(self, status: HTTPStatus, why: str) -> None:
        self.give(status, "text/plain; charset=utf-8", f"{status.phrase}: {why}\n".encode())

    def give(self, status: HTTPStatus, kind: str, body: bytes, rule: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.common_headers(rule or "default-src 'none'")
        self.wfile.write(body)

    def common_headers(self, rule: str) -> None:
        self.send_header("Content-Security-Policy", rule)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def give_page(self) -> None:
        served, nonce = self.served, secrets.token_urlsafe(16)
        if not served.has_begun.wait(PATIENCE_S):
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the run has not begun yet")
            return
        title = f"{served.program}, process {served.pid}"
        body = page(served.figure, served.channels, title, nonce).encode()
        self.give(HTTPStatus.OK, "text/html; charset=utf-8", body, policy(nonce))

    def give_events(self) -> None:
        """Every status as an event, until the run is over."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.common_headers("default-src 'none'")
        self.board.begin_reading()
        try:
            seen, since = 0, monotonic()
            while True:
                news = self.board.wait(seen, HEARTBEAT_S)
                if news.number > seen:
                    seen, since = news.number, monotonic()
                    self.wfile.write(f"data: {news.document}\n\n".encode())
                if news.is_last:
                    self.wfile.write(b"event: end\ndata: {}\n\n")
                    return
                if (quiet := monotonic() - since) >= HEARTBEAT_S:
                    told = json.dumps({"seconds": round(quiet, 1)})
                    self.wfile.write(f"event: quiet\ndata: {told}\n\n".encode())
        finally:
            self.board.end_reading()
