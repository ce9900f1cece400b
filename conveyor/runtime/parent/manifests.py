"""The manifests of a checkpoint, in a directory.

This file knows files, and when what is in them is safe.  It must never know what a manifest says of
a run.

    epoch-12.json   the newest manifest, and for a moment the one before
    epoch-12.bin    what goes with it: where the source goes on, pickled, and behind that the states
                    of processors and what zips have set aside, as they are

Rule 1.  What a manifest speaks of is written and fsynced before it is, and so is its name; the
         manifest is written under another name, fsynced, renamed, and then the directory is
         fsynced.  So a manifest that is there is whole, whatever the machine lost.  What it speaks
         of is removed once it is gone for good.
Rule 2.  What a manifest speaks of has a name that nothing had before: a sink of one transaction may
         have lost the epoch of a manifest that is there, and then the epoch is written again.
Rule 3.  A manifest says the size and checksum of what goes with it.  One that does not fit is no
         manifest, but a damaged directory: nothing is guessed.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple

from conveyor.core.epochs import Manifest, NodeState
from conveyor.core.set_aside import ZipState
from conveyor.directories import made_directory, sync_directory
from conveyor.errors import CheckpointMismatch
from conveyor.items.sealing import PROTOCOL
from conveyor.runtime.parent.directory_lock import DirectoryLock

__all__ = ["Directory", "Told", "said_in", "told"]

MANIFEST: Final = re.compile(r"epoch-(\d+)\.json")
PART: Final = re.compile(r"epoch-(\d+)(?:-again)*\.(json|bin|new)")
VERSION: Final = 1


class Directory:
    """A directory with the manifests of one run; `run` says of which, and is in each of them.

    It is this program's until `release` is called; `LifecycleError` if it is another one's.
    """

    def __init__(self, path: Path, run: Mapping[str, object]) -> None:
        self.path = path
        self.run = dict(run)
        made_directory(str(path))
        self.lock = DirectoryLock(path)
        self.release = self.lock.release

    def newest(self) -> Sequence[Manifest]:
        """The manifests that are there, the newest first.

        Raises `CheckpointMismatch` for one of another run, or what is damaged.
        """
        return [self.read(epoch) for epoch in epochs(self.path)]

    def read(self, epoch: int) -> Manifest:
        place = self.path / f"epoch-{epoch}.json"
        said = said_in(place)
        if said.get("version") != VERSION:
            raise CheckpointMismatch(f"{place} is of another version of Conveyor; begin again")
        self.compare(said["run"])
        data = data_of(self.path, said)
        if data is None:
            raise CheckpointMismatch(
                f"{place}: what goes with it is damaged; nothing of it was used"
            )
        at = said["head"]
        position, nodes, kept = pickle.loads(data[:at])
        states: dict[int, NodeState] = {}

        def part(size: int | None) -> bytes | None:
            nonlocal at
            at += size or 0
            return None if size is None else data[at - size : at]

        for node, (counts, positions, size, clock, zips) in nodes.items():
            state = part(size)
            known = {
                name: ZipState(tuples, left_over, part(size))
                for name, (tuples, left_over, size) in zips.items()
            }
            states[node] = NodeState(counts, positions, state, clock, known)
        return Manifest(epoch, position, states, said["is_finished"], kept)

    def compare(self, run: Mapping[str, object]) -> None:
        """Raises `CheckpointMismatch` if the directory is of another run, with the difference."""
        differences = [
            f"{what} is {self.run.get(what)!r}, and was {run.get(what)!r}"
            for what in sorted({*run, *self.run})
            if run.get(what) != self.run.get(what)
        ]
        if differences:
            raise CheckpointMismatch(
                f"{self.path} is the checkpoint of another run: {'; '.join(differences)}. Give it "
                "a directory of its own, or begin again with fresh=True"
            )

    def write(self, manifest: Manifest) -> None:
        """Keeps a manifest for good."""
        epoch, position, nodes, is_finished, kept = manifest
        said_of = {
            node: (
                *(counts, positions, size_of(state), clock),
                {name: (*known, size_of(aside)) for name, (*known, aside) in zips.items()},
            )
            for node, (counts, positions, state, clock, zips) in nodes.items()
        }
        head = pickle.dumps((position, said_of, dict(kept)), PROTOCOL)
        # Not one pickle: that would copy large states, and hold up the run meanwhile.
        parts = [head, *chain.from_iterable(map(parts_of, nodes.values()))]
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        said = {
            "version": VERSION,
            "run": self.run,
            "is_finished": is_finished,
            "data": self.unused(epoch),
            "head": len(head),
            "checksum": checksum,
            "position": repr(position),
            "nodes": {
                node: (known.counts[0], sum(map(len, parts_of(known))))
                for node, known in nodes.items()
            },
        }
        store(self.path / str(said["data"]), *parts)
        place = self.path / f"epoch-{epoch}.json"
        written = place.with_suffix(".new")
        store(written, json.dumps(said, indent=1).encode())
        sync_directory(self.path)
        os.rename(written, place)
        sync_directory(self.path)

    def unused(self, epoch: int) -> str:
        """A name for what goes with a manifest, which nothing has."""
        names = (f"epoch-{epoch}{'-again' * n}.bin" for n in count())
        return next(name for name in names if not (self.path / name).exists())

    def forget(self, before: int) -> None:
        """Removes manifests of earlier epochs: first the manifest, then what goes with it."""
        for each in list(self.path.iterdir()):
            found = PART.fullmatch(each.name)
            if found is not None and int(found[1]) < before and found[2] == "json":
                each.unlink()
        sync_directory(self.path)
        for each in list(self.path.iterdir()):
            found = PART.fullmatch(each.name)
            if found is not None and int(found[1]) < before:
                each.unlink()

    def clear(self) -> None:
        """Forgets all of them."""
        self.forget(1 << 62)


def size_of(data: bytes | None) -> int | None:
    return None if data is None else len(data)


def parts_of(known: NodeState) -> list[bytes]:
    """What goes with a manifest of one node: the state of its processor, and what each of its zips
    has set aside."""
    parts = known.state, *(zipped.aside for zipped in known.zips.values())
    return [part for part in parts if part is not None]


class Told(NamedTuple):
    """What a manifest says of itself; `position` is a `repr`, `workers` are the name of each with
    the items that it had taken and the bytes of its state, `kept_at` is seconds since 1970."""

    epoch: int
    is_finished: bool
    is_whole: bool
    kept_at: float
    stages: Sequence[str]
    source: str
    sink: str
    position: str
    workers: Sequence[tuple[str, int, int]]


def told(path: Path) -> Told | None:
    """What the newest manifest in a directory says, None if there is none; unpickles nothing.

    Raises `OSError` for what is no directory, `CheckpointMismatch` for what is no manifest.
    """
    newest = epochs(path)[:1]
    while newest:
        try:
            found = told_of(path, *newest)
        except FileNotFoundError:
            found = None
        before, newest = newest, epochs(path)[:1]
        if newest == before:  # else the run has gone on meanwhile, and forgotten this one
            return found
    return None


def told_of(path: Path, epoch: int) -> Told:
    place = path / f"epoch-{epoch}.json"
    said = said_in(place)
    try:
        run = said["run"]
        names = run["workers"]
        workers = [
            (names[int(node)], items, size)
            for node, (items, size) in said["nodes"].items()
            if 0 < int(node) < len(names) - 1  # the source and the sink are none
        ]
        ends = run["source"], run["sink"]
        is_finished, position, stages = said["is_finished"], said["position"], run["stages"]
        is_whole = data_of(path, said) is not None
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointMismatch(f"{place} is no manifest of a checkpoint: {error!r}") from error
    kept_at = place.stat().st_mtime
    return Told(epoch, is_finished, is_whole, kept_at, stages, *ends, position, workers)


def said_in(place: Path) -> dict[str, Any]:
    """What is in the file of a manifest; raises `CheckpointMismatch` if that is none."""
    try:
        said: dict[str, Any] = dict(json.loads(place.read_bytes()))
    except (ValueError, TypeError) as error:
        raise CheckpointMismatch(f"{place} is no manifest of a checkpoint: {error!r}") from error
    return said


def data_of(path: Path, said: Mapping[str, Any]) -> bytes | None:
    """What goes with a manifest; None if that is damaged or gone."""
    try:
        data = (path / said["data"]).read_bytes()
    except FileNotFoundError:
        return None
    return data if zlib.crc32(data) == said["checksum"] else None


def epochs(path: Path) -> list[int]:
    """Of which epochs there is a manifest in a directory, the newest first."""
    found = [MANIFEST.fullmatch(each.name) for each in path.iterdir()]
    return sorted((int(each[1]) for each in found if each is not None), reverse=True)


def store(path: Path, *parts: bytes) -> None:
    """Writes a file, safe once this returns.  If the disk has no room, nothing is left of it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
        os.fsync(fd)
    except OSError as error:
        error.filename = str(path)
        with suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(fd)
