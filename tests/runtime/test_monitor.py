"""A run is seen from outside by those who have its token, and by nobody once it has ended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from itertools import chain, count
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from conveyor import Pipeline, Processor, Progress, context
from conveyor.errors import LifecycleError
from conveyor.monitor.snapshot import Failure, Snapshot
from conveyor.monitor.status import Status
from conveyor.runtime.monitor.address import Address, address_of
from conveyor.runtime.monitor.requests import PATIENCE_S
from conveyor.runtime.monitor.server import CLIENTS, MonitorServer
from tests.helpers import HANGS_S, ROOT
from tests.jobs import double

HERE = "127.0.0.1:0"


@pytest.fixture
def url(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """The address of the monitor that was opened last, as it is logged."""
    caplog.set_level(logging.INFO, "conveyor")

    def newest() -> str:
        said = [record.getMessage() for record in caplog.records if record.name == "conveyor"]
        return [text.split()[-1] for text in said if "monitor" in text][-1]

    return newest


def events_of(url: str) -> Iterator[tuple[str, str]]:
    """The events of a run, kind and data, to the end of the connection."""
    with urlopen(url.replace("/?", "/events?"), timeout=HANGS_S) as lines:
        kind = "message"
        for line in lines:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                kind = value
            elif field == "data":
                yield kind, value
                kind = "message"


class Watcher:
    """Somebody who looks at a run from its first item on."""

    def __init__(self, url: Callable[[], str]) -> None:
        self.url = url
        self.seen: list[Status] = []
        self.kinds: list[str] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        for kind, data in events_of(self.url()):
            self.kinds.append(kind)
            if kind == "message":
                self.seen.append(json.loads(data))
        self.over.set()

    def items(self, enough: int = 3) -> Iterator[int]:
        """Items until so many statuses were seen, some 100 a second."""
        self.thread.start()
        for number in count():
            if len(self.seen) >= enough:
                return
            yield number
            self.over.wait(0.01)

    def last(self) -> Status:
        self.thread.join(HANGS_S)
        assert self.kinds[-1] == "end"
        return self.seen[-1]


def is_gone(url: str) -> bool:
    try:
        urlopen(url, timeout=HANGS_S).close()
    except HTTPError:
        return False
    except (URLError, ConnectionError):
        return True
    return False


def failing(item: int) -> int:
    if item == 5:
        raise ValueError("no fives")
    return item


def dying(item: int) -> int:
    if item == 6 and context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_run_is_seen_while_it_goes_on_and_to_its_end(url: Callable[[], str]) -> None:
    watcher = Watcher(url)
    pl = Pipeline[int]().add(Processor(double)).add(Processor(str))
    results = pl.run(watcher.items(), monitor=HERE)
    last = watcher.last()

    done = [status["done"] for status in watcher.seen]
    assert done == sorted(done)
    assert last["done"] == len(results)
    assert last["ended"] == "done"
    assert [status["ended"] for status in watcher.seen[:-1]] == [None] * (len(done) - 1)
    assert [(s["name"], s["items_in"]) for s in last["stages"]] == [
        ("double", len(results)),
        ("str", len(results)),
    ]
    report = results.report.stages
    assert [(w["stages"], w["pid"]) for w in last["workers"]] == [
        (["double"], report["double"].pid),
        (["str"], report["str"].pid),
    ]
    assert all((worker["memory"] or 0) > 1 << 20 for worker in last["workers"])
    assert [channel["capacity"] for channel in last["channels"]] == [16384] * 3
    assert is_gone(url())


def test_stages_that_share_a_worker_are_seen_apart(
    url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.runtime.parent.local_crew.usable_cores", lambda: [0])
    watcher = Watcher(url)
    pl = Pipeline[int]().add(Processor(double)).add(Processor(abs))
    assert len(pl.topology.channels) == 3
    pl.run(watcher.items(), monitor=HERE)
    last = watcher.last()

    assert [worker["stages"] for worker in last["workers"]] == [["double", "abs"]]
    assert [stage["state"] for stage in last["stages"]] == ["done", "done"]
    assert len(last["channels"]) == 3


def test_what_goes_wrong_is_seen(url: Callable[[], str]) -> None:
    watcher = Watcher(url)
    pl = (
        Pipeline[int]()
        .add(Processor(failing, on_error="dead_letter"))
        .add(Processor(dying, name="dies"))
    )
    more = (number + 100 for number in watcher.items())
    pl.run(chain([5], [1, 6, 2], more), monitor=HERE)
    last = watcher.last()

    said = {(failure["stage"], failure["text"].split(" (")[0]) for failure in last["failures"]}
    assert ("failing", "item 0 is a dead letter: ValueError: no fives") in said
    (killed,) = [text for stage, text in said if stage == "dies"]
    assert killed.endswith("was killed by SIGKILL")
    assert [stage["restarts"] for stage in last["stages"]] == [0, 1]
    assert last["stages"][0]["dead_lettered"] == 1


def test_a_run_that_fails_says_why_and_is_gone(url: Callable[[], str]) -> None:
    watcher = Watcher(url)
    numbers = (number if len(watcher.seen) >= 2 else 0 for number in watcher.items(100))
    with pytest.raises(ValueError, match="no fives"):
        Pipeline[int]().add(Processor(failing)).run(
            (5 if number else 0 for number in numbers), monitor=HERE
        )
    last = watcher.last()

    assert last["ended"] == "failed"
    assert last["failures"][-1]["text"] == "the run has failed: ValueError: no fives"
    assert is_gone(url())


def test_a_run_that_fails_while_its_source_blocks_is_gone(url: Callable[[], str]) -> None:
    def items() -> Iterator[int]:
        yield 5
        threading.Event().wait(HANGS_S)  # until the failure interrupts it

    told: list[bool] = []
    with pytest.raises(ValueError, match="no fives"):
        Pipeline[int]().add(Processor(failing)).run(
            items(), monitor=HERE, progress=lambda progress: told.append(progress.finished)
        )
    assert told[-1:] == [True]
    assert is_gone(url())


def test_a_stream_has_the_address_and_is_gone_when_it_is_left(url: Callable[[], str]) -> None:
    with Pipeline[int]().add(Processor(double)).stream(count(), monitor=HERE) as stream:
        next(stream)
        assert stream.monitor_url == url()
        with urlopen(url(), timeout=HANGS_S) as answer:
            assert ">double</text>" in answer.read().decode()
    assert is_gone(url())


def test_without_a_monitor_there_is_no_address() -> None:
    with Pipeline[int]().add(Processor(double)).stream([1]) as stream:
        assert stream.monitor_url is None


def test_a_run_beside_an_event_loop_is_gone_when_it_is_cancelled(url: Callable[[], str]) -> None:
    async def cancelled() -> None:
        begun = threading.Event()

        def items() -> Iterator[int]:
            begun.set()
            yield from count()

        pl = Pipeline[int]().add(Processor(double))
        task = asyncio.create_task(pl.arun(items(), monitor=HERE))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert is_gone(url())


def test_an_asynchronous_stream_has_the_address(url: Callable[[], str]) -> None:
    async def address() -> tuple[str | None, str | None]:
        stream = Pipeline[int]().add(Processor(double)).astream(count(), monitor=HERE)
        before = stream.monitor_url
        async with stream:
            return before, stream.monitor_url

    assert asyncio.run(address()) == (None, url())
    assert is_gone(url())


def test_workers_that_are_kept_or_forked_do_not_keep_the_port(url: Callable[[], str]) -> None:
    with Pipeline[int](start_method="fork").add(Processor(double)) as pl:
        pl.run([1], monitor=HERE)
        first = url()
        assert is_gone(first)
        again = f"127.0.0.1:{urlsplit(first).port}"
        assert pl.run([2], monitor=again) == [4]
        assert url() != first  # another token
        assert is_gone(url())


def test_a_program_that_is_killed_takes_its_monitor_along() -> None:
    script = (
        "import sys\n"
        "from itertools import count\n"
        "from conveyor import Pipeline, Processor\n"
        "pl = Pipeline[int](start_method='fork').add(Processor(abs))\n"
        "with pl.stream(count(), monitor='127.0.0.1:0') as stream:\n"
        "    next(stream)\n"
        "    print(stream.monitor_url, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        events = events_of(url)
        assert next(events)[0] == "message"
        program.kill()
        assert "end" not in [kind for kind, _ in events]  # the connection just breaks off
    assert is_gone(url)


# ---------------------------------------------------------------------------
# who may look, and what they may do


@pytest.fixture
def server() -> Iterator[MonitorServer]:
    """A monitor without a run."""
    server = MonitorServer(address_of(HERE))
    server.open()
    server.draw(Pipeline[int]().add(Processor(double)).topology.figure, 2)
    yield server
    server.close()


def answer_to(server: MonitorServer, method: str, path: str) -> HTTPResponse:
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=HANGS_S)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        return answer


@pytest.mark.parametrize("path", ["/", "/events", "/nothing"])
@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%C3%A4", "?tokem=x"])
def test_without_the_token_there_is_nothing_to_see(
    server: MonitorServer, path: str, token: str
) -> None:
    assert answer_to(server, "GET", path + token).status == 403


def test_what_is_no_address_at_all_is_refused(server: MonitorServer) -> None:
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname or "", at.port or 0), HANGS_S) as client:
        client.sendall(b"GET http://[ HTTP/1.0\r\n\r\n")
        assert b" 400 " in client.makefile("rb").readline()


def test_with_the_token_there_is_one_page(server: MonitorServer) -> None:
    query = urlsplit(server.url).query
    assert answer_to(server, "GET", f"/?{query}").status == 200
    assert answer_to(server, "GET", f"/nothing?{query}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_nothing_can_be_changed(server: MonitorServer, method: str) -> None:
    assert answer_to(server, method, f"/?{urlsplit(server.url).query}").status == 405


def test_a_browser_keeps_nothing_and_tells_no_other_site(server: MonitorServer) -> None:
    headers = answer_to(server, "GET", f"/?{urlsplit(server.url).query}").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'nonce-")


def test_tokens_differ() -> None:
    tokens = {MonitorServer(address_of(HERE)).served.token for _ in range(3)}
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 20


# ---------------------------------------------------------------------------
# addresses


@pytest.mark.parametrize(
    "wrong", ["", "here", "127.0.0.1", "127.0.0.1:http", ":70000", "::1:0", "a b:0", ":²"]
)
def test_what_is_no_address_is_refused_before_anything_starts(wrong: str) -> None:
    with pytest.raises(ValueError, match="monitor"):
        Pipeline[int]().add(Processor(double)).run(no_items(), monitor=wrong)


def no_items() -> Iterator[int]:
    raise AssertionError("the run has begun")
    yield


@pytest.mark.parametrize("wrong", [True, 8080, b"127.0.0.1:0"])
def test_what_is_no_text_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="monitor is an address such as"):
        Pipeline[int]().add(Processor(double)).run(no_items(), monitor=wrong)  # type: ignore[arg-type]  # on purpose


def test_this_machine_alone_is_meant_where_no_host_is_named() -> None:
    assert address_of(":80") == Address("127.0.0.1", 80)


def test_a_port_in_use_is_an_error_before_anything_starts_and_keeps_warm_workers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        with Pipeline[int]().add(Processor(pid)) as pl:
            (before,) = pl.run([1])
            with pytest.raises(OSError, match=f"the monitor cannot listen at {here}: Address"):
                pl.run(no_items(), monitor=here)
            assert pl.run([1]) == [before]


def pid(item: int) -> int:
    return os.getpid()


def test_another_run_under_way_is_told_before_the_monitor_is_opened() -> None:
    pl = Pipeline[int]().add(Processor(double))
    with pl.stream(count(), monitor=HERE) as stream:
        here = urlsplit(stream.monitor_url or "").netloc
        with pytest.raises(LifecycleError):
            pl.run([1], monitor=here)


def test_the_address_is_printed_where_there_is_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: Callable[[], str]
) -> None:
    pl = Pipeline[int]().add(Processor(double))
    with pl:
        pl.run([1], monitor=HERE)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        pl.run([1], monitor=HERE)
    assert capsys.readouterr().err == f"conveyor: watch the run at {url()}\n"


# ---------------------------------------------------------------------------
# bad clients


def test_clients_that_say_or_take_nothing_and_too_many_of_them_hold_nobody_up(
    url: Callable[[], str],
) -> None:
    silent: list[socket.socket] = []

    def items() -> Iterator[int]:
        at = urlsplit(url())
        for number in range(CLIENTS + 8):
            client = socket.create_connection((at.hostname, at.port), timeout=HANGS_S)
            silent.append(client)
            if number % 2:
                client.sendall(f"GET /events?{at.query} HTTP/1.0\r\n\r\n".encode())
            yield number
        refused = [client.recv(12) for client in silent[CLIENTS:]]
        assert set(refused) == {b"HTTP/1.0 503"}

    results = Pipeline[int]().add(Processor(double)).run(items(), monitor=HERE)
    assert results == [2 * number for number in range(CLIENTS + 8)]
    for client in silent:
        client.close()
    assert is_gone(url())


def test_a_client_that_is_silent_is_let_go_in_the_end(
    server: MonitorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.runtime.monitor.requests.Answer.timeout", PATIENCE_S / 100)
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname, at.port), timeout=HANGS_S) as client:
        assert client.recv(1) == b""  # it is closed, though nothing was asked
    assert answer_to(server, "GET", f"/?{at.query}").status == 200


def test_a_client_that_takes_nothing_is_dropped(
    server: MonitorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.runtime.monitor.requests.Answer.timeout", PATIENCE_S / 100)
    text = "x" * (1 << 20)  # fills what a connection holds
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname, at.port), timeout=HANGS_S) as client:
        client.sendall(f"GET /events?{at.query} HTTP/1.0\r\n\r\n".encode())
        assert client.recv(1)
        while server.board.readers:
            failure = Failure(0.0, "", text)
            server.show(Snapshot(Progress(0.0, None, 0, 0.0, None), failures=(failure,)))
