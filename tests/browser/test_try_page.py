"""The page of the documentation where the simulator runs in the reader's browser.

The site loads Pyodide from a public network; here those requests are answered from the copy that
`make test-pyodide` installs, and any other that would leave this machine fails the test.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.helpers import ROOT

SITE = ROOT / "build" / "docs"
PYODIDE = ROOT / "tools" / "pyodide" / "node_modules" / "pyodide"
NETWORK = "https://cdn.jsdelivr.net/npm/pyodide@"
KINDS = {".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}
HANGS_MS = 240_000  # to start Python, on a busy machine

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A test's standard error is not for this."""


@pytest.fixture
def site(browser: object) -> Iterator[str]:
    """Where the site is served, once it is known that there is a browser to visit it."""
    assert (SITE / "try.html").exists(), "the site is not there: make docs"
    assert PYODIDE.exists(), "Pyodide is not there: make test-pyodide"
    handler = functools.partial(Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/try.html"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Any, site: str) -> Iterator[Any]:
    """The page, opened; what it asks of other machines and complains of is found out at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    strange: list[str] = []
    complaints: list[str] = []

    def answered(route: Any) -> None:
        url: str = route.request.url
        if not url.startswith(NETWORK):
            strange.append(url)
            route.abort()
            return
        path = PYODIDE / Path(urlsplit(url).path).name
        headers = {"Access-Control-Allow-Origin": "*"}
        kind = KINDS.get(path.suffix, "application/octet-stream")
        route.fulfill(body=path.read_bytes(), content_type=kind, headers=headers)

    home = urlsplit(site).netloc

    def is_elsewhere(url: str) -> bool:
        return urlsplit(url).netloc != home

    def fails(error: Any) -> None:
        complaints.append(str(error))

    context.route(is_elsewhere, answered)
    page = context.new_page()
    page.on("pageerror", fails)
    page.goto(site)
    yield page
    context.close()
    assert (strange, complaints) == ([], [])


def run(page: Any, program: str | None = None) -> str:
    """What is printed when a program is run: the one in the editor, or this."""
    if program is not None:
        page.locator("#try textarea").fill(program)
    page.get_by_role("button", name="Run", exact=True).click()
    done = page.locator(".try-status").filter(has_text="done in")
    done.wait_for(state="visible", timeout=HANGS_MS)
    return str(page.locator(".try-output").text_content())


def test_a_bug_of_ordering_is_found_and_drawn_in_the_browser(page: Any, pictures: Path) -> None:
    told = run(page)

    assert "the check returned False for [('tea', 2), ('tea', 1)]" in told
    names = page.locator("#try figcaption")
    assert names.all_text_contents() == ["wrong", "right"]
    lanes = page.frame_locator("#try iframe >> nth=0").locator("body")
    assert "clean#2" in lanes.inner_text()
    page.screenshot(path=pictures / "try.png", full_page=True)


def test_a_reader_edits_a_program_and_stops_one_that_has_no_end(page: Any, pictures: Path) -> None:
    assert run(page, "print(6 * 7)") == "42\n"
    told = run(page, "def f():\n    return 1 / 0\n\nf()")
    assert told.startswith('Traceback (most recent call last):\n  File "pipeline.py", line 4')
    assert told.endswith("ZeroDivisionError: division by zero\n")

    page.locator("#try textarea").fill("while True: pass")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".try-status").filter(has_text="running").wait_for(timeout=HANGS_MS)
    page.get_by_role("button", name="Stop").click()
    page.locator(".try-status").filter(has_text="stopped").wait_for(timeout=HANGS_MS)

    page.get_by_role("button", name="Try this one").nth(1).click()
    assert run(page).startswith("True 20\n")  # Python is started anew
    page.screenshot(path=pictures / "try-again.png", full_page=True)
