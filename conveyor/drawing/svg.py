"""A figure as SVG that needs nothing else: boxes in columns, arrows from left to right.

Colours stand in attributes, which every program that shows SVG can read; a style sheet changes them
where the reader's system is dark.  Its names begin with `cv-`, since a notebook has the SVGs of
many programs in one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import count
from typing import Final, NamedTuple

from conveyor.drawing.figure import Box, Figure, Shape
from conveyor.drawing.layout import Layout, laid_out

__all__ = ["svg"]

# Pixels.
CHARACTER: Final = 7.3
LINE: Final = 16
PADDING: Final = 11
BETWEEN_COLUMNS: Final = 56
BETWEEN_BOXES: Final = 18
MARGIN: Final = 14
LONGEST: Final = 30  # characters of a line

BEND: Final = Box("")


class Placed(NamedTuple):
    """A box where it stands: its left upper corner and its size, in pixels."""

    box: Box
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def svg(figure: Figure) -> str:
    """The figure as one `<svg>` element; `data-box` and `data-arrow` say which each part is of.

    >>> svg(Figure([Box("parse")])).startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    True
    """
    layout = laid_out(figure)
    places = placed(figure, layout)
    boxes = places[: len(figure.boxes)]
    width = max((each.x + each.width for each in boxes), default=0.0) + MARGIN
    height = max((each.y + each.height for each in boxes), default=0.0) + MARGIN
    drawn = "\n".join([*arrows(figure, layout, places), *map(drawn_box, count(), boxes)])
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cv-figure" {size} role="img" '
        f'font-family="{FONT}">\n'
        f"<style>{STYLE}</style>\n{HEAD}\n{drawn}\n</svg>"
    )


def placed(figure: Figure, layout: Layout) -> list[Placed]:
    """Every box where it stands, and behind the boxes the bends of arrows, which have no size."""
    row = max(map(height_of, figure.boxes), default=0.0) + BETWEEN_BOXES
    boxes = [*figure.boxes, *[BEND] * (len(layout.levels) - len(figure.boxes))]
    x: float = MARGIN
    places: dict[int, Placed] = {}
    for column in layout.columns:
        width = max(width_of(boxes[at]) for at in column)
        for at in column:
            box = boxes[at]
            own, height = width_of(box), height_of(box)
            y = MARGIN + layout.levels[at] * row + (row - BETWEEN_BOXES - height) / 2
            places[at] = Placed(box, x + (width - own) / 2, y, own, height)
        x += width + BETWEEN_COLUMNS
    return [places[at] for at in range(len(places))]


def lines_of(box: Box) -> list[str]:
    """What is written in a box: no line is longer than there is room for."""
    return [*map(shortened, box.words)]


def width_of(box: Box) -> float:
    return 0.0 if box is BEND else max(map(len, lines_of(box))) * CHARACTER + 2 * PADDING


def height_of(box: Box) -> float:
    return 0.0 if box is BEND else len(lines_of(box)) * LINE + PADDING


def arrows(figure: Figure, layout: Layout, places: Sequence[Placed]) -> Iterator[str]:
    for number, (arrow, way) in enumerate(zip(figure.arrows, layout.ways, strict=True)):
        first, *stops = [places[number] for number in way]
        x, y = first.x + first.width, first.middle
        path = f"M{x:.1f},{y:.1f}"
        for stop in stops:
            bend = (stop.x - x) / 2
            path += (
                f" C{x + bend:.1f},{y:.1f} {stop.x - bend:.1f},{stop.middle:.1f} "
                f"{stop.x:.1f},{stop.middle:.1f}"
            )
            x, y = stop.x + stop.width, stop.middle
        yield (
            f'<path data-arrow="{number}" d="{path}" fill="none" stroke="{LINES}" '
            'stroke-width="1.4" marker-end="url(#cv-head)"/>'
        )
        if arrow.label:
            # Where the arrows of a fork have parted, and those of a join have not met.
            at = stops[0] if len(stops) > 1 else stops[-1]
            yield written(arrow.label, at.x - 10, at.middle - 5, "cv-dim", DIM, "end", 11)


def drawn_box(number: int, place: Placed) -> str:
    box, x, y = place.box, place.x, place.y
    colour = mixed(WORK, HOT, box.heat) if box.shape is Shape.WORK else LINES
    radius = place.height / 2 if box.shape is Shape.END else 6
    size = (
        f'x="{x:.1f}" y="{y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
        f'rx="{radius:.1f}"'
    )
    dashes = ' stroke-dasharray="4 3"' if box.shape is Shape.ROUTER else ""
    middle, top = x + place.width / 2, y + PADDING / 2 + LINE * 0.75
    name, *more = lines_of(box)
    texts = [written(name, middle, top, "cv-ink", INK, "middle", 12, ' font-weight="600"')]
    texts += [
        written(line, middle, top + at * LINE, "cv-dim", DIM, "middle", 12)
        for at, line in enumerate(more, 1)
    ]
    title = escape(", ".join(filter(None, (box.name, box.kind, *box.lines))))
    return (
        f'<g data-box="{number}"><title>{title}</title>'
        f'<rect class="cv-paper" {size} fill="{PAPER}"/>'
        f'<rect {size} fill="{colour}" fill-opacity="0.16" stroke="{colour}" '
        f'stroke-width="1.4"{dashes}/>{"".join(texts)}</g>'
    )


def written(
    text: str, x: float, y: float, style: str, colour: str, anchor: str, size: int, more: str = ""
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text class="{style}" {place} fill="{colour}"{more}>{escape(text)}</text>'


def mixed(cold: str, hot: str, heat: float) -> str:
    """The colour between two, given as #rrggbb.

    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = zip(bytes.fromhex(cold[1:]), bytes.fromhex(hot[1:]), strict=True)
    share = min(1.0, max(0.0, heat))
    return "#" + bytes(round(a + (b - a) * share) for a, b in pairs).hex()


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


FONT: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK: Final = "#1d2733"
DIM: Final = "#66717e"
LINES: Final = "#8a96a3"
PAPER: Final = "#ffffff"
WORK: Final = "#5b8def"
HOT: Final = "#e08a00"

HEAD: Final = (
    '<defs><marker id="cv-head" viewBox="0 0 8 8" refX="7" refY="4" '
    'markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" orient="auto">'
    f'<path d="M0,0 L8,4 L0,8 z" fill="{LINES}"/></marker></defs>'
)
STYLE: Final = """
@media (prefers-color-scheme: dark) { .cv-figure .cv-paper { fill: #14181d }
  .cv-figure .cv-ink { fill: #e6ebf0 } .cv-figure .cv-dim { fill: #96a2ae } }
"""
