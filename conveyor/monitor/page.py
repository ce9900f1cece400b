"""The page that a monitor serves: one document, with the graph drawn and nothing fetched from
elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from conveyor.drawing.figure import Box, Figure, Shape
from conveyor.drawing.svg import svg

__all__ = ["page", "policy"]

PLACE: Final = re.compile("{{([a-z]+)}}")
ROOM_FOR_FIGURES: Final = "99.9k/s blocked"  # what a box has room for below its name


def page(figure: Figure, channels: int, program: str, nonce: str) -> str:
    """The whole page of a run, before its first figures come.

    `figure`: the topology, whose last arrows are its `channels`; `program`: what runs it; `nonce`:
    the one that `policy` was given.
    """
    boxes = [with_room(at, box) for at, box in enumerate(figure.boxes)]
    facts = {
        "program": program,
        "boxes": [box.name for box in boxes],
        "shapes": [box.shape.value if box.lines else "" for box in boxes],
        "firstChannel": len(figure.arrows) - channels,
        "targets": targets_of(figure, channels),
    }
    arrows = [arrow._replace(label="0") for arrow in figure.arrows]
    fillings = {
        "nonce": escape(nonce),
        "program": escape(program),
        "graph": svg(Figure(boxes, arrows)),
        # Within a script nothing else could end it, or begin another.
        "facts": json.dumps(facts).replace("<", "\\u003c"),
    }
    return PLACE.sub(lambda place: fillings[place[1]], template())


def with_room(number: int, box: Box) -> Box:
    """A box with room for what changes: of what works, and of the sink."""
    has_room = number > 0 and box.shape is not Shape.ROUTER
    return box._replace(lines=(ROOM_FOR_FIGURES,) if has_room else ())


def targets_of(figure: Figure, channels: int) -> Sequence[str]:
    """What each channel leads to."""
    arrows = figure.arrows[len(figure.arrows) - channels :]
    return [figure.boxes[arrow.target].name for arrow in arrows]


def template() -> str:
    return files("conveyor.monitor").joinpath("page.html").read_text(encoding="utf-8")


def policy(nonce: str) -> str:
    """What a browser is told that the page may do: run and style itself, and ask its own server.

    >>> policy("x").split("; ")[:2]
    ["default-src 'none'", "script-src 'nonce-x'"]
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            "style-src 'unsafe-inline'",  # of the drawing, too, which is ours
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
