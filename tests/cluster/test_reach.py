"""When a machine is taken to be gone, by a clock that the test sets."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from typing import Any

import pytest

from conveyor.cluster import reach
from conveyor.cluster.reach import EVERY_S, GONE_S, Reach


class Line:
    """What a connection meets, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.error: OSError | None = None
        self.tried = 0
        monkeypatch.setattr(reach, "monotonic", lambda: self.now)
        monkeypatch.setattr(socket, "create_connection", self.connect)

    def connect(self, address: tuple[str, int], timeout: float) -> Any:
        self.tried += 1
        if self.error is not None:
            raise self.error
        made: Any = nullcontext()
        made.close = lambda: None
        return made


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def test_a_machine_that_cannot_be_reached_is_gone_only_after_a_while(line: Line) -> None:
    way = Reach("10.0.0.7", 7)
    line.error = OSError("no route")
    line.now += GONE_S
    way.look()
    line.now += 0.1
    with pytest.raises(ConnectionError, match="it cannot be reached: no route"):
        way.look()


def test_one_that_was_heard_or_reached_meanwhile_is_not(line: Line) -> None:
    way = Reach("10.0.0.7", 7)
    line.now += GONE_S
    way.look_now_and_then()  # it was heard
    line.now += GONE_S
    way.look()  # it was reached
    line.error = OSError("no route")
    line.now += GONE_S
    way.look()
    line.error = None
    way.look()


def test_one_on_which_nothing_listens_is_gone_at_once_and_is_asked_now_and_then(line: Line) -> None:
    way = Reach("10.0.0.7", 7)
    for _ in range(10):
        way.look_now_and_then()
    assert line.tried == 0
    line.error = ConnectionRefusedError("refused")
    line.now += EVERY_S
    with pytest.raises(ConnectionError, match="nothing of Ray runs there any more"):
        way.look_now_and_then()
