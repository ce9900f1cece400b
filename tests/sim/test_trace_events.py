"""A simulated trace in the format that the `trace=` of a run writes."""

from __future__ import annotations

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.sim import Faults
from tests.jobs import double
from tests.trace_format import TraceFile


def test_a_simulated_run_has_a_track_a_worker_and_a_track_a_decision_point() -> None:
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(double), Pipe())
    simulation = pl.add(Join(2, name="merge")).add(Processor(double, name="last")).simulate([1, 2])

    trace = TraceFile(simulation.trace.to_json())
    assert {"double", "last", "merge"} <= {*trace.tracks.values()}
    assert len(trace.named("merge #")) == len([e for e in simulation.trace if e.worker == "merge"])
    shown = [item for event in trace.named("last") for item in event["args"].get("outputs", [])]
    assert sorted(shown) == sorted(map(str, simulation))


def test_simulated_deaths_are_seen_by_all_tracks() -> None:
    pl = Pipeline[int]().add(Processor(double))
    deadly = (pl.simulate([1, 2], seed=seed, faults=Faults()) for seed in range(100))
    simulation = next(found for found in deadly if found.report.stages["double"].restarts)
    trace = TraceFile(simulation.trace.to_json())
    (dies,), (comes,) = trace.named("dies"), trace.named("comes back")
    assert (dies["s"], comes["s"]) == ("p", "p")
