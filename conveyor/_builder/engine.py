"""Which engine a pipeline runs on: the one file beside `runtime` that names what is in there.

Knows: this machine as the engine, and what a caller may choose for it.  Must never know: what an
engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor.core.engine import Engine
    from conveyor.runtime.parent.async_runs import AsyncStream
    from conveyor.runtime.parent.session import Session
    from conveyor.runtime.parent.stream import Stream
    from conveyor.runtime.placement import Placement
    from conveyor.runtime.process.start import StartMethod

__all__ = [
    "AsyncStream",
    "Placement",
    "Session",
    "StartMethod",
    "Stream",
    "engine_for",
    "session_on",
]


def engine_for(start_method: StartMethod | None, placement: Placement | None = None) -> Engine:
    """The engine that such a choice means."""
    from conveyor.runtime.parent.this_machine import ThisMachine

    if placement is None:
        return ThisMachine(start_method)
    return ThisMachine(start_method, placement)


def session_on(engine: Engine) -> Session:
    """A new session of a pipeline that runs on this engine by default."""
    from conveyor.runtime.parent.session import Session

    return Session(engine)
