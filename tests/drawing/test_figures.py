"""A figure laid out and written down: what a reader must find in it, whatever the figure is."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from conveyor.drawing.figure import Arrow, Box, Figure, Shape
from conveyor.drawing.layout import laid_out
from conveyor.drawing.svg import placed, svg
from conveyor.drawing.text import dot, mermaid

# What a name must not be able to break out of: quotes, tags, brackets, comments, line ends.
NAMES = st.text(alphabet="ab \"'<>&#;%|{}[]()\\/\n-ä中", min_size=1, max_size=40)
SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    """Any figure without a circle."""
    names = draw(st.lists(NAMES, min_size=1, max_size=9))
    boxes = [Box(name, shape=draw(st.sampled_from(Shape))) for name in names]
    pairs = list(combinations(range(len(names)), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    return Figure(boxes, [Arrow(a, b, draw(st.sampled_from(["", "2", '"']))) for a, b in chosen])


@given(figures())
def test_every_arrow_goes_to_the_right_one_column_at_a_time(figure: Figure) -> None:
    layout = laid_out(figure)
    column = {number: at for at, numbers in enumerate(layout.columns) for number in numbers}

    assert sorted(column) == list(range(len(layout.levels)))
    for arrow, way in zip(figure.arrows, layout.ways, strict=True):
        assert (way[0], way[-1]) == (arrow.source, arrow.target)
        assert [column[number] for number in way] == list(
            range(column[arrow.source], column[arrow.target] + 1)
        )


@given(figures())
def test_no_box_covers_another(figure: Figure) -> None:
    places = placed(figure, laid_out(figure))[: len(figure.boxes)]

    for one, other in combinations(places, 2):
        assert (
            one.x + one.width < other.x
            or other.x + other.width < one.x
            or one.y + one.height < other.y
            or other.y + other.height < one.y
        )


@given(figures())
def test_a_picture_is_whole_by_itself_and_has_all_names_and_arrows(figure: Figure) -> None:
    text = svg(figure)
    root = ElementTree.fromstring(text)
    titles = [title.text for title in root.iter(f"{SVG}title")]
    arrows = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]

    assert titles == [box.name for box in figure.boxes]
    assert len(arrows) == len(figure.arrows)
    assert set(re.findall(r"\b(?:href|src|url)\b[=(][^)>]*", text)) <= {"url(#cv-head"}


@given(figures())
def test_graphviz_text_says_each_name_as_it_is(figure: Figure) -> None:
    boxes = re.findall(r'^    n(\d+) \[label="((?:[^"\\]|\\.)*)", shape=\w+\];$', dot(figure), re.M)
    arrows = re.findall(r"^    n(\d+) -> n(\d+)", dot(figure), re.M)

    said = [re.sub(r"\\(.)", r"\1", label) for _, label in boxes]
    assert said == [" ".join(box.name.split()) for box in figure.boxes]
    assert [(int(a), int(b)) for a, b in arrows] == [each[:2] for each in figure.arrows]


@given(figures())
def test_mermaid_text_says_each_name_as_it_is(figure: Figure) -> None:
    lines = mermaid(figure).splitlines()
    count = len(figure.boxes)
    boxes = [
        re.fullmatch(r'    n\d+(?:\(\[|\[|\{\{)"([^"]*)"(?:\]\)|\]|\}\})', line)
        for line in lines[1 : 1 + count]
    ]

    assert lines[0] == "flowchart LR"
    assert len(lines) == 1 + count + len(figure.arrows)
    said = [re.sub(r"#(\d+);", lambda sign: chr(int(sign[1])), box[1]) for box in boxes if box]
    assert said == [" ".join(box.name.split()) for box in figure.boxes]


def test_a_straight_row_of_boxes_is_drawn_level() -> None:
    row = Figure([Box("a"), Box("b"), Box("c")], [Arrow(0, 1), Arrow(1, 2)])

    assert laid_out(row).levels == [0, 0, 0]


def test_the_lanes_of_a_fork_stand_around_it() -> None:
    fork = Figure(
        [Box("fork"), Box("a"), Box("b"), Box("join")],
        [Arrow(0, 1), Arrow(0, 2), Arrow(1, 3), Arrow(2, 3)],
    )

    assert laid_out(fork).levels == [0.5, 0, 1, 0.5]
