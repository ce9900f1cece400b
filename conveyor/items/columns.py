"""How many rows go into one pickle, and come out of it.

Knows: rows, and what of them is alike.  Must never know: what may be taken apart (`rows`),
channels.

Rule 1.  Values that are alike go side by side: of rows of one form one column a value, so that a
         class is named once.  Rows inside of rows do so again, column by column.
Rule 2.  What comes out are rows again, as often to be opened as is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from operator import countOf
from typing import Any, Final, TypeAlias, cast

from conveyor.items.atoms import SIMPLE
from conveyor.items.forms import Form, Row, form_of

__all__ = [
    "Columns",
    "decoded",
    "encoded",
    "form_in",
    "group_encoded",
    "grouped",
    "merged",
    "opened_at_once",
]

# Some values, as they are pickled: how they are told of, and what that needs.
Columns: TypeAlias = tuple[Any, ...]

PLAIN: Final = 0  # as they are: values
CALLS: Final = 1  # what a call makes: callable, columns of its arguments
ROWS: Final = 2  # rows of as many values each: key of the form, how many, columns
LISTS: Final = 3  # rows of any length: key of the form, lengths, column of all values
MIXED: Final = 4  # of several kinds: which of the groups is next, groups

PROTOCOL: Final = 5


def encoded(values: Sequence[object]) -> Columns:
    """What is to be pickled of some values, each a constant or a row.

    >>> from conveyor.items.rows import taken_apart
    >>> rows = [taken_apart(item) for item in ([1, 2], [3], [])]
    >>> [row.open() for row in decoded(encoded(rows))]
    [[1, 2], [3], []]
    """
    order, groups = grouped(values, form_in)
    told = [group_encoded(group) for group in groups]
    return told[0] if order is None else (MIXED, order, told)


def group_encoded(values: Sequence[Any]) -> Columns:
    """What is to be pickled of constants, or of rows of one form."""
    form = form_in(cast("type[object]", type(values[0]))) if values else None
    return constants(values) if form is None else rows(form, values)


def form_in(kind: type[object]) -> Form | None:
    """The form of rows of a class; None if it is one of constants."""
    return kind.form if issubclass(kind, Row) else None


def rows(form: Form, values: Sequence[Row]) -> Columns:
    is_flat = countOf(map(type, values), form.flat) == len(values)
    column: Callable[[Sequence[object]], Columns] = constants if is_flat else encoded
    flattened = list(chain.from_iterable(values))
    if form.has_width:  # not by `zip`, whose thousand iterators at once wake the garbage collector
        width = len(values[0])
        columns = [column(flattened[place::width]) for place in range(width)]
        return ROWS, form.key, len(values), columns
    return LISTS, form.key, [*map(len, values)], column(flattened)


def constants(values: Sequence[object]) -> Columns:
    """Of constants: as they are, or, where pickle is slow for what they all are, by parts."""
    kind = type(values[0]) if values else int
    if kind not in SIMPLE and countOf(map(type, values), kind) == len(values):
        calls = PARTS.get((kind.__module__, kind.__qualname__), not_by_parts)(values)
        if calls is not None:
            call, arguments = calls
            return CALLS, call, [constants(each) for each in arguments]
    return PLAIN, values


def decoded(columns: Columns) -> Sequence[Any]:
    """The values that were encoded."""
    how = cast("int", columns[0])
    return decoders[how](*columns[1:])


def opened_at_once(columns: Columns) -> Sequence[Any]:
    """What was taken apart into the rows that were encoded, made again without the rows between.

    >>> from conveyor.items.rows import taken_apart
    >>> opened_at_once(encoded([taken_apart({"a": 1}), taken_apart({"a": 2})]))
    [{'a': 1}, {'a': 2}]
    """
    if columns[0] == ROWS and columns[3] and not any(map(has_rows, columns[3])):
        _, key, _, parts = columns
        return [*map(form_of(key).build, zip(*map(decoded, parts), strict=True))]
    return [row.open() for row in decoded(columns)]


def plain_decoded(values: Sequence[object]) -> Sequence[object]:
    return values


def calls_decoded(call: Callable[..., object], arguments: Sequence[Columns]) -> Sequence[object]:
    return [*map(call, *map(decoded, arguments))]


def rows_decoded(key: Any, count: int, columns: Sequence[Columns]) -> list[object]:
    form = form_of(key)
    made = form.nested if any(map(has_rows, columns)) else form.flat
    if not columns:
        return [made()] * count
    return [*map(made, zip(*map(decoded, columns), strict=True))]


def lists_decoded(key: Any, lengths: Sequence[int], column: Columns) -> list[object]:
    form = form_of(key)
    made = form.nested if has_rows(column) else form.flat
    left = iter(decoded(column))
    return [made(islice(left, length)) for length in lengths]


def mixed_decoded(order: Iterable[int], groups: Sequence[Columns]) -> Sequence[object]:
    return merged(order, [decoded(each) for each in groups])


decoders: Final[Sequence[Callable[..., Sequence[object]]]] = (
    plain_decoded,
    calls_decoded,
    rows_decoded,
    lists_decoded,
    mixed_decoded,
)


def has_rows(columns: Columns) -> bool:
    return columns[0] in (ROWS, LISTS, MIXED)


def grouped(
    values: Sequence[object], key: Callable[[type[object]], object]
) -> tuple[list[int] | None, Sequence[Sequence[Any]]]:
    """The values in groups whose types have the same key, and for each value the number of its
    group; None if there is only one."""
    numbers: dict[object, int] = {}
    number_of = {
        kind: numbers.setdefault(key(kind), len(numbers))
        for kind in dict.fromkeys(map(type, values))
    }
    if len(numbers) < 2:
        return None, [values]
    order = [number_of[kind] for kind in map(type, values)]
    groups: list[list[object]] = [[] for _ in numbers]
    for value, number in zip(values, order, strict=True):
        groups[number].append(value)
    return order, groups


def merged(order: Iterable[int] | None, groups: Sequence[Any]) -> Sequence[Any]:
    """The values of `grouped` in their order."""
    if order is None:
        return cast("Sequence[Any]", groups[0])
    left = [iter(group) for group in groups]
    return [next(left[number]) for number in order]


# ----------------------------------------------------------------------------------------------
# constants by parts

Calls: TypeAlias = tuple[Callable[..., object], Sequence[Sequence[object]]]


def not_by_parts(values: Sequence[Any]) -> Calls | None:
    return None


def by_reductions(values: Sequence[Any]) -> Calls | None:
    """As pickle would call it for each of them, if it does so with as many arguments for all."""
    calls, arguments = zip(*[value.__reduce_ex__(PROTOCOL) for value in values], strict=True)
    if countOf(map(len, arguments), len(arguments[0])) < len(arguments):
        return None
    return calls[0], [*zip(*arguments, strict=True)]


def by_texts(values: Sequence[Any]) -> Calls:
    return cast("Callable[..., object]", type(values[0])), [[*map(str, values)]]


def by_numbers(values: Sequence[Any]) -> Calls | None:
    """UUIDs: that they are safe, as some systems say of some, is not told of."""
    unknown = sys.modules["uuid"].SafeUUID.unknown
    if any(value.is_safe is not unknown for value in values):
        return None
    return uuid_of, [[value.int for value in values]]


def uuid_of(number: int) -> object:
    import uuid  # only where there are some: most programs have none

    made = object.__new__(uuid.UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", uuid.SafeUUID.unknown)
    return made


PARTS: Final[dict[tuple[str, str], Callable[[Sequence[Any]], Calls | None]]] = {
    **{("datetime", name): by_reductions for name in ("date", "datetime", "time", "timedelta")},
    ("decimal", "Decimal"): by_reductions,
    ("fractions", "Fraction"): by_reductions,
    ("uuid", "UUID"): by_numbers,
    **{
        (module, f"{pure}{system}Path"): by_texts
        for module in ("pathlib", "pathlib._local")
        for pure in ("Pure", "")
        for system in ("Posix", "Windows")
    },
}
