"""What a run tells to OpenTelemetry, where a program has set that up: counters and gauges of each
stage, and a span of the run.

Knows: the API of OpenTelemetry, and reports.  Must never know: how a report is read.

There is nothing to turn on.  A program that has set a meter provider, or a tracer provider, before
a run begins has its figures there; in any other nothing of OpenTelemetry is imported.

| name | is |
| --- | --- |
| `conveyor.stage.items_in`, and the other counts of `StageReport` | a counter for each `stage` |
| `conveyor.stage.restarts` | a counter: workers that took the place of one that died |
| `conveyor.stage.busy`, `.waiting`, `.blocked` | counters of seconds |
| `conveyor.stage.queued`, `conveyor.stage.in_hand` | gauges: items before a stage, and at its job |
| `conveyor.runs` | a counter of runs that are over, by `outcome`: done, failed, stopped |
| `conveyor.run.duration` | a histogram of their seconds |
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from time import monotonic
from typing import TYPE_CHECKING, Final

from conveyor.items.short_repr import message_of
from conveyor.monitor.snapshot import How
from conveyor.report import Report, StageReport

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

__all__ = ["RunMetrics", "run_metrics"]

EVERY_S: Final = 1.0
NAME: Final = "conveyor"
API: Final = ("opentelemetry.metrics", "opentelemetry.trace")

Queued = Callable[[], Mapping[str, int]]


def run_metrics(stages: Mapping[int, str], queued: Queued) -> RunMetrics | None:
    """What publishes the figures of a run that begins now; None if the program has set up nothing
    that would take them.

    `stages` are the names of the nodes that have a worker, `queued` gives how much waits before
    each stage.
    """
    meter, tracer = program_meter(), program_tracer()
    if meter is None and tracer is None:
        return None
    return RunMetrics(
        None if meter is None else StageMetrics(meter),
        None if tracer is None else RunSpan(tracer, stages),
        queued,
    )


def program_meter() -> Meter | None:
    """The meter of the provider that the program has set, if it has set one."""
    if "opentelemetry.metrics" not in sys.modules:
        return None
    from opentelemetry import metrics

    provider = metrics.get_meter_provider()
    return provider.get_meter(NAME, own_version()) if is_set(provider) else None


def program_tracer() -> Tracer | None:
    """The same for spans."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    return provider.get_tracer(NAME, own_version()) if is_set(provider) else None


def is_set(provider: object) -> bool:
    """Is it more than what the API has for programs that set none, which does nothing?"""
    return not type(provider).__module__.startswith(API)


def own_version() -> str:
    try:
        return version("typed-conveyor")
    except PackageNotFoundError:  # it runs from a directory
        return ""


class RunMetrics:
    """Publishes one run, as the thread that looks after the workers tells of it."""

    def __init__(self, stages: StageMetrics | None, span: RunSpan | None, queued: Queued) -> None:
        self.stages = stages
        self.span = span
        self.queued = queued
        self.next = monotonic()

    def is_time(self) -> bool:
        return self.stages is not None and monotonic() >= self.next

    def say(self, report: Report) -> None:
        self.next = monotonic() + EVERY_S
        if self.stages is not None:
            self.stages.publish(report, self.queued())

    def ends_with(self, report: Report, how: How, error: BaseException | None) -> None:
        """The run is over, and with this all is told of it."""
        if self.stages is not None:
            self.stages.publish(report, {})
            self.stages.ended(report, how)
        if self.span is not None:
            self.span.ended(report, how, error)

    def finish(self, error: BaseException | None) -> None:
        """Nothing more: all has been told."""


