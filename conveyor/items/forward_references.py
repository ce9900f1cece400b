"""Annotations, and the names in those that are text: forward references, and all under `from
__future__ import annotations`.

Knows: the syntax of hints.  Must never know: what the names stand for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from itertools import chain
from types import FunctionType, MappingProxyType
from typing import Final, ForwardRef, cast

from typing_extensions import Format, get_annotations

__all__ = ["annotations_of", "annotations_to_send", "hinted", "joined", "same_hint"]


# Since Python 3.14 annotations are evaluated when they are asked for; before, they are there.
ARE_LATE: Final = hasattr(lambda: None, "__annotate__")
NONE: Final[Mapping[str, object]] = MappingProxyType({})


def annotations_of(thing: FunctionType | type[object]) -> Mapping[str, object]:
    """The annotations of a function, or those in the body of a class.

    Where they are late, a name in them that stands for nothing yet is a forward reference; and
    where one raises, there are none.  A search asks some hundred times.

    >>> annotations_of(joined)["return"]
    'frozenset[str]'
    """
    if not ARE_LATE:
        return there(thing)
    try:
        return get_annotations(thing, format=Format.FORWARDREF)
    except Exception:  # an expression of the user's own
        return {}


def there(thing: FunctionType | type[object]) -> Mapping[str, object]:
    """The annotations that lie with a function or a class itself, and not with a base of that."""
    found: object = (
        vars(thing).get("__annotations__") if isinstance(thing, type) else thing.__annotations__
    )
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else NONE


def annotations_to_send(thing: FunctionType | type[object]) -> Mapping[str, object]:
    """The annotations as they travel: evaluated, or, where one cannot be evaluated yet, as text."""
    try:
        return get_annotations(thing)
    except Exception:  # as above
        return get_annotations(thing, format=Format.STRING)


def same_hint(one: object, other: object) -> bool:
    """Are they one annotation, be it evaluated twice?"""
    return one is other or (type(one) is type(other) and bool(one == other))


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
