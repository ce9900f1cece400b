"""A pipeline that is open beside this program, as an engine gives it.

Knows: which of the two ways of running is asked for.  Must never know: how either goes on.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable

from conveyor.core.engine import RunOptions, StopToken
from conveyor.core.keeping import Keeping
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.report import RunResult
from conveyor.runtime.parent.crew import Site
from conveyor.runtime.parent.recorder import Recorder
from conveyor.runtime.parent.run_tracer import RunTracer
from conveyor.runtime.parent.runner import Runner
from conveyor.runtime.parent.streaming import Streaming

__all__ = ["ProgramDeployment"]


def check_writable(path: str) -> None:
    """Raises `OSError` if no file can be written there; leaves what is there as it is."""
    is_there = os.path.exists(path)
    if is_there and not os.path.isfile(path) and not os.path.isdir(path):
        return  # a pipe, at whose other end one would take this for the whole
    with open(path, "ab"):
        pass
    if not is_there:
        os.unlink(os.path.realpath(path))


class ProgramDeployment:
    """The workers of one pipeline, wherever they are, and the program's own part of its runs.

    Making one starts the workers, and raises as `Engine.open` does.
    """

    def __init__(
        self, topology: Topology, site: Site, paces: Paces, keeping: Keeping | None = None
    ) -> None:
        self.runner = Runner(topology, site, paces, keeping)

    def run(
        self, items: Iterable[object], stop: StopToken, options: RunOptions
    ) -> RunResult[object]:
        recorder, tracer = self.writers(options)
        return self.runner.run(items, stop, options, recorder, tracer)

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> Streaming:
        recorder, tracer = self.writers(options)
        return Streaming(self.runner, items, stop, options, recorder, tracer, results)

    def writers(self, options: RunOptions) -> tuple[Recorder | None, RunTracer | None]:
        """What writes a run into files.

        Raises `OSError` if one of them cannot be written, and leaves the other as it is then.
        """
        for path in (options.record, options.trace):
            if path is not None:
                check_writable(path)
        return self.recorder_into(options.record), self.tracer_into(options.trace)

    def recorder_into(self, path: str | None) -> Recorder | None:
        """What writes a run into a file, if it is to be recorded."""
        if path is None:
            return None
        return Recorder(path, self.runner.topology)

    def tracer_into(self, path: str | None) -> RunTracer | None:
        """What traces a run into a file, if that is asked for."""
        if path is None:
            return None
        supervisor = self.runner.supervisor
        return RunTracer(path, supervisor.shared, supervisor.processes)

    def paces(self) -> Paces:
        return self.runner.paces

    def is_outdated(self) -> bool:
        return self.runner.is_outdated()

    def is_busy(self) -> bool:
        return self.runner.is_busy()

    def close(self) -> None:
        self.runner.end()
