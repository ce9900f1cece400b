"""What the engine says of itself to the logger `conveyor`: nothing for each item.

Knows: the words.  Must never know: who listens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Final

from conveyor.graph.topology import Topology
from conveyor.items.short_repr import message_of
from conveyor.report import Report

__all__ = ["ENGINE", "EngineLog", "announce"]

ENGINE: Final = logging.getLogger("conveyor")
ENGINE.addHandler(logging.NullHandler())  # a program that sets up no logging is told nothing


class EngineLog:
    """The witness that writes it down; records have the fields that those of jobs have."""

    def __init__(
        self, topology: Topology, start_method: str, machine: Callable[[int], str | None]
    ) -> None:
        self.topology = topology
        self.start_method = start_method
        self.machine = machine  # the name of that of a node's worker, None: this one

    def says(
        self, level: int, text: str, *args: object, stage: str | None = None, pid: int | None = None
    ) -> None:
        ENGINE.log(level, text, *args, extra={"stage": stage, "worker": pid, "item": None})

    def name(self, node: int) -> str:
        return self.topology.nodes[node].name

    def begins(self, run: int, workers: int) -> None:
        self.says(logging.INFO, "run %d begins: %d workers", run, workers)

    def ended(self, run: int, report: Report, how: str) -> None:
        self.says(logging.INFO, "run %d is %s, after %.3f s", run, how, report.seconds)

    def failed(self, run: int, how: str, error: BaseException) -> None:
        level = logging.INFO if how == "stopped" else logging.WARNING
        self.says(level, "run %d has %s: %s", run, how, name_of(error))

    def goes_on(self, where: str) -> None:
        self.says(logging.WARNING, "the run goes on on the machines that are left, %s", where)

    # ---------------------------------------------------------------------------
    # as a witness

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        where = f"on core {', '.join(map(str, cores))}" if cores else "wherever the system puts it"
        if (machine := self.machine(node)) is not None:
            where += f" on {machine!r}"
        text = "stage %r: worker %d was started by %s, %s"
        if life > 1:
            text = "stage %r: worker %d takes over, started by %s, %s"
        self.says(
            logging.INFO,
            text,
            self.name(node),
            pid,
            self.start_method,
            where,
            stage=self.name(node),
            pid=pid,
        )

    def died(self, node: int, pid: int, how: str) -> None:
        name = self.name(node)
        self.says(logging.WARNING, "stage %r: worker %d %s", name, pid, how, stage=name, pid=pid)

    def overdue(self, node: int, pid: int) -> None:
        name = self.name(node)
        text = "stage %r: worker %d is killed: its item takes longer than timeout_s allows"
        self.says(logging.WARNING, text, name, pid, stage=name, pid=pid)

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        what = "opens" if lanes > before else "closes"
        text = "fork %r %s lanes: %d are open, %d were before"
        self.says(logging.INFO, text, fork, what, lanes, before, stage=fork)

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        for node in forgotten:
            name = self.name(node)
            text = "stage %r: its worker slept although there was work for it, and was woken"
            self.says(logging.WARNING, text, name, stage=name)
        if yielding:
            names = ", ".join(repr(self.name(node)) for node in yielding)
            text = "nothing could go on within what was measured: soft limits are lifted for %s"
            self.says(logging.INFO, text, names)


def announce(url: str) -> None:
    """Says where the monitor of a run is to be seen; on a terminal, too."""
    fields = {"stage": None, "worker": None, "item": None}
    ENGINE.info("the monitor of the run is at %s", url, extra=fields)
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"conveyor: watch the run at {url}", file=sys.stderr, flush=True)


def name_of(error: BaseException) -> str:
    first, *_ = message_of(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
