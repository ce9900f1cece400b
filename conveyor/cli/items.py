"""Items from files or standard input, and results to standard output, as text."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Final, TextIO

from conveyor.cli.exits import FAILED, WRONG_CALL, CommandFailed

__all__ = ["KINDS", "as_document", "items_of", "open_stream", "written"]


def lines_of(file: TextIO) -> Iterator[object]:
    for line in file:
        yield line.removesuffix("\n")


def documents_of(file: TextIO) -> Iterator[object]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise CommandFailed(
                    f"{file.name}:{number}: this line is no JSON: {error}", FAILED
                ) from error


def rows_of(file: TextIO) -> Iterator[object]:
    yield from csv.DictReader(file)


KINDS: Final[dict[str, Callable[[TextIO], Iterator[object]]]] = {
    "lines": lines_of,
    "json": documents_of,
    "csv": rows_of,
}


def items_of(paths: Iterable[str], kind: str) -> Iterator[Any]:
    """The items in some files, one after the other; of standard input for `-` or no file at all.

    `kind` is one of `KINDS`: lines without their ends, a JSON document a line, or rows of CSV with
    a head, as dictionaries.  Raises `CommandFailed` for what cannot be read.
    """
    for path in list(paths) or ["-"]:
        with ExitStack() as closing:
            try:
                yield from KINDS[kind](opened(path, closing))
            except UnicodeDecodeError as error:
                raise CommandFailed(f"{path}: {error}", FAILED) from error


def opened(path: str, closing: ExitStack) -> TextIO:
    if path == "-":
        return open_stream(sys.stdin, "input")
    try:
        return closing.enter_context(open(path, encoding="utf-8", newline=None))
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", WRONG_CALL) from error


def open_stream(stream: TextIO | None, name: str) -> TextIO:
    """A standard stream; a program that was started without it has none."""
    if stream is None:
        raise CommandFailed(f"standard {name} is closed", WRONG_CALL)
    return stream


def written(result: object, as_json: bool) -> None:
    """Writes a result as a line: its `str`, or one JSON document."""
    print(as_document(result) if as_json else result)


def as_document(value: object) -> str:
    """One line of JSON; what JSON does not know is told by its `repr`."""
    return json.dumps(value, default=plain, ensure_ascii=False)


def plain(value: object) -> object:
    """What stands in JSON for a value that it does not know."""
    if isinstance(value, (set, frozenset)):
        members: list[object] = [*value]
        return members
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields}
    return repr(value)
