"""Which engine a pipeline runs on: the one file beside `runtime` that names what is in there.

Knows: this machine as the engine, and what a caller may choose for it.  Must never know: what an
engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from os.path import realpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor._builder.checkpoint import Checkpoint
    from conveyor.core.engine import Engine, Monitor, RunOptions
    from conveyor.core.epochs import OwnManifests
    from conveyor.progress import Tell
    from conveyor.runtime.parent.async_runs import AsyncStream
    from conveyor.runtime.parent.manifests import Told
    from conveyor.runtime.parent.session import Session
    from conveyor.runtime.parent.stream import Stream
    from conveyor.runtime.placement import Placement
    from conveyor.runtime.process.start import StartMethod
    from conveyor.runtime.worker_start import WorkerStart

__all__ = [
    "run_options",
    "AsyncStream",
    "Placement",
    "Session",
    "StartMethod",
    "Stream",
    "WorkerStart",
    "Told",
    "begun_by",
    "engine_for",
    "manifest_told",
    "manifests_in",
    "session_on",
    "start_of",
]


def engine_for(start: WorkerStart, placement: Placement | None = None) -> Engine:
    """The engine that such a choice means; raises `TypeError` for what is no placement."""
    from conveyor.runtime.parent.this_machine import ThisMachine

    if placement is None:
        return ThisMachine(start)
    if not callable(getattr(placement, "place", None)):
        raise TypeError(
            f"placement is {placement!r}; it must be a Placement, such as Placement.unpinned()"
        )
    return ThisMachine(start, placement)


def begun_by(engine: Engine, start: WorkerStart) -> Engine:
    """An engine that a program has named, for a pipeline whose workers begin so.

    Raises `TypeError` for what is no engine, and what the engine raises for what it cannot do.
    """
    if isinstance(engine, type) or not callable(getattr(engine, "begun_by", None)):
        raise TypeError(
            f"engine is {engine!r}; it must be an engine, such as conveyor.cluster.Ray()"
        )
    return engine.begun_by(start)


def start_of(
    method: StartMethod | None,
    initializer: Callable[[], object] | None,
    preload: Sequence[str],
) -> WorkerStart:
    """How workers begin, as a program chooses; raises `TopologyError` for what cannot be."""
    from conveyor.runtime.worker_start import worker_start

    return worker_start(method, initializer, preload)


def run_options(
    record: str | PathLike[str] | None,
    progress: bool | Tell,
    monitor: str | None,
    trace: str | PathLike[str] | None,
) -> RunOptions:
    """What a caller wants of one run, as an engine takes it.

    Raises `TypeError` for a `progress` that is neither a truth value nor can be called, and as
    `address_of` does for a `monitor` that is no address; `ValueError` if `record` and `trace` are
    one file.
    """
    from conveyor.core.engine import RunOptions

    if record is not None and trace is not None and realpath(record) == realpath(trace):
        raise ValueError(
            f"record and trace are the same file, {fspath(trace)!r}: give each its own"
        )
    options = RunOptions(
        record=None if record is None else fspath(record),
        monitor=monitor_at(monitor),
        trace=None if trace is None else fspath(trace),
    )
    if progress is False:
        return options
    if progress is not True:
        if not callable(progress):
            raise TypeError(f"progress is True, False or a function, not {progress!r}")
        return options._replace(progress=progress)
    from conveyor.runtime.parent.progress_display import display

    return options._replace(progress=display(), in_any_thread=True)


def monitor_at(address: str | None) -> Monitor | None:
    """A monitor that is to be seen at an address, and is not open yet."""
    if address is None:
        return None
    from conveyor.runtime.monitor.address import address_of
    from conveyor.runtime.monitor.server import MonitorServer

    return MonitorServer(address_of(address))


def session_on(engine: Engine) -> Session:
    """A new session of a pipeline that runs on this engine by default."""
    from conveyor.runtime.parent.session import Session

    return Session(engine)


def manifests_in(checkpoint: Checkpoint, run: Mapping[str, object]) -> OwnManifests:
    """The manifests of a run in the directory of a checkpoint, without those of before if it is
    `fresh`."""
    from pathlib import Path

    from conveyor.runtime.parent.manifests import Directory

    found = Directory(Path(checkpoint.directory), run)
    if checkpoint.fresh:
        found.clear()
    return found


def manifest_told(directory: Path) -> Told | None:
    """What the newest manifest in the directory of a checkpoint says."""
    from conveyor.runtime.parent.manifests import told

    return told(directory)
