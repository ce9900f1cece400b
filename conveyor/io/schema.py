"""Rows as a program wants them: made into an instance of its class, field by field.

Knows: classes of rows and the types of their fields.  Must never know: where a row comes from.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import (
    Any,
    ClassVar,
    Literal,
    NotRequired,
    Protocol,
    Required,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import ReadOnly, is_typeddict

__all__ = ["AnyRow", "Read", "as_mapping", "names_in", "reader"]

Read: TypeAlias = Callable[[Any], Any]


class IsDataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class IsNamedTuple(Protocol):
    """Any named tuple."""

    def _asdict(self) -> dict[str, Any]: ...


class IsStruct(Protocol):
    """Any struct of msgspec."""

    __struct_fields__: ClassVar[tuple[str, ...]]


AnyRow: TypeAlias = Mapping[str, object] | IsDataclass | IsNamedTuple | IsStruct


def as_mapping(row: object) -> Mapping[str, object]:
    """A row by its columns; raises `TypeError` for what is none."""
    if isinstance(row, Mapping):
        return cast("Mapping[str, object]", row)
    kind: Any = type(row)
    if is_dataclass(kind):
        return {each.name: getattr(row, each.name) for each in fields(kind)}
    names: tuple[str, ...] | None
    names = getattr(kind, "_fields" if issubclass(kind, tuple) else "__struct_fields__", None)
    if names is not None:
        return {name: getattr(row, name) for name in names}
    raise TypeError(
        f"a row is a mapping, a dataclass, a named tuple or a struct of msgspec, not {row!r}"
    )


def names_in(schema: type) -> list[str]:
    """The columns of a class of rows, in order."""
    struct: tuple[str, ...] | None = getattr(schema, "__struct_fields__", None)
    return list(struct if struct is not None else get_type_hints(schema))


def reader(schema: type | None, from_text: bool = False) -> Read:
    """What makes a row of the class `schema` from a mapping; raises `ValueError` where it cannot.

    None leaves rows as they are.  `from_text`: fields may be texts that stand for something else,
    as in CSV, where `"3"` is an int.

    >>> from typing import NamedTuple
    >>> class Price(NamedTuple):
    ...     name: str
    ...     euros: float = 0.0
    >>> reader(Price)({"name": "tea", "euros": 3})
    Price(name='tea', euros=3.0)
    >>> reader(Price, from_text=True)({"name": "tea", "euros": "?"})
    Traceback (most recent call last):
    ValueError: field 'euros': '?' is no float
    """
    if schema is None:
        return _itself
    if hasattr(schema, "__struct_fields__"):
        msgspec: Any = import_module("msgspec")

        def converted(row: Any) -> Any:
            return msgspec.convert(row, schema, strict=not from_text)

        return converted
    if not is_a_row(schema):
        raise TypeError(
            "a schema is a TypedDict, a dataclass, a NamedTuple or a struct of msgspec, "
            f"not {schema!r}"
        )
    return _row_reader(schema, from_text)


def is_a_row(kind: Any) -> bool:
    is_named_tuple = getattr(kind, "__base__", None) is tuple and hasattr(kind, "_fields")
    return isinstance(kind, type) and (is_typeddict(kind) or is_dataclass(kind) or is_named_tuple)


def _itself(row: Any) -> Any:
    return row


def _row_reader(schema: type, from_text: bool) -> Read:
    hints = get_type_hints(schema, include_extras=True)
    needs = _needed(schema, hints)
    readers = {name: _value_reader(hint, from_text) for name, hint in hints.items()}
    make = cast("Callable[..., Any]", dict if is_typeddict(schema) else schema)
    expected = schema.__name__
    # Inside of another row a named tuple is written as the list that it is.
    in_order: tuple[str, ...] = getattr(schema, "_fields", ())

    def read(row: Any) -> Any:
        if in_order and type(row) is list:
            row = by_place(in_order, row)
        if not isinstance(row, Mapping):
            raise ValueError(f"{row!r} is no {expected}")
        given = cast("Mapping[str, Any]", row)
        values: dict[str, Any] = {}
        for name, value in readers.items():
            if name in given:
                try:
                    values[name] = value(given[name])
                except ValueError as error:
                    raise ValueError(f"field {name!r}: {error}") from None
            elif name in needs:
                raise ValueError(f"field {name!r} is missing")
        return make(**values)

    return read


def by_place(names: tuple[str, ...], row: Any) -> Any:
    """A list of as many values as there are names, by these."""
    return dict(zip(names, row, strict=True)) if len(row) == len(names) else row


def _needed(schema: Any, hints: dict[str, Any]) -> frozenset[str]:
    """The fields that have to be there."""
    if is_typeddict(schema):
        # Of annotations that are kept as texts the class does not see what is not required.
        said = {name: get_origin(hint) for name, hint in hints.items()}
        return frozenset(
            name
            for name, kind in said.items()
            if kind is Required or (kind is not NotRequired and name in schema.__required_keys__)
        )
    if is_dataclass(schema):
        return frozenset(
            each.name
            for each in fields(schema)
            if each.init and each.default is MISSING and each.default_factory is MISSING
        )
    return frozenset(schema._fields) - frozenset(schema._field_defaults)


def _value_reader(hint: Any, from_text: bool) -> Read:
    """What reads the value of a field of this type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired, ReadOnly) or hasattr(hint, "__metadata__"):
        return _value_reader(args[0] if args else hint.__origin__, from_text)
    if hint in (Any, object):
        return _itself
    if hint in (None, type(None)):
        return _nothing_reader(from_text)
    if origin in (Union, types.UnionType):
        return _first_of([_value_reader(each, from_text) for each in _texts_last(args)], hint)
    if origin is Literal:
        return _one_of(args, from_text)
    if origin in (list, set, frozenset) or hint in (list, set, frozenset):
        kind = origin or hint
        return _many(kind, _value_reader(args[0], from_text) if args else _itself)
    if hint is tuple or (origin is tuple and len(args) == 2 and args[1] is Ellipsis):
        return _many(tuple, _value_reader(args[0], from_text) if args else _itself)
    if origin is tuple:
        return _so_many([_value_reader(each, from_text) for each in args])
    if origin is dict or hint is dict or origin is Mapping:
        return _by_name(_value_reader(args[1], from_text) if args else _itself)
    if is_a_row(hint):
        return _row_reader(hint, from_text)
    return _plain(hint, from_text)


