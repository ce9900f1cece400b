"""The power goes off at any step of a run that is kept: whatever the disk has lost of what was not
safe, the run goes on, and its sink holds what an undisturbed one would.

The order of sink and manifests is the real one, and so are the manifests; what the sink is given
is written down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from conveyor.core.epochs import Epochs, Manifest, NodeState
from conveyor.io import Csv, JsonLines, Lines, Parquet
from conveyor.runtime.parent.manifests import Directory
from tests.helpers import PROVE
from tests.io.power import Disk, State, put
from tests.io.tables import read_table, table

RUN = {"source": "items", "sink": "one", "stages": [], "workers": ["job"]}

ITEMS = ["a", "b", "c", "d", "e" * 9000, "f", "g"]
# Where epochs end; in another life, elsewhere.  Some have no results.
ENDS = ([2, 3, 3, 5, 7], [1, 2, 2, 4, 4, 6, 7], [1, 4, 5, 5, 6, 6, 7])


@dataclass(frozen=True)
class Kept:
    """A sink in a folder, what it is given for an item, and how all is read that it holds."""

    make: Callable[[Path], Any]
    read: Callable[[Path], Sequence[Any]]
    row: Callable[[str], Any] = str


def as_row(item: str) -> dict[str, str]:
    return {"text": item}


def texts(rows: Sequence[Any]) -> list[str]:
    return [row["text"] for row in rows]


def files(at: Path) -> str:
    return f"{at}/made/out/[!.]*"


SINKS = {
    "lines": Kept(lambda at: Lines(at / "out.txt"), lambda at: [*Lines(at / "out.txt")]),
    "lines, packed": Kept(
        lambda at: Lines(at / "out.txt.gz"), lambda at: [*Lines(at / "out.txt.gz")]
    ),
    "csv": Kept(lambda at: Csv(at / "out"), lambda at: texts([*Csv(at / "out")]), as_row),
    "json, a file an epoch": Kept(
        lambda at: JsonLines(at / "made" / "out", per_epoch=True),
        lambda at: [*JsonLines(files(at))],
    ),
    "sqlite": Kept(table, read_table, as_row),
}
if find_spec("pyarrow"):
    SINKS["parquet, a file an epoch"] = Kept(
        lambda at: Parquet(at / "made" / "out", per_epoch=True),
        lambda at: texts([*Parquet(files(at))]),
        as_row,
    )


def live(kept: Kept, at: Path, ends: Sequence[int]) -> None:
    """A life of a run, to its end."""
    epochs = Epochs(Directory(at / "states" / "of a run", RUN), sink := kept.make(at))
    manifest = epochs.resume()
    if manifest is not None and manifest.is_finished:
        return
    position: Any = 0 if manifest is None else manifest.position
    for begin, end in pairwise([position, *[each for each in ends if each >= position]]):
        for item in ITEMS[begin:end]:
            sink.write([kept.row(item)])
        known = {0: NodeState((end,), (end,), b"s" * 5000)}
        epochs.complete(Manifest(epochs.epoch, end, known))
    epochs.complete(Manifest(epochs.epoch, len(ITEMS), {}, is_finished=True))


class Off(BaseException):
    """The power is off."""


def cut(kept: Kept, at: Path, ends: Sequence[int], step: int) -> Disk | None:
    """What the disk is like if the power goes off before a step of a life; None if it has fewer."""
    left = step

    def at_each() -> None:
        nonlocal left
        if not left:
            raise Off
        left -= 1

    disk = Disk(at, at_each)
    try:
        with disk.recording():
            live(kept, at, ends)
    except Off:
        disk.goes_off()
        return disk
    return None


def with_database(state: State, at: Path) -> State:
    """The files of a database are its own affair, which writes them by no way that is seen here."""
    kept = {name: (at / name).read_bytes() for name in os.listdir(at) if name.startswith("db")}
    return {**{path: data for path, data in state.items() if not path.startswith("db")}, **kept}


def check_states_of(
    disk: Disk, kept: Kept, at: Path, random: Random, more: int, ends: Sequence[int]
) -> int:
    """Goes on from some of the states that a cut may leave; gives how many."""
    seen: list[State] = []
    for state in disk.states(random, more):
        found = with_database(state, at)
        if found in seen:
            continue
        seen.append(found)
        again = at.parent / "again"
        put(found, again)
        try:
            with patch("os.fsync"):
                live(kept, again, ends)
            said = kept.read(again)
        except Exception as error:
            error.add_note(f"from {tell(found)}")
            raise
        assert said == ITEMS, tell(found)
    return len(seen)


def tell(state: State) -> str:
    return ", ".join(f"{path}: {data!r:.80}" for path, data in sorted(state.items()))


@pytest.mark.parametrize("name", SINKS)
def test_the_power_goes_off_before_any_step(name: str, tmp_path: Path) -> None:
    kept, random, states = SINKS[name], Random(name), 0
    stride = 1 if PROVE else 25
    for step in range(random.randrange(stride), 1 << 30, stride):
        # A directory of its own, as what died there may have a database open still
        at, second = tmp_path / f"first-{step}", tmp_path / f"second-{step}"
        put({}, at)
        (at / "out.txt").write_text("of another run\n")
        disk = cut(kept, at, ENDS[0], step)
        if disk is None:
            break
        states += check_states_of(disk, kept, at, random, 20 if PROVE else 1, ENDS[1])
        again = random.choice([*disk.states(random, 2)])
        put(with_database(again, at), second)
        disk = cut(kept, second, ENDS[1], random.randrange(1 + stride * 12))
        if disk is not None:
            states += check_states_of(disk, kept, second, random, 5 if PROVE else 1, ENDS[2])
    assert states > (500 if PROVE else 5), states
