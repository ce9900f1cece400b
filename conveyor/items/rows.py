"""What can be taken apart into a row of values, instead of being pickled alone.

Knows: which things these are, and that nothing of theirs may change on the way.  Must never know:
how rows are sent, slices, channels.

Rule 1.  The values of a row are constants, which nothing can change, or rows.  So what was taken
         apart is as safe as what was pickled.
Rule 2.  What comes of a row is what pickle would have given: the class, the values, the order of
         a `__dict__`.  One thing that is in an item twice would come out as two: then, as with
         whatever is not known here, the item is pickled.
Rule 3.  A class is judged once, by its first object (`record_classes`).
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import countOf
from typing import Any, Final, TypeAlias, cast

from conveyor.items.atoms import ATOMS, SIMPLE
from conveyor.items.forms import ANY_DICT, LIST, SET, SINGLE, Form, Key, Row, compiled, form_of
from conveyor.items.record_classes import (
    are_stored,
    is_constant,
    is_found,
    keeps_a_dict,
    state_names,
    width_of_named_tuple,
)

__all__ = [
    "NO_TAKERS",
    "TAKERS",
    "Taker",
    "all_taken_apart",
    "forget_changed",
    "refused",
    "taken_apart",
]

MOST_CLASSES: Final = 1024
MOST_STATES: Final = 16  # sets of names, of one class
MOST_KEYS: Final = 256  # sets of keys that dicts have
DEEPEST: Final = 20  # rows within one another

simple: Final = SIMPLE.issuperset


class Seen(set[int]):
    """The ids of what was found in an item so far that could change; `depth` says how deep inside
    of it the search is."""

    depth = 0


class NotARow(Exception):
    """Raised inside of an item that is not taken apart."""


# Gives a row, or something itself that cannot change.  Where there is no `Seen` it is the item:
# then a row, or None for one that is not taken apart.  For a part it raises `NotARow` instead.
Taker: TypeAlias = Callable[[Any, Seen | None], object]


def taken_apart(item: object) -> Row | None:
    """Gives the values of an item as a row; None if it is to be pickled.

    >>> row = taken_apart({"a": 1, "b": [2, 3]})
    >>> row.open(), row.open() is row.open(), taken_apart(bytearray(1))
    ({'a': 1, 'b': [2, 3]}, False, None)
    """
    try:
        take = TAKERS[type(item)]
    except KeyError:
        take = judged(item)
    return cast("Row | None", take(item, None))


def all_taken_apart(items: Sequence[object]) -> list[Row] | None:
    """Gives the rows of several items of one class, none of them an atom; None if there are others,
    or if one of them is to be pickled.

    >>> [row.open() for row in all_taken_apart([{"a": 1}, {"a": 2}]) or ()]
    [{'a': 1}, {'a': 2}]
    """
    kind = type(items[0])
    if kind in ATOMS or countOf(map(type, items), kind) < len(items):
        return None
    take = TAKERS.get(kind) or judged(items[0])
    if take is refused:
        return None
    rows = [take(item, None) for item in items]
    return None if None in rows else cast("list[Row]", rows)


def parts_taken(
    form: Form, values: Sequence[object], item: object, seen: Seen | None
) -> Row | None:
    """The row of `item`, of whose values not all are simple."""
    is_top = seen is None
    if seen is None:
        seen = Seen((id(item),))
    parts: list[object] = []
    rows = form.flat
    seen.depth += 1
    try:
        if seen.depth > DEEPEST:
            raise NotARow
        for value in values:
            kind = type(value)
            if kind in SIMPLE:
                parts.append(value)
                continue
            try:
                take = TAKERS[kind]
            except KeyError:
                take = judged(value)
            part = take(value, seen)
            if part is not value:
                rows = form.nested
            parts.append(part)
    except NotARow:
        if is_top:
            return None
        raise
    seen.depth -= 1
    return rows(parts)


def note(item: object, seen: Seen) -> None:
    """Something that could change is met in an item: it may be there only once."""
    key = id(item)
    if key in seen:
        raise NotARow
    seen.add(key)


def refused(item: object, seen: Seen | None) -> object:
    """Takes nothing."""
    if seen is not None:
        raise NotARow
    return None


# ----------------------------------------------------------------------------------------------
# constants


def take_constant(item: object, seen: Seen | None) -> object:
    return item if seen is not None else SINGLE.flat((item,))


def take_time(item: Any, seen: Seen | None) -> object:
    """Takes a time, which may have a zone of the program's own making."""
    zone = item.tzinfo
    return take_constant(item, seen) if zone is None or is_usual(zone) else refused(item, seen)


