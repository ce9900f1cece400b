"""Figures of a run in OpenTelemetry, and a span of it, where a program has set up the SDK."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from conveyor import Pipeline, Processor
from tests.helpers import ROOT
from tests.jobs import double
from tests.logs import dies_once_at_two

sdk = pytest.importorskip("opentelemetry.sdk.metrics", reason="the SDK is not installed")

from opentelemetry import metrics, trace  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402
    InMemorySpanExporter,
)


class Seen:
    """What the SDK was told."""

    def __init__(self, reader: InMemoryMetricReader, spans: InMemorySpanExporter) -> None:
        self.reader = reader
        self.exporter = spans

    def value(self, name: str, **labels: str) -> float | None:
        """The last value of a metric; None if there is none with these labels."""
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                assert scope.scope.name == "conveyor"
                for metric in scope.metrics:
                    for point in metric.data.data_points if metric.name == name else ():
                        if dict(point.attributes or {}) == labels:
                            value: float = getattr(point, "value", getattr(point, "count", 0))
                            return value
        return None

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A program that has set both providers: the API takes one for good, so they stand in."""
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    yield Seen(reader, spans)
    meters.shutdown()
    tracers.shutdown()


def test_counters_are_those_of_the_report_and_add_up_over_runs(seen: Seen) -> None:
    with Pipeline[int]().add(Processor(double)).add(Processor(lambda n: n or None)) as pl:
        reports = [pl.run(range(size)).report for size in (10, 20)]
        with pl.stream(range(5)) as stream:
            list(stream)
    reports.append(stream.report)

    for name in reports[0].stages:
        for count in ("items_in", "items_out", "passed", "dropped", "skipped", "flushed"):
            expected = sum(getattr(report.stages[name], count) for report in reports)
            assert seen.value(f"conveyor.stage.{count}", stage=name) == expected
    busy = sum(report.stages["double"].busy_s for report in reports)
    assert seen.value("conveyor.stage.busy", stage="double") == pytest.approx(busy)
    assert seen.value("conveyor.stage.queued", stage="double") == 0
    assert seen.value("conveyor.runs", outcome="done") == 3
    assert seen.value("conveyor.run.duration", outcome="done") == 3


def test_a_run_is_a_span_within_that_of_its_caller(seen: Seen) -> None:
    tracer = trace.get_tracer_provider().get_tracer("test")
    with tracer.start_as_current_span("outside"):
        Pipeline[int]().add(Processor(dies_once_at_two, name="job")).run(range(4))

    run, outside = seen.spans
    assert (run.name, outside.name) == ("conveyor run", "outside")
    assert run.parent is not None
    assert outside.context is not None
    assert run.parent.span_id == outside.context.span_id
    assert (run.attributes or {})["conveyor.stages"] == ("job",)
    assert (run.attributes or {})["conveyor.outcome"] == "done"
    assert (run.attributes or {})["conveyor.stage.job.items_in"] == 4
    assert run.status.is_ok or run.status.is_unset
    died, over = run.events
    assert (died.name, over.name) == ("worker died", "worker takes over")
    assert "SIGKILL" in str((died.attributes or {})["how"])
    assert seen.value("conveyor.stage.restarts", stage="job") == 1


def test_a_run_that_fails_is_a_span_with_the_error(seen: Seen) -> None:
    with pytest.raises(ZeroDivisionError):
        Pipeline[int]().add(Processor(lambda n: 1 // n, name="divide")).run([1, 0])

    (run,) = seen.spans
    assert run.status.description == "ZeroDivisionError: integer division or modulo by zero"
    assert [event.name for event in run.events] == ["exception"]
    assert seen.value("conveyor.stage.failed", stage="divide") == 1
    assert seen.value("conveyor.runs", outcome="failed") == 1


def test_a_program_without_the_sdk_is_not_made_to_import_anything() -> None:
    script = (
        "import sys; from conveyor import Pipeline, Processor\n"
        "Pipeline[int](start_method='fork').add(Processor(abs)).run([1])\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
        "from opentelemetry import metrics, trace\n"
        "Pipeline[int](start_method='fork').add(Processor(abs)).run([1])\n"
        "from conveyor.runtime.metrics import run_metrics\n"
        "print(run_metrics({}, dict))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\nNone\n"


def test_prometheus_scrapes_a_run_under_way() -> None:
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="no exporter is installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.scripts.scraped"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=90,
    )
    assert (done.stdout, done.stderr) == ("scraped True\n", "")
