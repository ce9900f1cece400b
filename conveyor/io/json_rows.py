"""JSON, written and read by the standard library, or read by orjson where that gives the same.

Knows: what rows are in JSON.  Must never know: files.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from conveyor.io.schema import Read, as_mapping
from conveyor.items.short_repr import short_repr

__all__ = ["dumped", "loader"]


def _plain(value: object) -> object:
    """What JSON has for a value that it does not know."""
    if hasattr(value, "isoformat"):
        return cast("Any", value).isoformat()
    try:
        return dict(as_mapping(value))
    except TypeError:
        raise TypeError(f"JSON cannot hold {value!r}") from None


class Encoder(json.JSONEncoder):
    """As `json.dumps` but compact; rows are objects, and what no JSON is, is refused."""

    def __init__(self) -> None:
        super().__init__(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)


DUMPS = Encoder().encode


def dumped(value: object) -> str:
    """A value as a line; a named tuple as what it is to its schema, not as a list."""
    kind: type[Any] = type(value)
    if hasattr(kind, "_fields"):
        value = as_mapping(value)
    try:
        return DUMPS(value)
    except ValueError as error:
        raise ValueError(f"JSON cannot hold {short_repr(value)}: {error}") from None


# Of a number with so many digits orjson makes a float where it is an int.
MANY_DIGITS = re.compile(rb"\d{19}")


def loader() -> Read:
    """What reads JSON: the standard library, or orjson where that gives the same."""
    try:
        import orjson
    except ModuleNotFoundError:
        return json.loads
    fast, slow, many_digits = orjson.loads, json.loads, MANY_DIGITS.search

    def loads(line: bytes) -> Any:
        if many_digits(line) is not None:
            return slow(line)
        try:
            return fast(line)
        except ValueError:  # NaN, or really wrong: the other one says
            return slow(line)

    return loads
