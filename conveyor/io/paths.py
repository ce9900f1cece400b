"""Files by path, glob or URL.

Knows: names.  Must never know: what is in a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from glob import glob, has_magic
from importlib import import_module
from typing import IO, Any, TypeAlias, cast

__all__ = [
    "Paths",
    "check_place",
    "in_order",
    "is_url",
    "keep_mode",
    "listed",
    "needed",
    "told",
    "whole",
]

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


def needed(module: str, extra: str) -> Any:
    """A module that an extra of this package brings; raises `ModuleNotFoundError` that says so."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ModuleNotFoundError(
            f"{module} is not installed: pip install 'typed-conveyor[{extra}]'", name=error.name
        ) from None


def is_url(path: str) -> bool:
    return "://" in path


def listed(paths: Paths) -> list[str]:
    """What a caller gave, as a list of paths, globs and URLs; raises `TypeError` for what is none,
    `ValueError` for an empty one."""
    given: Any = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
    if not isinstance(given, Sequence):
        raise TypeError(f"a path is a str or a Path, or a list of these, not {paths!r}")
    found: list[str] = []
    for path in cast("Sequence[object]", given):
        text: object = getattr(path, "__fspath__", lambda of=path: of)()
        if not isinstance(text, str):
            raise TypeError(f"a path is a str or a Path, not {path!r}")
        if not text:
            raise ValueError("a path is empty")
        found.append(text)
    return found


def told(paths: Paths) -> str:
    """What a caller gave, the same wherever the program runs from."""
    return ", ".join(path if is_url(path) else os.path.abspath(path) for path in listed(paths))


def in_order(paths: Paths) -> list[str]:
    """The files that these paths and globs mean now, sorted.

    Raises `FileNotFoundError` where there is none.
    """
    found: set[str] = set()
    for path in listed(paths):
        some = matches(path)
        if not some:
            raise FileNotFoundError(f"no file matches {path!r}")
        found.update(some)
    return sorted(found)


def matches(path: str) -> list[str]:
    if is_url(path):
        if not has_magic(path):
            return [path]
        fs, inside = needed("fsspec", "remote").core.url_to_fs(path)
        return [fs.unstrip_protocol(name) for name in cast("list[str]", fs.glob(inside))]
    if not has_magic(path) or os.path.exists(path):
        return [path]
    return [name for name in glob(path, recursive=True) if os.path.isfile(name)]


def whole(path: str) -> AbstractContextManager[IO[bytes]]:
    """A file as it is, packed or not."""
    if is_url(path):
        remote: AbstractContextManager[IO[bytes]] = needed("fsspec", "remote").open(path, "rb")
        return remote
    return open(path, "rb")


def check_place(path: str) -> None:
    """Raises `OSError` if a file cannot take the place of what has this name: a directory, or a
    device or a pipe, which would be gone."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f"{path} is a directory: per_epoch=True writes a file an epoch into one"
        )
    if not stat.S_ISREG(mode):
        raise OSError(
            f"{path} is no file: results go into a new file, which would take its place; "
            "write them from the results of stream()"
        )


def keep_mode(descriptor: int, path: str) -> None:
    """An open file gets the permissions of the one whose place it will take, if there is one."""
    with suppress(FileNotFoundError):
        os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