def is_usual(zone: Any) -> bool:
    """Is it a zone of the standard library that pickles as what it is, or as its name?"""
    kind = cast("Any", type(zone))
    if kind.__module__ == "datetime":
        return kind is sys.modules["datetime"].timezone
    if (kind.__module__, kind.__qualname__) != ("zoneinfo", "ZoneInfo"):
        return False
    try:
        return cast("object", kind(zone.key)) is zone
    except Exception:  # it was read from a file, and has a name of the program's own
        return False


# ----------------------------------------------------------------------------------------------
# tuples, lists, sets, dicts


def take_tuple(item: tuple[object, ...], seen: Seen | None) -> object:
    if simple(map(type, item)):
        return take_constant(item, seen)
    form = form_of((tuple, len(item) if len(item) <= WIDEST else None))
    row = parts_taken(form, item, item, seen)
    return item if seen is not None and type(row) is form.flat else row


def take_list(item: list[object], seen: Seen | None) -> object:
    if seen is not None:
        note(item, seen)
    values = (*item,)
    return LIST.flat(values) if simple(map(type, values)) else parts_taken(LIST, values, item, seen)


def take_set(item: set[object], seen: Seen | None) -> object:
    if seen is not None:
        note(item, seen)
    return SET.flat(item) if simple(map(type, item)) else refused(item, seen)


def take_frozen_set(item: frozenset[object], seen: Seen | None) -> object:
    return take_constant(item, seen) if simple(map(type, item)) else refused(item, seen)


def take_dict(
    item: dict[Any, object], seen: Seen | None, keys: tuple[Any, ...] | None = None
) -> object:
    """Takes a dict, of whose keys it may be known that the taker of other ones refused them."""
    if keys is None:
        keys = (*item,)
    take = KEYS.get(keys)
    return take_any_dict(item, seen, keys) if take is None else take(item, seen, keys)


def take_any_dict(item: dict[Any, object], seen: Seen | None, keys: tuple[Any, ...]) -> object:
    """Takes a dict with keys that are not known, which they are from the second one on."""
    if seen is not None:
        note(item, seen)
    if texts(map(type, keys)) and 0 < len(keys) <= WIDEST and len(KEYS) < MOST_KEYS:
        if keys in ONCE:
            # The next dict is looked at by this one first: as a rule all have the same keys.
            TAKERS[dict] = KEYS[keys] = taker_of_keys(keys, item)
        elif len(ONCE) >= MOST_KEYS:
            ONCE.clear()
        ONCE.add(keys)
    values = (*keys, *item.values())
    return (
        ANY_DICT.flat(values)
        if simple(map(type, values))
        else parts_taken(ANY_DICT, values, item, seen)
    )


texts: Final = frozenset((str,)).issuperset
WIDEST: Final = 32  # tuples and dicts that have forms of their own
KEYS: Final[dict[tuple[str, ...], Callable[..., object]]] = {}
ONCE: Final[set[tuple[str, ...]]] = set()  # keys that a dict had


# ----------------------------------------------------------------------------------------------
# what has a fixed number of values: functions that are compiled for each


def taker_of_keys(own: tuple[str, ...], like: Mapping[str, object]) -> Callable[..., object]:
    """Takes dicts with these keys, and leaves others, or what is only equal to these, to the
    others."""
    names = [f"k{number}" for number in range(len(own))]
    body = [
        "if keys is None: keys = (*item,)",
        "if keys != own: return take_dict(item, seen, keys)",
        f"{', '.join(names)}, = keys",
        f"if not ({' and '.join(f'type({name}) is str' for name in names)}):",
        "    return take_any_dict(item, seen, keys)",
        "if seen is not None: note(item, seen)",
        *(f"v{number} = item[{name}]" for number, name in enumerate(names)),
    ]
    known = {"own": own, "take_dict": take_dict, "take_any_dict": take_any_dict}
    return taker((dict, own), [*like.values()], "item, seen, keys=None", body, **known)


def taker_of_named_tuples(kind: type[object], width: int, like: tuple[object, ...]) -> Taker:
    body = [f"if len(item) != {width}: return refused(item, seen)"]
    if width:
        body.append(f"{', '.join(f'v{number}' for number in range(width))}, = item")
    return taker((kind, width), like if len(like) == width else [()] * width, "item, seen", body)


def taker_of_slots(kind: type[object], names: tuple[str, ...], like: object) -> Taker:
    """Takes objects all of whose slots have values."""
    body = [
        "try:",
        *(f"    v{number} = item.{name}" for number, name in enumerate(names)),
        "    pass",
        "except AttributeError: return refused(item, seen)",
        "if seen is not None: note(item, seen)",
    ]
    return taker((kind, names), [getattr(like, each) for each in names], "item, seen", body)


