"""Scopes of a file, their variables, and what becomes of each, as events.

Knows: what can happen to a variable, and where it stands.  Must never know: how a file is read, or
what follows from an event.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

__all__ = ["Place", "Position"]


# First line and column, last line and column, as both ast and mypy count them.
Position = tuple[int, int, int, int]
Place = str  # a variable: "pl", or with dots: "self.pl"

RETURNS_ITSELF: Final = frozenset({"add", "open", "__enter__"})


class Kind(Enum):
    BIND = "bound to something new"
    ALIAS = "bound to what another variable holds too"
    ADD = "stages are added"
    CALL = "another method is called"
    READ = "read, by what keeps no reference"
    ESCAPE = "handed on to what may add to it"
    SHARED = "the result of an `add` got a name of its own, and is the same pipeline"


@dataclass(frozen=True)
class Event:
    """What becomes of a variable at one place of the file.

    `at` is where it happens, line and column; `loops` and `blocks` are those around it, the
    innermost at the end.  `call` is the position of the method call, if it is one.  `others` are
    names of the same pipeline, as `this = other.add(...)` gives it: they may be believed while
    nothing is added by them.
    """

    place: Place
    kind: Kind
    at: tuple[int, int]
    loops: tuple[int, ...]
    blocks: tuple[int, ...]
    call: Position | None = None
    others: tuple[Place, ...] = ()


@dataclass
class Scope:
    """A module, a class or a function, and what becomes of variables in it.

    `bound` are its own variables, `elsewhere` those declared global or nonlocal.  `captures` are
    what an inner function may add to, whenever it is called.  `values` are what variables are bound
    to, `rebound` those that `this = this.add(...)` binds again; `itself` is a method's first
    parameter.
    """

    node: ast.AST
    parent: Scope | None
    at: tuple[int, int] = (0, 0)
    bound: set[str] = field(default_factory=set[str])
    elsewhere: set[str] = field(default_factory=set[str])
    events: list[Event] = field(default_factory=list[Event])
    captures: set[Place] = field(default_factory=set[Place])
    values: list[tuple[str, Position]] = field(default_factory=list[tuple[str, Position]])
    rebound: set[str] = field(default_factory=set[str])
    itself: str | None = None


def place_of(node: ast.AST) -> Place | None:
    """The variable that an expression names: only names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = place_of(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def root_of(node: ast.AST) -> Place | None:
    """The variable at the beginning of a chain of calls that all give the pipeline itself."""
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in RETURNS_ITSELF
    ):
        node = node.func.value
    return place_of(node)


def position_of(node: ast.expr) -> Position:
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0


def may_be(node: ast.AST) -> Iterator[Place]:
    """The variables whose very object an expression may give."""
    if isinstance(node, ast.IfExp):
        yield from may_be(node.body)
        yield from may_be(node.orelse)
    elif isinstance(node, ast.BoolOp | ast.Tuple | ast.List):
        for value in node.values if isinstance(node, ast.BoolOp) else node.elts:
            yield from may_be(value)
    elif isinstance(node, ast.NamedExpr):
        yield from may_be(node.target)
    elif (place := root_of(node)) is not None:
        yield place
