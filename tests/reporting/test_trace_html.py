"""The picture of a run: a page that needs nothing else, with everything on it that the trace
has."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.reporting.trace import Event, EventKind, Trace
from conveyor.reporting.trace_html import picture
from conveyor.sim import Simulation

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('&')</script>\"]]>"


class Page(HTMLParser):
    """Which elements a page has, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def upper(text: str) -> str:
    return text.upper()


def branches() -> Pipeline[str, str]:
    return (
        Pipeline[str]()
        .add(ReplicatingFork(2))
        .add(BalancingFork(2, name="pool & <co>"), Pipe())
        .add(Processor(upper), Processor(upper), Pipe())
        .add(Join(3, name="merge"))
    )


def drawing(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])


def texts(page: str, tag: str) -> list[str]:
    return [
        element.text or ""
        for group in drawing(page).iter(f"{SVG}g")
        for element in group.iter(f"{SVG}{tag}")
    ]


def boxes(page: str) -> list[tuple[int, int]]:
    return [
        (int(rect.attrib["x"]), int(rect.attrib["y"]))
        for group in drawing(page).iter(f"{SVG}g")
        for rect in group.iter(f"{SVG}rect")
    ]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30),
        max_size=4,
    ),
    st.integers(0, 9),
)
def test_every_event_is_drawn_once_and_every_text_is_escaped(items: list[str], seed: int) -> None:
    simulation = branches().simulate([*items, HOSTILE], seed=seed)
    page = simulation.picture()
    told = texts(page, "title")
    assert len(told) == len(simulation.trace)
    for event, title in zip(simulation.trace, told, strict=True):
        assert title.startswith(f"{event.worker}: {event.what.value}, time {event.time}")
        assert all(shown in title for shown in (*event.items, *event.outputs, event.text))
    assert len(set(boxes(page))) == len(told), "no box covers another"
    assert "script" not in Page(page).seen
    assert not Page(page).open


def test_the_page_needs_nothing_else() -> None:
    page = branches().simulate(["a"]).picture()
    assert set(re.findall(r"https?://[^\"]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not {"link", "script", "img", "iframe"} & set(Page(page).seen)
    assert "url(" not in page
    assert "@import" not in page


def test_lanes_stand_in_the_order_of_the_pipeline() -> None:
    names = re.findall(r'class="name \w+"[^>]*><b>(.*?)</b>', branches().simulate(["a"]).picture())
    assert names == ["source", "pool &amp; &lt;co&gt;", "upper", "upper#2", "merge", "sink"]


@pytest.mark.parametrize(
    ("schedule", "kinds"),
    [
        ("cv1:", {"run", "decision"}),
        (
            "cv1:merge.0=2;!upper.0.emitted",
            {"run", "decision", "decision other", "death", "restart"},
        ),
    ],
)
def test_what_is_not_the_default_and_who_dies_is_marked(schedule: str, kinds: set[str]) -> None:
    page = branches().replay(["a", "b"], schedule).picture()
    assert {group.attrib["class"] for group in drawing(page).iter(f"{SVG}g")} == kinds


def test_a_failure_is_marked_and_an_event_without_a_lane_gets_one() -> None:
    trace = Trace(
        [
            Event(3, "upper", EventKind.FAILURE, text=HOSTILE),
            Event(4, "~stop", EventKind.DECISION, text="#0 takes 1, not 0"),
        ]
    )
    page = picture(trace, branches().topology, {})
    assert texts(page, "text") == ["! fails", "stop #0: 1"]
    assert HOSTILE in texts(page, "title")[0]
    assert re.findall(r'class="time"[^>]*>(\d+)<', page) == ["3", "4"]


class Nameless:
    def __repr__(self) -> str:
        raise ValueError("no name")


@pytest.mark.parametrize(
    ("item", "shown"),
    [(10**5000, "int whose repr raised ValueError"), (Nameless(), "Nameless whose repr raised")],
    ids=["a number with too many digits", "an object"],
)
def test_a_result_that_has_no_repr_is_a_page_too(item: object, shown: str) -> None:
    page = Pipeline[object]().add(Pipe()).simulate([1, item]).picture()

    assert f"[1, &lt;{shown}" in page


def test_a_run_without_an_event_is_a_page_too() -> None:
    simulation: Simulation[str] = branches().simulate([])
    assert not Page(simulation.picture()).open