def taker_of_dicts(kind: type[object], names: tuple[str, ...], like: object) -> Taker:
    """Takes objects whose state is their `__dict__`: at first those with these names."""
    takers: dict[tuple[str, ...], Taker] = {}

    def add(names: tuple[str, ...], like: object) -> Taker:
        body = ["state = item.__dict__"]
        body += ["if type(state) is not dict or [*state] != names: return other(item, state, seen)"]
        if are_stored(kind, names):  # to read an attribute takes less while there is no dict
            values = [f"    v{number} = item.{name}" for number, name in enumerate(names)]
            not_there = "except AttributeError: return other(item, item.__dict__, seen)"
            body = ["try:", *values, "    pass", not_there, *body]
        else:
            body += [f"v{number} = state[{name!r}]" for number, name in enumerate(names)]
        body.append("if seen is not None: note(item, seen)")
        known = {"other": other, "names": [*names]}
        found = [vars(like)[name] for name in names]
        take = takers[names] = taker((kind, names), found, "item, seen", body, **known)
        return take

    def other(item: Any, state: Any, seen: Seen | None) -> object:
        """Takes an object that has other names than these."""
        known = cast("tuple[str, ...]", (*state,)) if type(state) is dict else (None,)
        if not texts(map(type, known)):
            return refused(item, seen)
        take = takers.get(cast("tuple[str, ...]", known))
        if take is None:
            names = state_names(item) if len(takers) < MOST_STATES else None
            if names is None:
                return refused(item, seen)
            take = add(names, item)
        return take(item, seen)

    return add(names, like)


def taker(
    key: Key, like: Sequence[object], parameters: str, body: list[str], **known: object
) -> Callable[..., object]:
    """What takes things of one form: `body` is code that finds its values, v0, v1 and so on, which
    as a rule are of the same types as those of the first, `like`."""
    form = form_of(key)
    names = [f"v{number}" for number in range(len(like))]
    values = f"({''.join(f'{name}, ' for name in names)})"
    if_simple = " and ".join(f"type({name}) in SIMPLE" for name in names) or "True"
    kinds = {f"t{number}": cast("object", type(value)) for number, value in enumerate(like)}
    if simple(kinds.values()):
        known |= kinds
        if_alike = " and ".join(f"type(v{at}) is t{at}" for at in range(len(like))) or "True"
        body = [*body, f"if {if_alike}: return flat({values})"]
    body = [
        *body,
        f"if {if_simple}: return flat({values})",
        f"return parts_taken(form, {values}, item, seen)",
    ]
    known |= {"form": form, "flat": form.flat, "SIMPLE": SIMPLE, "note": note}
    return compiled(parameters, body, known | {"refused": refused, "parts_taken": parts_taken})


# ----------------------------------------------------------------------------------------------
# what is known of classes


BUILT_IN: Final[dict[type[Any], Taker]] = {
    **{cast("type[Any]", kind): take_constant for kind in SIMPLE},
    tuple: take_tuple,
    list: take_list,
    dict: take_dict,
    set: take_set,
    frozenset: take_frozen_set,
}
TAKERS: Final = dict(BUILT_IN)
NO_TAKERS: Final[Mapping[type[Any], Taker]] = {}


def judged(item: object) -> Taker:
    """What takes objects of the class of `item`, which is the first of them."""
    take = taker_for(item)
    if len(TAKERS) >= MOST_CLASSES:
        reset()
    TAKERS[type(item)] = take
    return take


def taker_for(item: object) -> Taker:
    kind = type(item)
    if is_constant(item):
        return take_time if hasattr(item, "tzinfo") else take_constant
    width = width_of_named_tuple(kind)
    if width is not None:
        return taker_of_named_tuples(kind, width, cast("tuple[object, ...]", item))
    names = state_names(item)
    if names is None:
        return refused
    return (taker_of_dicts if keeps_a_dict(kind) else taker_of_slots)(kind, names, item)


def reset() -> None:
    TAKERS.clear()
    TAKERS.update(BUILT_IN)


reductions = 0


def forget_changed() -> None:
    """Called before a run: judges anew the classes of which something may have changed.

    Since the last time a class may have got a reduction in `copyreg`, or have been defined again,
    or for the first time, in a notebook.
    """
    global reductions
    if len(copyreg.dispatch_table) != reductions:
        reductions = len(copyreg.dispatch_table)
        reset()
    for kind, take in [*TAKERS.items()]:
        if kind not in BUILT_IN and (take is refused or not is_found(kind)):
            TAKERS.pop(kind, None)
