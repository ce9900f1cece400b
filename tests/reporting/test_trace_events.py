"""Events that come by the thousand are written by prepared lines."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis.strategies import integers, text

from conveyor.reporting.trace_events import TraceEvents


@given(
    start=integers(0, 10**15), duration=integers(0, 10**12), items=integers(0, 4096), name=text()
)
def test_a_prepared_line_says_the_same_as_an_event_that_is_written_alone(
    start: int, duration: int, items: int, name: str
) -> None:
    prepared, alone = TraceEvents(7, "a pipeline"), TraceEvents(7, "a pipeline")
    prepared.slices(1, name)(start, duration, items)
    prepared.instants(2, name)(start, duration, items)
    alone.slice(1, name, start / 1000, duration / 1000, {"items": items})
    alone.instant(2, name, start / 1000, {"items": items})
    assert json.loads(prepared.to_json()) == json.loads(alone.to_json())
