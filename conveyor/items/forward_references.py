"""The names in annotations that are text: forward references, and all under `from __future__ import
annotations`.

Knows: the syntax of hints.  Must never know: what the names stand for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import ForwardRef, cast

__all__ = ["hinted", "joined"]


def hinted(annotations: object) -> frozenset[str]:
    """The names that the texts among some annotations look up, also inside of others.

    >>> sorted(hinted({"kid": "list[Child]", "other": list["Parent"], "number": int}))
    ['Child', 'Parent', 'list']
    >>> sorted(hinted({"text": "Literal['x']"}))
    ['Literal']
    """
    if not isinstance(annotations, Mapping):
        return frozenset()
    values = cast("Mapping[str, object]", annotations).values()
    return joined(map(names_in, values))


def joined(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    """All the names."""
    return frozenset(chain.from_iterable(parts))


def names_in(hint: object) -> frozenset[str]:
    if isinstance(hint, ForwardRef):
        return names_in(hint.__forward_arg__)
    if isinstance(hint, str):
        try:
            return names_of(ast.parse(hint.strip(), mode="eval"))
        except (SyntaxError, ValueError):  # a text that is no hint
            return frozenset()
    inside: object = getattr(hint, "__args__", ())
    return (
        joined(map(names_in, cast("tuple[object, ...]", inside)))
        if isinstance(inside, tuple)
        else frozenset()
    )


def names_of(tree: ast.AST) -> frozenset[str]:
    """The names of an expression; a text inside of it is a hint, too, but for a literal's."""
    match tree:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.Constant(value=str(text)):
            return names_in(text)
        case ast.Subscript(
            value=(ast.Name(id="Literal") | ast.Attribute(attr="Literal")) as literal
        ):
            return names_of(literal)
        case _:
            return joined(map(names_of, ast.iter_child_nodes(tree)))
