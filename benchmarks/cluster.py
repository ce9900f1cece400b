"""Pipelines on a Ray cluster of one machine, beside what Ray itself has for the same work.

What Ray opens listens on every interface, so this runs only where there is none but `lo`:
`make bench-cluster` makes such a place.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from benchmarks.arrays import scaled, total
from benchmarks.harness import Comparison, Goal, Section, Skipped, processor_seconds
from benchmarks.jobs import work
from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor

TRIVIAL, COARSE, ARRAYS = 100_000, 4_000, 20
DOUBLES = 1_000_000  # 8 MB
CHUNKS = (4, 16, 64)
DEATHS = 5
CORES = 8  # that Ray believes in: actors that wait take none from others


def why_not() -> str | None:
    """Why this cannot be measured here."""
    if missing := [name for name in ("ray", "pandas", "pyarrow") if find_spec(name) is None]:
        return f"{', '.join(missing)} is not installed: pip install 'ray[data]'"
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        return "Ray would listen on every interface: make bench-cluster"
    return None


def measure(rounds: int) -> Section:
    if (why := why_not()) is not None:
        raise Skipped(why)
    import ray

    os.environ |= {"RAY_memory_monitor_refresh_ms": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init("local", num_cpus=CORES, include_dashboard=False, log_to_driver=False)
    try:
        parts = [trivial(rounds), coarse(rounds), arrays(rounds), recovery()]
    finally:
        ray.shutdown()
    return Section(
        "On a Ray cluster",
        "One raylet on this machine. Trivial: three stages of `x + 1`, a warm run. Coarse: about "
        "0.3 ms an item on two lanes, or two actors, in processor time of all processes. Arrays: "
        "of 8 MB, halved and summed up. A worker that is killed: from the SIGKILL until its item "
        "is begun again.",
        [table for table, _ in parts],
        [goal for _, goal in parts],
    )


def engine(**lanes: int) -> Any:
    from conveyor.cluster import Ray, Resources

    return Ray(stages={name: Resources(lanes=n) for name, n in lanes.items()})


def plus_one(item: int) -> int:
    return item + 1


def line(*stages: Any) -> Any:
    pl: Any = Pipeline[Any]()
    for stage in stages:
        pl.add(Pipe(10_000)).add(stage)
    return pl


def trivial(rounds: int) -> tuple[str, Goal]:
    comparison = Comparison("µs an item", rounds)
    stages = [Processor(plus_one, name=f"plus_one_{at}") for at in range(3)]
    with line(*stages) as far, line(*stages) as here:

        def us(pl: Any, **more: Any) -> float:
            began = monotonic()
            assert pl.run(range(TRIVIAL), **more)[-1] == TRIVIAL + 2
            return (monotonic() - began) / TRIVIAL * 1e6

        comparison.add("Conveyor on Ray", partial(us, far, engine=engine()))
        comparison.add("Conveyor on this machine", partial(us, here))
        comparison.measure()
    goal = Goal(
        "P15", "Ray: µs an item, trivial stages", comparison.median("Conveyor on Ray"), 25, False
    )
    return comparison.markdown(), goal


class Doing:
    """An actor that works on chunks."""

    def work(self, items: list[int]) -> list[int]:
        return [*map(work, items)]


def processor_time(run: Callable[[], object]) -> float:
    """That of all processes, those of Ray included: where others are at work, too, how long a run
    takes depends on them."""
    before = processor_seconds()
    run()
    return processor_seconds() - before


def begun(actor: Any, chunk: list[int]) -> Any:
    return actor.work.remote(chunk)


def coarse(rounds: int) -> tuple[str, Goal]:
    import ray
    from ray.util.actor_pool import ActorPool

    items = list(range(COARSE))
    expected = sorted(map(work, items))
    comparison = Comparison("processor s", rounds)
    actors = [ray.remote(num_cpus=0)(Doing).remote() for _ in range(2)]
    pl: Any = Pipeline[int]().add(BalancingFork()).add(Processor(work)).add(Join())

    def by_actors(size: int) -> None:
        chunks = [items[at : at + size] for at in range(0, len(items), size)]
        pool: Any = ActorPool(actors)
        found = pool.map_unordered(begun, chunks)
        assert sorted(each for chunk in found for each in chunk) == expected

    def by_lanes() -> None:
        assert sorted(pl.run(items, engine=engine(work=2))) == expected

    pools = {f"`ActorPool`, 2 actors, chunks of {size}": size for size in CHUNKS}
    with pl:
        comparison.add("Conveyor on Ray, 2 lanes", partial(processor_time, by_lanes))
        for name, size in pools.items():
            comparison.add(name, partial(processor_time, partial(by_actors, size)))
        comparison.measure()
    for actor in actors:
        ray.kill(actor)
    best = min(pools, key=comparison.median)
    ratio = comparison.ratio("Conveyor on Ray, 2 lanes", best)
    return comparison.markdown(), Goal(
        "P15", "Ray: 0.3 ms an item, processor time beside the best `ActorPool`", ratio, 1.15, False
    )


def halved(row: dict[str, Any]) -> dict[str, Any]:
    return {"array": scaled(row["array"])}


def summed(row: dict[str, Any]) -> dict[str, Any]:
    return {"sum": total(row["array"])}


def arrays(rounds: int) -> tuple[str, Goal]:
    import numpy as np
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    given = [np.full(DOUBLES, float(number)) for number in range(ARRAYS)]
    expected = [total(scaled(array)) for array in given]
    comparison = Comparison("s", rounds)
    data_of: Any = getattr(ray.data, "from_items")  # noqa: B009  # its types are in part unknown

    def by_ray_data() -> None:
        rows = [{"array": array} for array in given]
        data = data_of(rows, override_num_blocks=ARRAYS)
        two = ray.data.TaskPoolStrategy(2)
        found = data.map(halved, compute=two).map(summed, compute=two).take_all()
        assert sorted(row["sum"] for row in found) == expected

    def by_stages(pl: Any, **more: Any) -> None:
        assert pl.run(given, **more) == expected

    with (
        line(Processor(scaled), Processor(total)) as copied,
        line(Processor(scaled, read_only=True), Processor(total, read_only=True)) as in_place,
        line(Processor(scaled), Processor(total)) as here,
    ):
        comparison.add_seconds("Conveyor on Ray", partial(by_stages, copied, engine=engine()))
        name = "Conveyor on Ray, `read_only=True`"
        comparison.add_seconds(name, partial(by_stages, in_place, engine=engine()))
        comparison.add_seconds("Ray Data, `map` twice", by_ray_data)
        comparison.add_seconds("Conveyor on this machine", partial(by_stages, here))
        comparison.measure()
    ratio = comparison.ratio("Ray Data, `map` twice", "Conveyor on Ray")
    return comparison.markdown(), Goal(
        "P15", "Ray: 8 MB arrays, times the pace of Ray Data", ratio, 3
    )


def recovery() -> tuple[str, Goal]:
    with TemporaryDirectory() as folder:
        far = [seconds_of_recovery(Path(folder) / f"{at}", engine()) for at in range(DEATHS)]
        here = [seconds_of_recovery(Path(folder) / f"h{at}", None) for at in range(DEATHS)]
    rows = [
        "| a worker is killed | s until its item is begun again | rounds |",
        "| --- | --- | --- |",
    ]
    for name, all_of_it in (("Conveyor on Ray", far), ("Conveyor on this machine", here)):
        told = " ".join(f"{seconds:.3g}" for seconds in all_of_it)
        rows.append(f"| {name} | {median(all_of_it):.3g} | {told} |")
    return "\n".join(rows), Goal(
        "P15",
        "Ray: recovery of a worker, times this machine's",
        median(far) / median(here),
        2,
        False,
    )


@contextmanager
def streamed(pl: Any, on: Any) -> Generator[Any]:
    with pl.stream(count(), **({} if on is None else {"engine": on})) as stream:
        yield stream


def seconds_of_recovery(killed: Path, on: Any) -> float:
    def job(item: int) -> float:
        if item == 500 and not killed.exists():
            killed.write_text(repr(monotonic()))
            os.kill(os.getpid(), signal.SIGKILL)
        return monotonic()

    with streamed(line(Processor(job)), on) as stream:
        begun_again = [next(stream) for _ in range(501)][500]
    return float(begun_again) - float(killed.read_text())
