"""Directories whose names outlive a power cut.

Knows: what the system promises of names.  Must never know: what is in a file.

A name that was made, changed or removed is safe once its directory was fsynced, and no sooner: an
fsync of the file says nothing of it.  Until then each such change may be lost, and another one that
came later may not be.
"""

from __future__ import annotations

import os

__all__ = ["made_directory", "sync_directory"]


def sync_directory(path: str | os.PathLike[str]) -> None:
    """What was renamed, made or removed in a directory outlives a power cut."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(descriptor)


def made_directory(path: str) -> None:
    """Makes a directory, and those above it, if they are not there; they outlive a power cut."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(os.path.abspath(path))
    made_directory(above)
    os.makedirs(path, exist_ok=True)
    sync_directory(above)
