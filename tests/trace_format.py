"""The rules of the trace event format, as Perfetto's importer holds them: what it would leave out
or show in another place is an error here."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

COUNTED = {"M": 0, "X": 0, "i": 0, "C": 0}
NAMING = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}
ROUNDING_US = 0.002


class TraceFile:
    """A file of trace events that was found to be well formed."""

    def __init__(self, text: str) -> None:
        self.whole: dict[str, Any] = json.loads(text)
        self.events: list[dict[str, Any]] = self.whole["traceEvents"]
        self.tracks: dict[int, str] = {}
        self.slices: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for event in self.events:
            self.take(event)
        for track, slices in self.slices.items():
            check_no_overlap(track, slices)

    @classmethod
    def read(cls, path: Path) -> TraceFile:
        return cls(path.read_text("utf-8"))

    def take(self, event: dict[str, Any]) -> None:
        assert event["ph"] in COUNTED, event
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert isinstance(event["name"], str)
        assert event["name"]
        arguments: dict[str, Any] = event["args"]
        match event["ph"]:
            case "M":
                value = arguments[NAMING[event["name"]]]
                if event["name"] == "thread_name":
                    assert event["tid"] not in self.tracks, "a track is named once"
                    self.tracks[event["tid"]] = value
            case "X":
                check_time(event["ts"])
                check_time(event["dur"])
                assert event["tid"] in self.tracks, f"a slice on a track without a name: {event}"
                self.slices[event["tid"]].append(event)
            case "i":
                check_time(event["ts"])
                assert event["s"] in ("g", "p", "t")
                assert event["tid"] in self.tracks, f"on a track without a name: {event}"
            case _:
                check_time(event["ts"])
                assert all(isinstance(value, int | float) for value in arguments.values())

    def named(self, text: str) -> list[dict[str, Any]]:
        """The events with this in their name."""
        return [event for event in self.events if text in event["name"] and event["ph"] != "M"]

    def items(self, name: str) -> int:
        """How many items the slices or decisions with this in their name were of in all."""
        found = [event for event in self.named(name) if event["ph"] != "C"]
        return sum(event["args"].get("items", 0) for event in found)


def check_time(value: object) -> None:
    assert isinstance(value, int | float)
    assert value >= 0


def check_no_overlap(track: int, slices: list[dict[str, Any]]) -> None:
    """Perfetto leaves out a slice that begins inside of another one and ends behind it."""
    ordered = sorted(slices, key=lambda event: (event["ts"], -event["dur"]))
    ends: list[float] = []
    for event in ordered:
        begins, over = event["ts"], event["ts"] + event["dur"]
        while ends and ends[-1] <= begins + ROUNDING_US:
            ends.pop()
        assert not ends or over <= ends[-1] + ROUNDING_US, f"track {track}: {event} overlaps"
        ends.append(over)
