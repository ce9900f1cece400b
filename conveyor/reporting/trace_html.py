"""A trace as a picture: one HTML file that needs nothing else, with a lane for each worker and each
decision point.

Knows: what happened, and how it is drawn.  Must never know: how it was seen, files, browsers.

Lanes stand in the order of the pipeline: a join above the worker that reads it, a balancing fork
below the worker that feeds it.  Time runs to the right, a column a tick.  A decision stands where
it matters: a join's with what is read then, a fork's with what it sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from conveyor.graph.route import balancing_forks
from conveyor.graph.topology import Topology
from conveyor.reporting.trace import Event, EventKind, Trace

__all__ = ["picture"]

COLUMN: Final = 112  # pixels, all of them
ROW: Final = 30
GAP: Final = 8
AXIS: Final = 28
FITS: Final = 15  # characters in a box

WORDS: Final = {
    EventKind.RUN: "run",
    EventKind.FINISH: "finish",
    EventKind.DECISION: "decision",
    EventKind.DEATH: "✕ dies",
    EventKind.RESTART: "↻ comes back",
    EventKind.FAILURE: "! fails",
}


class TraceRow(NamedTuple):
    """A row of the picture; `owner`: the worker that a join or fork belongs to."""

    name: str
    kind: str
    owner: str


class Box(NamedTuple):
    """An event where it is drawn: its lane, its column, and how many are above it there."""

    event: Event
    lane: int
    column: int
    row: int


def picture(trace: Trace, topology: Topology, facts: Mapping[str, str]) -> str:
    """The whole page; `facts` stand above the picture."""
    lanes = [*lanes_of(topology)]
    boxes = placed(trace, lanes)
    heights = [
        max((box.row + 1 for box in boxes if box.lane == at), default=1) * ROW + GAP
        for at in range(len(lanes))
    ]
    tops = [AXIS + sum(heights[:at]) for at in range(len(lanes))]
    width = (max((box.column for box in boxes), default=0) + 1) * COLUMN
    height = AXIS + sum(heights)
    names = "".join(
        f'<div class="name {lane.kind}" style="height:{tall}px">'
        f"<b>{escape(lane.name)}</b><small>{lane.kind}</small></div>"
        for lane, tall in zip(lanes, heights, strict=True)
    )
    drawing = "\n".join(
        [
            *axis(first_of(trace), width, height),
            *stripes(tops, heights, width),
            *(drawn(box, tops[box.lane]) for box in boxes),
        ]
    )
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items()
    )
    return PAGE.format(
        style=STYLE,
        facts=rows,
        names=names,
        axis=AXIS,
        width=width,
        height=height,
        drawing=drawing,
        table=escape(str(trace)),
    )


def lanes_of(topology: Topology) -> Iterator[TraceRow]:
    """A lane for each worker, and for each join and balancing fork beside the worker that it
    belongs to."""
    for node in topology.nodes:
        if node.join_name:
            yield TraceRow(node.join_name, "join", node.name)
        yield TraceRow(node.name, node.kind.value, node.name)
        for fork in balancing_forks(node.route):
            yield TraceRow(fork.name, "fork", node.name)


def placed(trace: Trace, lanes: list[TraceRow]) -> list[Box]:
    """Every event in its lane; what has none, such as which failure ends the run, gets one at the
    end."""
    at = {lane.name: number for number, lane in enumerate(lanes)}
    first = first_of(trace)
    taken: dict[tuple[int, int], int] = {}
    boxes: list[Box] = []
    for number, event in enumerate(trace):
        name = (
            event.worker
            if event.worker in at
            else event.worker.lstrip("!").partition("~")[0] or event.worker
        )
        if name not in at:
            at[name] = len(lanes)
            lanes.append(TraceRow(name, "run", ""))
        lane = at[name]
        column = time_of(trace, number, lanes[lane]) - first
        row = taken.get((lane, column), 0)
        taken[lane, column] = row + 1
        boxes.append(Box(event, lane, column, row))
    return boxes


def time_of(trace: Trace, number: int, lane: TraceRow) -> int:
    """When an event is shown: a join decides when its worker reads next, a fork when its worker has
    run."""
    event = trace[number]
    if event.what is not EventKind.DECISION or lane.kind not in ("join", "fork"):
        return event.time
    near = trace[number + 1 :] if lane.kind == "join" else trace[:number][::-1]
    return next((other.time for other in near if other.worker == lane.owner), event.time)


def first_of(trace: Trace) -> int:
    return min((event.time for event in trace), default=0)


def axis(first: int, width: int, height: int) -> Iterator[str]:
    for column in range(width // COLUMN):
        x = column * COLUMN
        yield f'<line class="tick" x1="{x}" y1="{AXIS}" x2="{x}" y2="{height}"/>'
        yield f'<text class="time" x="{x + 6}" y="{AXIS - 10}">{first + column}</text>'


def stripes(tops: Sequence[int], heights: Sequence[int], width: int) -> Iterator[str]:
    for number, (top, tall) in enumerate(zip(tops, heights, strict=True)):
        kind = "stripe odd" if number % 2 else "stripe"
        yield f'<rect class="{kind}" x="0" y="{top}" width="{width}" height="{tall}"/>'


def drawn(box: Box, top: int) -> str:
    """One event: a box, what fits into it, and all of it in a tooltip."""
    event = box.event
    x, y = box.column * COLUMN + 3, top + GAP // 2 + box.row * ROW + 2
    kind = event.what.name.lower()
    if event.what is EventKind.DECISION:
        kind += "" if is_default(event) else " other"
    radius = 13 if event.what is EventKind.DECISION else 4
    size = f'width="{COLUMN - 6}" height="{ROW - 4}"'
    shape = f'<rect x="{x}" y="{y}" {size} rx="{radius}"/>'
    text = (
        f'<text x="{x + (COLUMN - 6) / 2:g}" y="{y + 17}">{escape(shortened(label(event)))}</text>'
    )
    return f'<g class="{kind}"><title>{escape(told(event))}</title>{shape}{text}</g>'


def is_default(event: Event) -> bool:
    return ", not " not in event.text


def label(event: Event) -> str:
    """What stands in the box."""
    match event.what:
        case EventKind.RUN | EventKind.FINISH:
            before = ", ".join(event.items) or WORDS[event.what]
            return f"{before} → {', '.join(event.outputs)}" if event.outputs else before
        case EventKind.DECISION:
            about = "back" if event.worker.startswith("!") else event.worker.partition("~")[2]
            taken = event.text.partition(",")[0]
            return f"{about} {taken.replace(' takes', ':') if about else taken}".strip()
        case _:
            return WORDS[event.what]


def told(event: Event) -> str:
    """The tooltip of an event."""
    lines = [f"{event.worker}: {event.what.value}, time {event.time}"]
    lines += [f"in: {', '.join(event.items)}"] if event.items else []
    lines += [f"out: {', '.join(event.outputs)}"] if event.outputs else []
    return "\n".join([*lines, *filter(None, [event.text])])


def shortened(text: str) -> str:
    return text if len(text) <= FITS else f"{text[: FITS - 1]}…"


STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #66717e; --paper: #ffffff;
  --odd: #f4f6f8; --line: #dde3e9;
  --run: #dbeafe; --run-line: #5b8def; --end: #eceff2; --end-line: #a5b0bb; --other: #ffe3b3;
    --other-line: #e08a00;
  --bad: #ffd9d6; --bad-line: #d63b30; --good: #d3f3dc; --good-line: #2c9a4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --dim: #96a2ae; --paper: #14181d;
  --odd: #1a1f26; --line: #2c343d;
  --run: #1d3a63; --run-line: #5b8def; --end: #262d35; --end-line: #5d6a77; --other: #5a3d06;
    --other-line: #f0a020;
  --bad: #5c211d; --bad-line: #ff6b60; --good: #174026; --good-line: #45c26b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: var(--paper); color: var(--ink);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 18px; margin: 0 0 12px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0 0 16px; }
dt { color: var(--dim); } dd { margin: 0; font-family: ui-monospace, monospace;
  overflow-wrap: anywhere; }
.chart { display: flex; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.names { flex: none; border-right: 1px solid var(--line); max-width: 40%; }
.name { display: flex; gap: 10px; align-items: center; justify-content: space-between;
  padding: 0 12px; white-space: nowrap; }
.name:nth-child(odd) { background: var(--odd); }
.name b { font-weight: 600; overflow: hidden; text-overflow: ellipsis; } .name small {
  color: var(--dim); }
.join b, .fork b { font-weight: 400; font-style: italic; }
.scroll { overflow-x: auto; flex: 1; }
svg { display: block; } svg text { font: 12px ui-monospace, monospace; fill: var(--ink);
  text-anchor: middle; }
svg .time { fill: var(--dim); text-anchor: start; font-size: 11px; } .tick { stroke: var(--line); }
.stripe { fill: none; } .stripe.odd { fill: var(--odd); opacity: .6; }
g rect { stroke-width: 1.2; }
.run rect, .finish rect { fill: var(--run); stroke: var(--run-line); } .finish rect {
  stroke-dasharray: 4 2; }
.decision rect { fill: var(--end); stroke: var(--end-line); }
.decision.other rect { fill: var(--other); stroke: var(--other-line); }
.death rect, .failure rect { fill: var(--bad); stroke: var(--bad-line); }
.restart rect { fill: var(--good); stroke: var(--good-line); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 12px 0; color: var(--dim);
  font-size: 13px; }
.legend i { display: inline-block; width: 20px; height: 12px; border: 1.2px solid;
  border-radius: 3px; margin-right: 6px; }
i.run { background: var(--run); border-color: var(--run-line); }
i.end { background: var(--end); border-color: var(--end-line); }
i.other { background: var(--other); border-color: var(--other-line); } i.round {
  border-radius: 7px; }
i.bad { background: var(--bad); border-color: var(--bad-line); }
i.good { background: var(--good); border-color: var(--good-line); }
summary { cursor: pointer; color: var(--dim); } pre { overflow-x: auto;
  font: 12px/1.5 ui-monospace, monospace; }
"""

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A simulated run</title>
<style>{style}</style>
</head>
<body>
<h1>A simulated run</h1>
<dl>{facts}</dl>
<div class="chart">
<div class="names"><div style="height:{axis}px"></div>{names}</div>
<div class="scroll">
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">
{drawing}
</svg></div>
</div>
<div class="legend">
<span><i class="run"></i>items in → items out</span>
<span><i class="end round"></i>a decision, as by default</span>
<span><i class="other round"></i>a decision that is not the default</span>
<span><i class="bad"></i>a death or a failure</span>
<span><i class="good"></i>another worker takes its place</span>
<span>time is virtual: a column is the work of one slice</span>
</div>
<details><summary>the same as a table</summary><pre>{table}</pre></details>
</body>
</html>
"""
