"""The page of a running pipeline, as a browser shows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conveyor import Join, Pipeline, Processor, ReplicatingFork
from tests.jobs import double

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

HANGS_MS = 60_000


def picky(number: int) -> int:
    if number == 5:
        raise ValueError("no fives")
    return number


class Visit:
    """A page that is looked at while a run goes on, and all that it asks for and complains of."""

    def __init__(self, browser: Any, scheme: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self.asks)
        self.page.on("console", self.complains)
        self.page.on("pageerror", self.fails)

    def asks(self, request: Any) -> None:
        self.asked.append(request.url)

    def complains(self, message: Any) -> None:
        self.complaints.append(message.text)

    def fails(self, error: Any) -> None:
        self.complaints.append(str(error))

    def shows(self, selector: str, text: str) -> None:
        """Waits until there is such an element with such a text."""
        found = self.page.locator(selector).filter(has_text=text).first
        found.wait_for(state="visible", timeout=HANGS_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_run_is_seen_from_its_beginning_to_its_end(
    browser: Any, pictures: Path, scheme: str
) -> None:
    visit, over = Visit(browser, scheme), threading.Event()

    def items() -> Iterator[int]:
        for number in range(1_000_000):
            if over.is_set():
                return
            yield number
            over.wait(0.01)

    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(double), Processor(picky, on_error="dead_letter"))
        .add(Join(2))
    )
    with pl.stream(items(), monitor="127.0.0.1:0") as stream:
        results = threading.Thread(target=lambda: [*stream])
        results.start()
        assert stream.monitor_url is not None
        visit.page.goto(stream.monitor_url)
        visit.shows("#state", "running")
        visit.shows("#stages td.name", "double")
        visit.shows("#stages td", "1 dead letter")
        visit.shows("#workers td.name", "picky")
        visit.shows("#failures li", "item 5 is a dead letter: ValueError: no fives")
        visit.shows(".cv-figure [data-state] text", "/s")
        before = visit.page.locator("#done").inner_text()
        visit.page.wait_for_function(
            "before => document.getElementById('done').textContent !== before", arg=before
        )
        visit.page.screenshot(path=pictures / f"monitor-{scheme}.png", full_page=True)
        over.set()
        visit.shows("#state", "done")
        results.join(HANGS_MS / 1000)
    visit.page.screenshot(path=pictures / f"monitor-{scheme}-end.png", full_page=True)

    home = urlsplit(stream.monitor_url).netloc
    assert {urlsplit(url).netloc for url in visit.asked if not url.startswith("data:")} == {home}
    assert visit.complaints == []


def test_a_program_that_goes_without_a_word_is_seen_to_be_gone(browser: Any) -> None:
    visit = Visit(browser, "light")
    stream = Pipeline[int]().add(Processor(double)).stream(iter(int, 1), monitor="127.0.0.1:0")
    with stream:
        next(stream)
        assert stream.monitor_url is not None
        visit.page.goto(stream.monitor_url)
        visit.shows("#state", "running")
        visit.shows("#state", "no news")  # nobody takes results
    visit.shows("#state", "stopped")
