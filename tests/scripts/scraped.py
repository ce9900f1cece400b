"""A pipeline whose figures a Prometheus client scrapes while it runs, over HTTP on the loopback."""

from collections.abc import Iterator
from urllib.request import urlopen

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from prometheus_client.parser import text_string_to_metric_families

from conveyor import Pipeline, Processor

metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
server, thread = start_http_server(0, "127.0.0.1")
ADDRESS = f"http://127.0.0.1:{server.server_port}/metrics"


def scraped() -> dict[tuple[str, str], float]:
    with urlopen(ADDRESS) as page:
        text = page.read().decode()
    return {
        (sample.name, sample.labels.get("stage", sample.labels.get("outcome", ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def items() -> Iterator[int]:
    """Items until a scrape has seen some of them go through, while the run is under way."""
    yield from range(100)
    while scraped().get(("conveyor_stage_items_in_total", "double"), 0.0) < 1:
        yield 0


def double(item: int) -> int:
    return 2 * item


def only_even_tens(item: int) -> int | None:
    return item if item % 20 == 0 else None


pl = Pipeline[int]().add(Processor(double)).add(Processor(only_even_tens, name="tens"))
result = pl.run(items())
seen = scraped()
stages = result.report.stages
for name, stage in stages.items():
    for count in ("items_in", "items_out", "passed", "dropped", "failed"):
        assert seen[f"conveyor_stage_{count}_total", name] == getattr(stage, count), (name, count)
    assert seen["conveyor_stage_busy_seconds_total", name] > 0
    assert seen["conveyor_stage_queued", name] == 0
assert seen["conveyor_runs_total", "done"] == 1
assert seen["conveyor_run_duration_seconds_count", "done"] == 1
server.shutdown()
server.server_close()
thread.join()
print("scraped", stages["double"].items_in >= 100)
