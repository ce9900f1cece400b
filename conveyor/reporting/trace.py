"""What happened in a simulated run, step by step.

Knows: events, and how to print them.  Must never know: how they were seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, assert_never

from conveyor.reporting.trace_events import TraceEvents

__all__ = ["Event", "EventKind", "Trace"]

WIDEST: Final = 60
TICK_US: Final = 1000.0


class EventKind(Enum):
    RUN = "run"  # a worker did a slice of items
    FINISH = "finish"  # it gave what comes after the last item
    DECISION = "decision"
    DEATH = "dies"
    RESTART = "comes back"
    FAILURE = "fails"


class Event(NamedTuple):
    """One thing that happened.

    time: virtual, in slices: one takes a tick, and begins when its items are there and its worker
    is free; worker: the name of its stage, or of the join or fork that decided; items and outputs:
    short reprs; text: what was decided, or how it failed.
    """

    time: int
    worker: str
    what: EventKind
    items: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    text: str = ""


class Trace(tuple[Event, ...]):
    """The events of a run in the order in which they happened; `print(trace)` is a table.

    >>> print(Trace([Event(1, "double", EventKind.RUN, ("2",), ("4",))]))
    time  worker  what  items  outputs
    ----  ------  ----  -----  -------
       1  double  run   2      4
    """

    __slots__ = ()

    def __new__(cls, events: Iterable[Event] = ()) -> Trace:
        return super().__new__(cls, tuple(events))

    def __str__(self) -> str:
        rows = [("time", "worker", "what", "items", "outputs")]
        rows += [
            (
                str(event.time),
                event.worker,
                event.what.value,
                _cell(event.items) or event.text,
                _cell(event.outputs),
            )
            for event in self
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                [
                    row[0].rjust(widths[0]),
                    *(cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> str:
        """The same in the format of trace events, as the `trace=` of a run writes it: a track for
        each worker and each decision point, a tick as a millisecond.

        `Path("run.json").write_text(simulation.trace.to_json())` makes a file for Perfetto.
        """
        written = TraceEvents(1, "simulated pipeline")
        tracks: dict[str, int] = {}
        for event in self:
            if event.worker not in tracks:
                tracks[event.worker] = len(tracks) + 1
                written.track(tracks[event.worker], event.worker)
            _write(event, tracks[event.worker], written)
        return written.to_json({"world": "simulated"})


def _write(event: Event, track: int, written: TraceEvents) -> None:
    match event.what:
        case EventKind.RUN | EventKind.FINISH:
            name = event.worker if event.what is EventKind.RUN else event.what.value
            shown = {"items": list(event.items), "outputs": list(event.outputs)}
            written.slice(track, name, (event.time - 1) * TICK_US, TICK_US, shown)
        case EventKind.DECISION:
            written.instant(track, f"{event.worker} {event.text}", event.time * TICK_US)
        case EventKind.DEATH | EventKind.RESTART | EventKind.FAILURE:
            text = " ".join(filter(None, [event.what.value, event.text]))
            written.instant(track, text, event.time * TICK_US, of_all=True)
        case _:
            assert_never(event.what)


def _cell(shown: tuple[str, ...]) -> str:
    text = ", ".join(shown)
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."
