"""`conveyor top` shows a run in a terminal, and ends with it."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from conveyor.cli import top
from conveyor.cli.events import News, events_of
from conveyor.cli.main import main
from conveyor.cli.status_text import heading
from conveyor.cli.top_table import RichScreen
from conveyor.monitor.snapshot import Activity, Failure, How, Snapshot, WorkerSeen
from conveyor.progress import progress_of
from conveyor.report import Report, StageReport
from conveyor.runtime.monitor.address import address_of
from conveyor.runtime.monitor.server import MonitorServer
from tests.helpers import HANGS_S


def snapshot(done: int, ended: How | None = None) -> Snapshot:
    stage = StageReport("parse", "Processor", done, done, done, busy_s=1.5, restarts=2)
    progress = progress_of(Report({"parse": stage}, 2.0), {"parse": 7}, 4000, done, 1.0)
    return Snapshot(
        progress,
        {"parse": Activity.WORKING},
        workers=(WorkerSeen(("parse",), None, (3,), Activity.WORKING, 2),),
        failures=(Failure(1.25, "parse", "worker 71 was killed"),),
        ended=ended,
    )


class Run:
    """A monitor whose run goes on once somebody has seen where it is."""

    def __init__(self, server: MonitorServer) -> None:
        self.server = server
        self.begins = server.board.begin_reading
        server.board.begin_reading = self.seen  # type: ignore[method-assign]  # to know of it
        self.how = How.DONE
        self.has_client = threading.Event()
        self.thread = threading.Thread(target=self.goes_on)

    def seen(self) -> None:
        self.begins()
        self.has_client.set()

    def goes_on(self) -> None:
        assert self.has_client.wait(HANGS_S)
        self.server.show(snapshot(4000, self.how))
        self.server.close()

    def address(self, how: How = How.DONE) -> str:
        """That of a run which ends so."""
        self.how = how
        self.server.show(snapshot(1000))
        self.thread.start()
        return self.server.url


@pytest.fixture
def run() -> Iterator[Run]:
    server = MonitorServer(address_of("127.0.0.1:0"))
    server.open()
    yield Run(server)
    server.close()


@pytest.mark.parametrize(("how", "code"), [(How.DONE, 0), (How.STOPPED, 0), (How.FAILED, 1)])
def test_it_ends_with_the_run_and_says_by_its_exit_code_how_that_was(
    run: Run, how: How, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", run.address(how)]) == code

    shown = capsys.readouterr().out
    assert f"{how.value}, 4,000 of 4,000 done" in shown
    assert "parse" in shown
    assert "1.2 s  parse: worker 71 was killed" in shown
    assert "2 restarts" in shown


def test_every_status_is_a_document_of_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", run.address(), "--json"]) == 0

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[-1]["ended"] == "done"
    assert told[-1]["stages"][0]["items_in"] == 4000


def test_an_address_may_be_without_its_scheme(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", run.address().removeprefix("http://")]) == 0


def test_a_terminal_shows_the_newest_in_place_of_what_was_before(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(top, "find_spec", not_found)  # rich is not installed
    assert main(["top", run.address()]) == 0
    assert "\x1b[H\x1b[Jdone, 4,000" in capsys.readouterr().out


def not_found(name: str) -> None:
    """What `find_spec` says of what is not installed."""


def test_rich_draws_tables_on_a_terminal(run: Run) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    top.shown(events_of(run.address()), RichScreen(console))

    file = console.file
    assert isinstance(file, io.StringIO)
    shown = file.getvalue()
    assert "done, 4,000 of 4,000 done" in shown
    assert "━" * 16 in shown
    assert "1.2 s  parse: worker 71 was killed" in shown


def test_it_says_when_there_is_no_news() -> None:
    assert "no news for 4 s" in heading(quiet(4.0))


def quiet(seconds: float) -> News:
    from conveyor.monitor.status import status_of

    return News(status_of(None, snapshot(5), {}), seconds)


@pytest.mark.parametrize(
    "wrong", ["", "there", "127.0.0.1", "https://127.0.0.1:1/", "http://127.0.0.1:99999/", "[:1"]
)
def test_what_is_no_address_is_a_wrong_call(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_monitor_that_is_not_there_cannot_be_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"http://127.0.0.1:{free_port()}/?token=x"
    assert main(["top", address]) == 3
    assert f"conveyor: there is no monitor at {address}" in capsys.readouterr().err


def test_a_wrong_token_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", f"{run.server.url}x"]) == 3
    assert "Forbidden: the address needs the token" in capsys.readouterr().err


def answers(text: bytes) -> str:
    """The address of a server that says this to its first client, and goes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            client.recv(1 << 16)
            client.sendall(text)

    threading.Thread(target=serve).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/?token=x"


@pytest.mark.parametrize("answer", [b"", b"what?\r\n"])
def test_another_server_is_no_monitor(answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", answers(answer)]) == 3


def test_a_connection_that_breaks_off_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", answers(b"HTTP/1.0 200 OK\r\n\r\nevent: quiet\n")]) == 1
    assert "the program may be gone" in capsys.readouterr().err
