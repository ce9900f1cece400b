"""What happened in a run, in the format of trace events that Perfetto and Chrome read.

Knows: the format.  Must never know: which world it was, files, clocks.

The format is JSON: a list of events, each with the process and the thread (a *track*) that it is
on.  Slices of a track never overlap.  Times are in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

__all__ = ["TraceEvents", "Writer"]

Arguments: TypeAlias = Mapping[str, object]

Writer: TypeAlias = Callable[[int, int, int], None]
"""Writes an event with its start and its duration, in nanoseconds, and the items that it was of."""

NONE: Final[Arguments] = {}


class TraceEvents:
    """Events of one run; all tracks are threads of one process, which has a number and a name.

    >>> events = TraceEvents(7, "a pipeline")
    >>> events.track(1, "double")
    >>> events.slice(1, "double", 10.0, 5.0, {"items": 3})
    >>> json.loads(events.to_json())["traceEvents"][-1]["dur"]
    5.0
    """

    def __init__(self, process: int, name: str) -> None:
        self.process = process
        self.tracks = 0
        self.lines: list[str] = []
        self.add("M", "process_name", process, {"args": {"name": name}})

    def track(self, track: int, name: str) -> None:
        """Names a track; they are shown in the order in which they are named."""
        self.tracks += 1
        self.add("M", "thread_name", track, {"args": {"name": name}})
        self.add("M", "thread_sort_index", track, {"args": {"sort_index": self.tracks}})

    def slice(
        self, track: int, name: str, start: float, duration: float, arguments: Arguments = NONE
    ) -> None:
        """Something that took a while."""
        times: dict[str, object] = {"ts": round(start, 3), "dur": round(duration, 3)}
        self.add("X", name, track, times | {"args": dict(arguments)})

    def slices(self, track: int, name: str) -> Writer:
        """What writes slices of this name; most of all events are such, and this takes an eighth of
        the time, as a number in thousandths is written without being divided."""
        append, head = self.lines.append, self.head("X", name, track)

        def slice(start: int, duration: int, items: int) -> None:
            append(f'{head}{start}e-3, "dur": {duration}e-3, "args": {{"items": {items}}}}}')

        return slice

    def instants(self, track: int, name: str) -> Writer:
        """The same of moments of this name, which take no time."""
        append, head = self.lines.append, self.head("i", name, track)

        def instant(at: int, duration: int, items: int) -> None:
            append(f'{head}{at}e-3, "s": "t", "args": {{"items": {items}}}}}')

        return instant

    def head(self, kind: str, name: str, track: int) -> str:
        where = f'"pid": {self.process}, "tid": {track}'
        return f'{{"name": {json.dumps(name)}, "ph": "{kind}", {where}, "ts": '

    def instant(
        self,
        track: int,
        name: str,
        at: float,
        arguments: Arguments = NONE,
        of_all: bool = False,
    ) -> None:
        """Something that happened in a moment; `of_all`: it is of interest to all tracks."""
        scope = "p" if of_all else "t"
        self.add("i", name, track, {"ts": round(at, 3), "s": scope, "args": dict(arguments)})

    def counter(self, name: str, at: float, values: Mapping[str, float]) -> None:
        """How much there was of something."""
        self.add("C", name, self.process, {"ts": round(at, 3), "args": dict(values)})

    def add(self, kind: str, name: str, track: int, more: dict[str, object]) -> None:
        event = {"name": name, "ph": kind, "pid": self.process, "tid": track, **more}
        self.lines.append(json.dumps(event))

    def to_json(self, facts: Arguments = NONE) -> str:
        """The whole file; `facts` stand beside the events."""
        events = ",\n".join(self.lines)
        told = json.dumps(dict(facts))
        return f'{{"displayTimeUnit": "ms", "otherData": {told}, "traceEvents": [\n{events}\n]}}\n'
