"""What happened in a run, in the format of trace events that Perfetto and Chrome read.

Knows: the format.  Must never know: which world it was, files, clocks.

The format is JSON: a list of events, each with the process and the thread (a *track*) that it is
on.  Slices of a track never overlap.  Times are in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

__all__ = ["TraceEvents"]

Arguments: TypeAlias = Mapping[str, object]

NONE: Final[Arguments] = {}


class TraceEvents:
    """Events of one run; all tracks are threads of one process, which has a number and a name.

    >>> events = TraceEvents(7, "a pipeline")
    >>> events.track(1, "double")
    >>> events.slice(1, "double", 10.0, 5.0, 3)
    >>> json.loads(events.to_json())["traceEvents"][-1]["dur"]
    5.0
    """

    def __init__(self, process: int, name: str) -> None:
        self.process = process
        self.tracks = 0
        self.lines: list[str] = []
        self.names: dict[str, str] = {}  # as JSON
        self.add("M", "process_name", process, {"args": {"name": name}})

    def track(self, track: int, name: str) -> None:
        """Names a track; they are shown in the order in which they are named."""
        self.tracks += 1
        self.add("M", "thread_name", track, {"args": {"name": name}})
        self.add("M", "thread_sort_index", track, {"args": {"sort_index": self.tracks}})

    def slice(
        self,
        track: int,
        name: str,
        start: float,
        duration: float,
        items: int | None = None,
        arguments: Arguments = NONE,
    ) -> None:
        """Something that took a while, perhaps with so many items."""
        if (text := self.names.get(name)) is None:
            text = self.names[name] = json.dumps(name)
        told = json.dumps(dict(arguments)) if arguments else "{}"
        if items is not None:
            told = f'{{"items": {items}}}'
        self.lines.append(  # most of all events are slices: by `dumps` one would take 5 us
            f'{{"name": {text}, "ph": "X", "ts": {start:.3f}, "dur": {duration:.3f}, '
            f'"pid": {self.process}, "tid": {track}, "args": {told}}}'
        )

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
