"""A figure as text for other programs: Mermaid, and the DOT language of Graphviz."""

from __future__ import annotations

from typing import Final

from conveyor.drawing.figure import Figure, Shape

__all__ = ["dot", "mermaid"]

MERMAID: Final = {Shape.END: '(["{}"])', Shape.WORK: '["{}"]', Shape.ROUTER: '{{{{"{}"}}}}'}
DOT: Final = {Shape.END: "oval", Shape.WORK: "box", Shape.ROUTER: "hexagon"}
# What would end a text in quotes or be read as a sign of Mermaid's own.
ENTITIES: Final = {ord(sign): f"#{ord(sign)};" for sign in '"#<>&;`'}


def mermaid(figure: Figure) -> str:
    """A flowchart of Mermaid, as GitHub and Jupyter draw it.

    >>> from conveyor.drawing.figure import Arrow, Box
    >>> print(mermaid(Figure([Box("f"), Box("g")], [Arrow(0, 1, "2")])))
    flowchart LR
        n0["f"]
        n1["g"]
        n0 -->|"2"| n1
    """
    boxes = [
        f"    n{at}{MERMAID[box.shape].format('<br>'.join(map(entities, box.words)))}"
        for at, box in enumerate(figure.boxes)
    ]
    arrows = [
        f"    n{arrow.source} -->{labelled(arrow.label)} n{arrow.target}" for arrow in figure.arrows
    ]
    return "\n".join(["flowchart LR", *boxes, *arrows])


def dot(figure: Figure) -> str:
    """A graph in the DOT language of Graphviz.

    >>> from conveyor.drawing.figure import Arrow, Box
    >>> print(dot(Figure([Box("f"), Box("g")], [Arrow(0, 1, "2")])))
    digraph pipeline {
        rankdir=LR;
        n0 [label="f", shape=box];
        n1 [label="g", shape=box];
        n0 -> n1 [label="2"];
    }
    """
    boxes = [
        f"    n{at} [label={quoted(*box.words)}, shape={DOT[box.shape]}];"
        for at, box in enumerate(figure.boxes)
    ]
    arrows = [
        f"    n{arrow.source} -> n{arrow.target}"
        + (f" [label={quoted(arrow.label)}];" if arrow.label else ";")
        for arrow in figure.arrows
    ]
    return "\n".join(["digraph pipeline {", "    rankdir=LR;", *boxes, *arrows, "}"])


def labelled(text: str) -> str:
    return f'|"{entities(text)}"|' if text else ""


def entities(text: str) -> str:
    return " ".join(text.split()).translate(ENTITIES)


def quoted(*lines: str) -> str:
    """Lines of text as a string of DOT."""
    escaped = [" ".join(line.split()).replace("\\", r"\\").replace('"', r"\"") for line in lines]
    return '"' + r"\n".join(escaped) + '"'
