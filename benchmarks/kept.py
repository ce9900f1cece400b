"""What it costs to keep a run in a checkpoint: the same pipelines, kept and not; how soon one goes
on in a large file; how long a large state holds up a stream while it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.fine import chain
from benchmarks.harness import Comparison, Goal, Section
from benchmarks.jobs import KEYS, Data, Stopped, key_of, until_kept, upper, work
from conveyor import BalancingFork, Checkpoint, Join, PerKey, Pipeline, Processor
from conveyor.core.epochs import Manifest
from conveyor.io import Lines
from conveyor.io.reading import FilePosition
from conveyor.runtime.parent.manifests import Directory, said_in

EVERY_S = 10.0
FINE, COARSE = 30_000_000, 80_000  # items: a dozen seconds or more, so that a run is kept in it
MILLION = 1e6
SIZES = (10**8, 10**9, 10**10)  # bytes
LINES = 100_000
STATE_ITEMS = 12_000  # more than a dozen seconds
MS = 1e3


class Nowhere:
    """A sink that counts, and notes when its first results came."""

    def __init__(self) -> None:
        self.items, self.first = 0, 0.0

    def open(self, epoch: int, /) -> None: ...

    def write(self, items: Sequence[object], /) -> None:
        self.first = self.first or perf_counter()
        self.items += len(items)

    def prepare(self, epoch: int, /) -> None: ...
    def commit(self, epoch: int, /) -> None: ...
    def abort(self) -> None: ...
    def identity(self) -> str:
        return "nowhere"


def balanced() -> Pipeline[Any, Any]:
    return Pipeline[int]().add(BalancingFork()).add(Processor(work)).add(Join())


def drained(make: Callable[[], Pipeline[Any, Any]], items: int, *, is_kept: bool) -> None:
    sink = Nowhere()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(folder, every_s=EVERY_S) if is_kept else None
        make().drain(range(items), into=sink, checkpoint=checkpoint)
    assert sink.items == items


def costs(rounds: int) -> tuple[Comparison, Comparison, list[Goal]]:
    """How fast runs are that are kept, beside the same that are not."""
    fine, coarse = Comparison("M items/s", rounds), Comparison("items/s", rounds)
    plain, kept = "a worker for every stage", "the same, kept"
    shared, shared_kept = "defaults: stages that share workers", "defaults, kept"

    def add(to: Comparison, name: str, make: Any, items: int, unit: float, is_kept: bool) -> None:
        to.add_rate(name, items / unit, lambda: drained(make, items, is_kept=is_kept))

    add(fine, plain, lambda: chain(pipes=True), FINE, MILLION, False)
    add(fine, kept, lambda: chain(pipes=True), FINE, MILLION, True)
    add(fine, shared, lambda: chain(pipes=False), 2 * FINE, MILLION, False)
    add(fine, shared_kept, lambda: chain(pipes=False), 2 * FINE, MILLION, True)
    add(coarse, "balanced", balanced, COARSE, 1, False)
    add(coarse, "the same, kept", balanced, COARSE, 1, True)
    goals = [
        Goal("D1", what, comparison.measure().ratio(name, of), 0.99)
        for comparison, what, name, of in (
            (fine, "fine work, kept every 10 s: of the same that is not", shared_kept, shared),
            (coarse, "coarse work, kept every 10 s: the same", "the same, kept", "balanced"),
        )
    ]
    return fine, coarse, goals


def resumed_after(size: int) -> float:
    """Seconds from the call to the first result, of a run that goes on behind so many bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, states = folder / "in.txt", folder / "states"
        path.write_text("a line\n" * LINES)
        with suppress(Stopped):
            Pipeline[str]().add(Processor(until_kept(states), name="upper")).drain(
                Lines(path), into=Nowhere(), checkpoint=Checkpoint(states, every_s=0.01)
            )
        begin = moved(states, path, size)
        with path.open("r+b") as file:  # what is before is a hole, of which nothing is read
            file.seek(begin)
            file.write(b"a line\n" * LINES)
        sink, started = Nowhere(), perf_counter()
        Pipeline[str]().add(Processor(upper, name="upper")).drain(
            Lines(path), into=sink, checkpoint=Checkpoint(states)
        )
        assert sink.items == LINES
        return sink.first - started


def moved(states: Path, path: Path, size: int) -> int:
    """Lets a checkpoint go on behind so many bytes of its file, and gives where that is."""
    (newest,) = states.glob("*.json")
    directory = Directory(states, said_in(newest)["run"])
    manifest: Manifest = directory.newest()[0]
    position = manifest.position
    assert isinstance(position, FilePosition)
    behind = position._replace(offset=size)
    path.write_bytes(b"")
    directory.write(manifest._replace(epoch=manifest.epoch + 1, position=behind))
    directory.forget(manifest.epoch + 1)
    return size


def gaps(*, is_kept: bool) -> float:
    """The longest time between two results, in ms, once the state is large."""
    longest, before = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline[int]().add(PerKey(key_of, Data))
        checkpoint = Checkpoint(folder, every_s=EVERY_S) if is_kept else None
        for n, _ in enumerate(results_of(pipeline, checkpoint)):
            now = perf_counter()
            if n > KEYS + 200:
                longest = max(longest, now - before)
            before = now
    return longest * MS


def results_of(pipeline: Any, checkpoint: Checkpoint | None) -> Iterator[int]:
    with pipeline.stream(range(KEYS + STATE_ITEMS), checkpoint=checkpoint) as stream:
        for result in stream:
            if checkpoint is not None:
                stream.acknowledge()
            yield result


def measure(rounds: int) -> Section:
    fine, coarse, goals = costs(rounds)
    resumes = Comparison("s to the first result", rounds)
    for size in SIZES:
        resumes.add(f"behind {size / 1e9:g} GB", lambda size=size: resumed_after(size))  # type: ignore[misc]  # mypy infers no lambda with a default
    states = Comparison("ms, the longest between two results", rounds)
    states.add("a state of 100 MB", lambda: gaps(is_kept=False))
    states.add("the same, kept every 10 s", lambda: gaps(is_kept=True))
    resumes.measure()
    states.measure()
    goals += [
        Goal(
            "D2",
            "seconds until a run goes on behind 10 GB",
            resumes.median(f"behind {SIZES[-1] / 1e9:g} GB"),
            2.0,
            at_least=False,
        ),
        Goal(
            "D3",
            "ms for which a state of 100 MB that is kept holds up a stream",
            states.median("the same, kept every 10 s"),
            50.0,
            at_least=False,
        ),
    ]
    text = (
        "The same pipelines from a range into a sink that counts, kept in a checkpoint every 10 s, "
        "and not. A run that\ngoes on in a text file (a hole, but for the end). A stream of items "
        "of 1 ms into 1,000 keys of 100 kB each, of\nwhich one is changed by every eighth item, so "
        "that the state is written anew meanwhile."
    )
    tables = [each.markdown() for each in (fine, coarse, resumes, states)]
    return Section("Kept runs", text, tables, goals)