def _texts_last(args: tuple[Any, ...]) -> list[Any]:
    """In a union of what may stand in a text, the text itself takes whatever is left."""
    return sorted(args, key=lambda each: each is str)


def _nothing_reader(from_text: bool) -> Read:
    def read(value: Any) -> None:
        if value is not None and not (from_text and value == ""):
            raise ValueError(f"{value!r} is not None")

    return read


def _first_of(readers: list[Read], hint: Any) -> Read:
    def read(value: Any) -> Any:
        for each in readers:
            try:
                return each(value)
            except ValueError:
                continue
        raise ValueError(f"{value!r} is no {hint}")

    return read


def _one_of(values: tuple[Any, ...], from_text: bool) -> Read:
    known = {str(value): value for value in values} if from_text else {}

    def read(value: Any) -> Any:
        for each in values:
            if each == value and type(each) is type(value):
                return each
        if from_text and value in known:
            return known[value]
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, values))}")

    return read


def _many(kind: Any, read_one: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{value!r} is no list")
        return kind(read_one(each) for each in cast("list[Any]", value))

    return read


def _so_many(readers: list[Read]) -> Read:
    def read(value: Any) -> Any:
        if type(value) not in (list, tuple) or len(value) != len(readers):
            raise ValueError(f"{value!r} is no list of {len(readers)}")
        return tuple([read_one(each) for read_one, each in zip(readers, value, strict=True)])

    return read


def _by_name(read_one: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is no mapping")
        given = cast("Mapping[str, Any]", value)  # pyright: ignore[reportUnnecessaryCast]
        return {name: read_one(each) for name, each in given.items()}

    return read


def _plain(kind: Any, from_text: bool) -> Read:
    """A value that is no collection: as it is, or read from a text or a number that stands for
    it."""
    make = _MAKERS.get(kind)
    if make is None and isinstance(kind, type) and issubclass(kind, Enum):
        make = kind
    is_number = kind in (int, float, Decimal)

    def read(value: Any) -> Any:
        if type(value) is kind or (isinstance(kind, type) and type(value) is not bool
                                   and isinstance(value, kind)):  # fmt: skip
            return value
        from_number = is_number and type(value) is int
        if make is not None and (from_text or from_number or not (is_number or kind in _TEXTS)):
            try:
                return make(value)
            except (ValueError, TypeError, ArithmeticError, KeyError):
                pass
        raise ValueError(f"{value!r} is no {getattr(kind, '__name__', kind)}")

    return read


_BOOLS = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}


def _truth(value: Any) -> bool:
    return _BOOLS[value.lower() if isinstance(value, str) else value]


# What is made of a value that is not of the type yet.
_MAKERS: dict[Any, Callable[[Any], Any]] = {
    int: int,
    float: float,
    Decimal: Decimal,
    bool: _truth,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
}
_TEXTS = (str, bytes)
