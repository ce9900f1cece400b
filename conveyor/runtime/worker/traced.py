"""A worker that notes when it does what, for a parent that traces the run.

This file knows the clock.  It must never know what is made of what is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter_ns
from typing import Final

from conveyor.core.job_node import Piece
from conveyor.runtime.shm.trace_log import SpanKind, TraceWriter, decision
from conveyor.runtime.step.batching import Meter

__all__ = ["TracedMeter", "note_decision"]

A_MOMENT_NS: Final = 10_000  # less behind the last piece of a slice is not worth an event


class TracedMeter(Meter):
    """Notes each slice, or each piece of one that is made piece by piece."""

    trace: TraceWriter  # set before the first slice

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        started = perf_counter_ns()
        pieces = super().__call__(items, skip, limit)
        if isinstance(pieces, tuple):
            self.trace.add(SpanKind.SLICE, started, perf_counter_ns() - started, len(items))
            return pieces
        return self.noted(pieces, SpanKind.SLICE, len(items), started)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.noted(super().finish(skip, limit), SpanKind.FINISH, 0, perf_counter_ns())

    def noted(
        self, pieces: Iterable[Piece], kind: SpanKind, items: int, started: int
    ) -> Iterator[Piece]:
        try:
            for piece in pieces:
                self.trace.add(kind, started, perf_counter_ns() - started, items)
                items = 0  # they are counted once
                yield piece
                started = perf_counter_ns()
        finally:
            spent = perf_counter_ns() - started
            if items or spent > A_MOMENT_NS:
                self.trace.add(kind, started, spent, items)


def note_decision(trace: TraceWriter, point: int, lane: int, items: int) -> None:
    """Notes which input a join reads, which lane a fork chooses, or whether something comes due."""
    trace.put(decision(point, lane, items), perf_counter_ns(), 0)