class StageMetrics:
    """Counters and gauges of all stages.  A counter is given what is new since the last time."""

    def __init__(self, meter: Meter) -> None:
        self.counters = {
            name: meter.create_counter(f"conveyor.stage.{name}", "{item}", what)
            for name, what in WHAT.items()
        }
        self.restarts = meter.create_counter(
            "conveyor.stage.restarts", "{worker}", "Workers that took the place of one that died"
        )
        self.times = {
            name: meter.create_counter(f"conveyor.stage.{name}", "s", what)
            for name, what in WHAT_TIME.items()
        }
        self.queued = meter.create_gauge(
            "conveyor.stage.queued", "{item}", "Items that wait before the stage"
        )
        self.in_hand = meter.create_gauge(
            "conveyor.stage.in_hand", "{item}", "Items that the stage is at work on"
        )
        self.runs = meter.create_counter("conveyor.runs", "{run}", "Runs that are over")
        self.duration = meter.create_histogram("conveyor.run.duration", "s", "How long runs took")
        self.last: dict[tuple[str, str], float] = {}

    def publish(self, report: Report, queued: Mapping[str, int]) -> None:
        """Tells what is new in a report."""
        for stage in report.stages.values():
            labels = {"stage": stage.name}
            for name, counter in self.counters.items():
                counter.add(int(self.news(stage, name)), labels)
            self.restarts.add(int(self.news(stage, "restarts")), labels)
            for name, seconds in self.times.items():
                seconds.add(self.news(stage, f"{name}_s"), labels)
            self.queued.set(queued.get(stage.name, 0), labels)
            self.in_hand.set(stage.in_hand if queued else 0, labels)

    def news(self, stage: StageReport, name: str) -> float:
        """How much more there is of a figure; it may be less for a moment, when a worker takes back
        what another had counted."""
        key, now = (stage.name, name), float(getattr(stage, name))
        before = self.last.get(key, 0.0)
        self.last[key] = max(before, now)
        return max(0.0, now - before)

    def ended(self, report: Report, how: How) -> None:
        self.runs.add(1, {"outcome": how.value})
        self.duration.record(report.seconds, {"outcome": how.value})


WHAT: Final = {
    "items_in": "Items that came to the stage",
    "items_out": "Items that the stage gave",
    "passed": "Items that gave at least one output",
    "dropped": "Items that gave no output",
    "skipped": "Items that failed and were skipped",
    "dead_lettered": "Items that failed and became dead letters",
    "failed": "Items that failed and ended their run",
    "flushed": "Outputs of finish()",
}
WHAT_TIME: Final = {
    "busy": "Time at work on items",
    "waiting": "Time without input",
    "blocked": "Time without room for output",
}


class RunSpan:
    """The span of a run, in the context of the thread that began it; a witness of what becomes of
    the workers."""

    def __init__(self, tracer: Tracer, stages: Mapping[int, str]) -> None:
        self.stages = stages
        self.span: Span = tracer.start_span(
            "conveyor run", attributes={"conveyor.stages": [*stages.values()]}
        )

    def event(self, name: str, node: int, pid: int | None = None, how: str = "") -> None:
        labels: dict[str, str | int] = {"stage": self.stages.get(node, "")}
        labels |= {"worker": pid} if pid is not None else {}
        self.span.add_event(name, labels | ({"how": how} if how else {}))

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        self.event("worker takes over" if life > 1 else "worker started", node, pid)

    def died(self, node: int, pid: int, how: str) -> None:
        self.event("worker died", node, pid, how)

    def overdue(self, node: int, pid: int) -> None:
        self.event("worker killed for time", node, pid)

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        self.span.add_event("lanes", {"fork": fork, "before": before, "open": lanes})

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        for node in forgotten:
            self.event("worker woken by the net", node)

    def ended(self, report: Report, how: How, error: BaseException | None) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.span.set_attribute("conveyor.outcome", how.value)
        for stage in report.stages.values():
            self.span.set_attribute(f"conveyor.stage.{stage.name}.items_in", stage.items_in)
            self.span.set_attribute(f"conveyor.stage.{stage.name}.items_out", stage.items_out)
        if how is How.FAILED and error is not None:
            # As `record_exception` does, but for errors that cannot be written.
            text = message_of(error)
            trace = "".join(traceback.format_exception(error))
            told = {"type": type(error).__qualname__, "message": text, "stacktrace": trace}
            self.span.add_event("exception", {f"exception.{key}": it for key, it in told.items()})
            text = f"{type(error).__name__}: {text}"
            self.span.set_status(Status(StatusCode.ERROR, text))
        self.span.end()
