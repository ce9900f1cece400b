"""The pipelines that are recorded: every fork and join, nested, bounded, stateful, and with workers
that die.

Untyped: types have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from conveyor import (
    BalancingFork,
    Batch,
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    PerKey,
    Pipe,
    Processor,
    Reduce,
    ReplicatingFork,
    RoutingFork,
    Scan,
    Session,
    SplittingFork,
    Tap,
    Throttle,
    Unbatch,
    Window,
    Zip,
)
from tests.conformance import jobs
from tests.helpers import pipeline
from tests.jobs import Gathered

__all__ = ["CASES", "Case"]


class Case(NamedTuple):
    """`build` makes the pipeline; `killed`: stages whose workers are killed in some runs; `most`
    items are sent at most.

    `streams`: may a run be left before its end?  Not where a job is deadly: it would be given what
    it never was in the run.
    """

    build: Callable[[], Any]
    killed: tuple[str, ...] = ()
    most: int = 2000
    streams: bool = True


def replicated() -> Any:
    return (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.increment), Processor(jobs.label))
        .add(Join(2))
    )


def replicated_into_join() -> Any:
    return pipeline().add(ReplicatingFork(3)).add(Join(3))


def balanced() -> Any:
    return (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.slow), Processor(jobs.slow))
        .add(Join(2))
    )


def balanced_into_join() -> Any:
    return pipeline().add(BalancingFork(3)).add(Pipe(4), Pipe(1), Pipe(2)).add(Join(3))


def as_they_are_done() -> Any:
    return (
        pipeline()
        .add(Processor(jobs.increment_later, concurrency=8, ordered=False, name="one"))
        .add(BalancingFork(2))
        .add(
            FlatMap(jobs.halves_later, concurrency=3, ordered=False, name="two"),
            FlatMap(jobs.halves, concurrency=2, ordered=False, name="three"),
        )
        .add(Join(2))
        .add(Filter(jobs.odd, concurrency=4, name="four"))
    )


def narrow() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(1), Pipe(1))
    return lanes.add(Processor(jobs.increment), Filter(jobs.odd)).add(Pipe(1), Pipe(1)).add(Join(2))


def numbered() -> Any:
    """A state behind a join: the outputs tell the order in which it read."""
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(jobs.increment), Processor(jobs.slow))
    return lanes.add(Join(2)).add(jobs.Numbered())


def deduplicated() -> Any:
    """A state behind a balancing fork: what is dropped depends on which lane an item went to."""
    lanes = pipeline().add(Processor(jobs.halves)).add(FlatMap(list)).add(BalancingFork(2))
    return lanes.add(jobs.Deduplicated(), jobs.Deduplicated()).add(Join(2))


def flat() -> Any:
    lanes = (
        pipeline()
        .add(Pipe(8))
        .add(FlatMap(jobs.repeated))
        .add(BalancingFork(2))
        .add(Pipe(3), Pipe(5))
    )
    return lanes.add(Processor(jobs.slow), Processor(jobs.increment)).add(Join(2))


def flat_on_its_own() -> Any:
    """Items that are no atoms, and flat-maps on both sides of a join."""
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.halves), Processor(jobs.halves))
        .add(Join(2))
    )
    lanes = lanes.add(FlatMap(list)).add(BalancingFork(2)).add(Pipe(1), Pipe(2))
    return lanes.add(FlatMap(jobs.repeated), Filter(jobs.odd)).add(Join(2))


def nested() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(BalancingFork(2), Processor(jobs.label))
    lanes = lanes.add(Processor(jobs.increment), Processor(jobs.slow), Pipe(3))
    return lanes.add(Join(2), Pipe()).add(Join(2)).add(jobs.Numbered())


def nested_balances() -> Any:
    lanes = pipeline().add(BalancingFork(2)).add(BalancingFork(2), ReplicatingFork(2))
    lanes = lanes.add(Processor(jobs.increment), Pipe(2), Processor(jobs.slow), Pipe(1))
    return lanes.add(Join(4))


def joins_in_a_row() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.increment), Processor(jobs.slow))
        .add(Join(2))
    )
    lanes = (
        lanes.add(BalancingFork(2)).add(Processor(jobs.increment), Filter(jobs.odd)).add(Join(2))
    )
    return lanes.add(ReplicatingFork(2)).add(jobs.Numbered(), Pipe(1)).add(Join(2))


def two_joins() -> Any:
    """Two joins side by side, both of which can read."""
    lanes = pipeline().add(ReplicatingFork(4)).add(*[Processor(jobs.increment) for _ in range(4)])
    return lanes.add(Join(2), Join(2)).add(jobs.Numbered(), Processor(jobs.label)).add(Join(2))


def zipped() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.increment), Processor(jobs.slow))
        .add(Zip(2))
    )
    return lanes.add(BalancingFork(2)).add(Processor(len), Processor(sum)).add(Join(2))


def zip_of_joins() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(4))
        .add(Processor(jobs.increment), Pipe(), Processor(jobs.slow), Processor(jobs.label))
    )
    return lanes.add(Join(2), Join(2)).add(Zip(2))


def ordered() -> Any:
    """An ordered join decides nothing; the balance before it does."""
    lanes = pipeline().add(BalancingFork(2)).add(jobs.Numbered(), Processor(jobs.slow))
    return (
        lanes.add(Join(2, ordered=True))
        .add(ReplicatingFork(2))
        .add(Processor(jobs.label), Pipe(2))
        .add(Join(2))
    )


def ordered_flat() -> Any:
    """Forks inside of an ordered join, with flat-maps whose outputs are spread over them."""
    lanes = (
        pipeline().add(ReplicatingFork(2)).add(FlatMap(jobs.repeated), Processor(jobs.increment))
    )
    lanes = lanes.add(BalancingFork(2), Pipe(2)).add(Pipe(3), Processor(jobs.slow), Pipe())
    lanes = lanes.add(Join(2, ordered=True), Pipe()).add(Join(2, ordered=True))
    return lanes.add(BalancingFork(2)).add(Pipe(1), Pipe(2)).add(Join(2))


def adaptive() -> Any:
    return pipeline().add(BalancingFork()).add(Processor(jobs.slow)).add(Join())


def adaptive_with_state() -> Any:
    """Each open lane says something at the end."""
    return pipeline().add(BalancingFork(max_lanes=3)).add(jobs.Numbered()).add(Join())


def dead_letters() -> Any:
    lanes = pipeline().add(BalancingFork(2))
    lanes = lanes.add(
        Processor(jobs.failing, on_error="dead_letter", retries=1),
        Processor(jobs.failing, on_error="skip"),
    )
    return lanes.add(Join(2)).add(FlatMap(jobs.repeated, on_error="dead_letter"))


def refused() -> Any:
    """A run that ends where a job in one of two lanes raises first."""
    return (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.refusing), Processor(jobs.refusing))
        .add(Join(2))
    )


def refused_behind_join() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.increment), Processor(jobs.slow))
        .add(Join(2))
    )
    return (
        lanes.add(BalancingFork(2))
        .add(FlatMap(jobs.repeated), Pipe(1))
        .add(Join(2))
        .add(Processor(jobs.refusing))
    )


def stuck() -> Any:
    """Pipes that wait for one another, now and then: how many items there are decides."""
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.increment), Processor(jobs.slow))
        .add(Join(2))
    )
    lanes = lanes.add(ReplicatingFork(2)).add(Processor(jobs.odd_one), Pipe(4)).add(Zip(2))
    return lanes.add(Processor(sum))


def killed() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.slow, name="one"), Processor(jobs.attempted, name="two"))
    )
    return lanes.add(Join(2)).add(jobs.Remembered(name="three"))


def killed_at_forks() -> Any:
    lanes = (
        pipeline()
        .add(FlatMap(jobs.repeated, name="one"))
        .add(BalancingFork(2))
        .add(Pipe(2), Pipe(4))
    )
    lanes = lanes.add(
        Processor(jobs.slow, name="two"), Processor(jobs.increment, name="three")
    ).add(Join(2))
    return (
        lanes.add(ReplicatingFork(2))
        .add(BalancingFork(2), Pipe(3))
        .add(Processor(jobs.label), Pipe(), Pipe())
        .add(Join(3))
    )


def killed_with_state() -> Any:
    """The state dies with its worker, and so does the run."""
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.slow), Processor(jobs.slow))
        .add(Join(2))
    )
    return lanes.add(jobs.Numbered(name="one"))


def killed_letters() -> Any:
    lanes = pipeline().add(BalancingFork(2))
    lanes = lanes.add(
        Processor(jobs.failing, on_error="dead_letter", name="one"),
        Processor(jobs.slow, name="two"),
    )
    return lanes.add(Join(2)).add(FlatMap(jobs.repeated, on_error="dead_letter", name="three"))


def timed_out() -> Any:
    """Whose time limit runs out is killed; a second attempt, and then a dead letter or an error."""
    lanes = pipeline().add(BalancingFork(2))
    lanes = lanes.add(
        Processor(jobs.stuck, timeout_s=0.05, retries=1, on_error="dead_letter"), Pipe(3)
    )
    return lanes.add(Join(2)).add(Processor(jobs.attempted))


def timed_out_for_good() -> Any:
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(jobs.stuck, timeout_s=0.05), Processor(jobs.slow))
    )
    return lanes.add(Join(2))


def timed_out_side_by_side() -> Any:
    """Threads: the worker is killed for its oldest item, and all others in hand run again."""
    options: dict[str, Any] = {"timeout_s": 0.05, "retries": 1, "on_error": "dead_letter"}
    lanes = pipeline().add(Processor(jobs.stuck, concurrency=4, ordered=False, **options))
    lanes = lanes.add(BalancingFork(2)).add(Processor(jobs.slow, concurrency=3), Pipe(3))
    return lanes.add(Join(2)).add(Processor(jobs.stuck_at_first, concurrency=2, **options))


def cancelled_side_by_side() -> Any:
    """Coroutines whose time runs out, of functions and of classes, which take turns."""
    options: dict[str, Any] = {"timeout_s": 0.03, "retries": 1, "on_error": "dead_letter"}
    lanes = pipeline().add(
        Processor(jobs.stuck_later, concurrency=4, ordered=False, name="one", **options)
    )
    lanes = lanes.add(BalancingFork(2)).add(
        jobs.StuckRaces(concurrency=3, **options),
        FlatMap(jobs.halves_later, concurrency=3, ordered=False, name="two"),
    )
    lanes = lanes.add(Join(2)).add(
        jobs.StuckRaces(concurrency=3, ordered=False, name="three", **options)
    )
    return lanes.add(jobs.RacesInParts(concurrency=2))


def interleaved() -> Any:
    """Classes whose calls take turns, in lanes and behind a join."""
    lanes = pipeline().add(jobs.Races(concurrency=5, name="one"))
    lanes = lanes.add(ReplicatingFork(2)).add(
        jobs.Races(concurrency=3, ordered=False, name="two"), Pipe(4)
    )
    lanes = lanes.add(Join(2)).add(jobs.Races(ordered=False, name="three"))
    return lanes.add(BalancingFork(2)).add(Processor(jobs.label), Pipe(2)).add(Join(2))


def remembered_races() -> Any:
    """The same, where each goes on where another died."""
    lanes = pipeline().add(jobs.RememberedRaces(concurrency=5, name="one"))
    lanes = lanes.add(ReplicatingFork(2)).add(
        jobs.RememberedRaces(concurrency=3, ordered=False, name="two"), Pipe(4)
    )
    return lanes.add(Join(2)).add(jobs.RememberedRaces(ordered=False, name="three"))


def in_generations() -> Any:
    """The same without deaths: what it has is given out as soon as nothing more is there, and the
    short lane beside it waits for that."""
    lanes = pipeline().add(Processor(jobs.slow)).add(ReplicatingFork(2))
    lanes = lanes.add(jobs.RememberedRaces(concurrency=3, ordered=False, name="one"), Pipe(4))
    return lanes.add(Join(2)).add(jobs.RememberedRaces(concurrency=2, name="two"))


def timed_out_with_state() -> Any:
    """The state is lost where a time limit runs out, and so is the run."""
    lanes = pipeline().add(BalancingFork(2)).add(Processor(jobs.slow), Pipe(3)).add(Join(2))
    return lanes.add(jobs.Stuck(name="one", timeout_s=0.05, on_error="skip"))


def killed_singly() -> Any:
    """Slices of one item, whose every store can be told."""
    lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(2), Pipe(2))
    lanes = (
        lanes.add(Processor(jobs.increment, name="one"), Processor(jobs.slow))
        .add(Pipe(2), Pipe(1))
        .add(Join(2))
    )
    lanes = (
        lanes.add(FlatMap(jobs.repeated, name="two")).add(BalancingFork(2)).add(Pipe(2), Pipe(3))
    )
    return (
        lanes.add(FlatMap(jobs.repeated), jobs.Remembered(name="three"))
        .add(Pipe(2), Pipe(2))
        .add(Join(2))
    )


def killed_at_zips() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Pipe(2), Pipe(2))
        .add(Processor(jobs.increment), Processor(jobs.slow))
    )
    lanes = lanes.add(Zip(2)).add(Processor(sum, name="one")).add(BalancingFork(2))
    lanes = lanes.add(FlatMap(jobs.repeated, name="two"), Filter(jobs.odd, name="three"))
    return (
        lanes.add(Join(2, ordered=True))
        .add(jobs.Remembered(name="four"))
        .add(ReplicatingFork(2))
        .add(Pipe(), Pipe(2))
        .add(Join(2))
    )


def killed_together() -> Any:
    """Neighbours that share a worker."""
    lanes = pipeline().add(Processor(jobs.increment, name="one")).add(Filter(jobs.odd, name="two"))
    lanes = lanes.add(Processor(jobs.slow, name="three")).add(
        Processor(jobs.identified, name="four")
    )
    return lanes.add(ReplicatingFork(2)).add(Pipe(), Pipe(3)).add(Join(2))


def poisoned_together() -> Any:
    """Poison for a job that shares a worker with one before it, which ends the run."""
    lanes = pipeline().add(Processor(jobs.slow, name="one")).add(Processor(jobs.slow, name="two"))
    return lanes.add(Processor(jobs.slow, name="three")).add(Processor(jobs.deadly, name="four"))


def cut_by_time() -> Any:
    """What comes out tells what came due before which item, in a lane and behind a join."""
    lanes = pipeline().add(Processor(jobs.slow)).add(ReplicatingFork(2))
    lanes = lanes.add(Batch(7, within_s=0.0005), Throttle(50, per_s=0.005)).add(Join(2))
    return lanes.add(Batch(5, within_s=0.001))


def idle_keys() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(jobs.slow), Processor(jobs.label))
    lanes = lanes.add(PerKey(jobs.last_digit, Gathered, idle_s=0.002), Pipe(5))
    return lanes.add(Join(2))


def killed_with_timers() -> Any:
    lanes = pipeline().add(Processor(jobs.slow, name="one"))
    lanes = lanes.add(Batch(7, within_s=0.0005, name="two")).add(Processor(len, name="three"))
    return lanes.add(Throttle(100, per_s=0.01, name="four"))


def killed_with_idle_keys() -> Any:
    keys = PerKey(jobs.last_digit, Gathered, idle_s=0.001, name="two")
    return pipeline().add(Processor(jobs.slow, name="one")).add(keys)


def kept_states() -> Any:
    """Behind a join: what these stages give tells the order in which it read."""
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(jobs.increment), Processor(jobs.slow))
    lanes = lanes.add(Join(2)).add(Scan(jobs.appended, [])).add(FlatMap(jobs.last)).add(Batch(3))
    return lanes.add(Tap(jobs.total)).add(Unbatch()).add(Reduce(jobs.appended, []))


def killed_keys() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(jobs.increment), Processor(jobs.slow))
    keyed: Any = PerKey(jobs.fifth, jobs.Remembered, max_keys=3, name="one")
    lanes = lanes.add(Pipe(2), Pipe(3)).add(Join(2)).add(keyed).add(BalancingFork(2))
    return (
        lanes.add(Batch(2, name="two"), Tap(repr, name="three")).add(Pipe(2), Pipe(2)).add(Join(2))
    )


def killed_windows() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(jobs.increment), Processor(jobs.slow))
    windows: Any = Window(
        Session(2),
        time=jobs.shaken,
        key=jobs.fifth,
        fold=jobs.appended,
        initial=[],
        late="dead_letter",
        name="one",
    )
    lanes = lanes.add(Join(2)).add(windows).add(BalancingFork(2))
    lanes = lanes.add(Scan(jobs.counted, 0, name="two"), Processor(repr, name="three"))
    return lanes.add(Pipe(2), Pipe(2)).add(Join(2))


def partitioned() -> Any:
    lanes = pipeline().add(PartitioningFork(2, key=jobs.seventh)).add(Pipe(3), Pipe(4))
    return lanes.add(Processor(jobs.slow), Filter(jobs.odd)).add(Join(2)).add(jobs.Numbered())


def partitioned_by_cores() -> Any:
    lanes = pipeline().add(Processor(jobs.increment)).add(PartitioningFork(key=jobs.seventh))
    return lanes.add(jobs.Deduplicated()).add(Join())


def routed() -> Any:
    """Some items have no lane; in one lane is a balance, in another a replicate."""
    lanes = pipeline().add(FlatMap(jobs.repeated))
    lanes = lanes.add(RoutingFork(3, lane=jobs.lane, on_error="dead_letter", name="route"))
    lanes = lanes.add(BalancingFork(2), ReplicatingFork(2), Pipe(2))
    lanes = lanes.add(Processor(jobs.slow), Pipe(1), Pipe(), Processor(jobs.increment), Pipe(3))
    return lanes.add(Join(5))


def split_in_order() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(SplittingFork(jobs.odd), Pipe(2))
    lanes = lanes.add(FlatMap(jobs.repeated), Processor(jobs.slow), Pipe())
    return lanes.add(Join(2, ordered=True), Pipe()).add(Join(2))


def refused_by_a_fork() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(2), Pipe(1)).add(Join(2))
    lanes = lanes.add(Processor(jobs.increment)).add(RoutingFork(2, lane=jobs.lane, name="route"))
    return lanes.add(Processor(jobs.slow), Pipe(2)).add(Join(2))


def refused_by_the_first_fork() -> Any:
    lanes = pipeline().add(RoutingFork(2, lane=jobs.lane, name="route"))
    return lanes.add(Processor(jobs.slow), Pipe(2)).add(Join(2))


def killed_at_routes() -> Any:
    """The lane of an item that was numbered depends on what came before it."""
    lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(2), Pipe(2)).add(Join(2))
    lanes = lanes.add(FlatMap(jobs.repeated, name="one"))
    lanes = lanes.add(RoutingFork(3, lane=jobs.lane, on_error="dead_letter", name="route"))
    lanes = lanes.add(Pipe(2), Pipe(3), Pipe(1))
    lanes = lanes.add(Processor(jobs.slow, name="two"), Filter(jobs.odd), jobs.Remembered())
    lanes = lanes.add(Join(3)).add(jobs.Remembered(name="three"))
    lanes = lanes.add(SplittingFork(jobs.odd_in_number)).add(Pipe(3), Pipe(2))
    return lanes.add(Join(2, ordered=True))


def poisoned() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(jobs.deadly, on_error="dead_letter"), Processor(jobs.slow))
    )
    return lanes.add(Join(2))


def poisoned_inside() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(FlatMap(jobs.deadly_late, on_error="dead_letter"), Processor(jobs.slow))
    )
    return lanes.add(Pipe(1), Pipe(2)).add(Join(2))


def killed_in_a_part() -> Any:
    """A pipeline as a stage of another one, and functions that are given what was made."""
    part = pipeline(name="part").add(ReplicatingFork(2))
    part = part.add(
        Processor(jobs.tripled, name="one", setup=jobs.Factors),
        FlatMap(jobs.repeated_by, name="two", setup=jobs.Factors),
    )
    lanes = pipeline().add(Processor(jobs.increment)).add(part).add(Pipe(3), Pipe(5))
    return lanes.add(Join(2)).add(Processor(jobs.slow, name="three"))


CASES: Final[dict[str, Case]] = {
    "replicated": Case(replicated),
    "replicated into join": Case(replicated_into_join),
    "balanced": Case(balanced, most=300),
    "balanced into join": Case(balanced_into_join),
    "narrow": Case(narrow, most=200),
    "as they are done": Case(as_they_are_done, most=300),
    "killed side by side": Case(as_they_are_done, ("one", "two", "three", "four"), most=200),
    "numbered": Case(numbered, most=300),
    "deduplicated": Case(deduplicated),
    "flat": Case(flat, most=300),
    "flat on its own": Case(flat_on_its_own, most=300),
    "nested": Case(nested, most=300),
    "nested balances": Case(nested_balances, most=300),
    "joins in a row": Case(joins_in_a_row, most=200),
    "two joins": Case(two_joins, most=300),
    "zipped": Case(zipped, most=300),
    "zip of joins": Case(zip_of_joins, most=300),
    "ordered": Case(ordered, most=300),
    "ordered flat": Case(ordered_flat, most=200),
    "adaptive": Case(adaptive, most=300),
    "adaptive with state": Case(adaptive_with_state, most=500),
    "dead letters": Case(dead_letters),
    "refused": Case(refused, most=100),
    "refused behind join": Case(refused_behind_join, most=100),
    "timed out": Case(timed_out, most=25, streams=False),
    "timed out side by side": Case(timed_out_side_by_side, most=25, streams=False),
    "cancelled side by side": Case(cancelled_side_by_side, ("one", "two"), most=60, streams=False),
    "interleaved": Case(interleaved, most=120),
    "killed interleaved": Case(remembered_races, ("one", "two", "three"), most=120),
    "in generations": Case(in_generations, most=120),
    "timed out for good": Case(timed_out_for_good, most=25, streams=False),
    "timed out with state": Case(timed_out_with_state, most=25, streams=False),
    "cut by time": Case(cut_by_time, most=500),
    "idle keys": Case(idle_keys, most=500),
    "partitioned": Case(partitioned, most=300),
    "partitioned by cores": Case(partitioned_by_cores, most=500),
    "routed": Case(routed, most=300),
    "split in order": Case(split_in_order, most=300),
    "refused by a fork": Case(refused_by_a_fork, most=100),
    "refused by the first fork": Case(refused_by_the_first_fork, most=100),
    "poisoned": Case(poisoned, most=13, streams=False),
    "poisoned inside": Case(poisoned_inside, most=13, streams=False),
    "poisoned together": Case(poisoned_together, most=13, streams=False),
    "stuck": Case(stuck, most=40, streams=False),
    "killed": Case(killed, ("one", "two", "three"), most=500),
    "killed at forks": Case(killed_at_forks, ("one", "two", "three"), most=500),
    "killed with state": Case(killed_with_state, ("one",), most=100),
    "killed singly": Case(killed_singly, ("one", "two", "three"), most=100),
    "killed at zips": Case(killed_at_zips, ("one", "two", "three", "four"), most=100),
    "killed together": Case(killed_together, ("one", "two", "three", "four"), most=100),
    "killed with timers": Case(killed_with_timers, ("one", "two", "three", "four"), most=300),
    "killed with idle keys": Case(killed_with_idle_keys, ("one", "two"), most=300),
    "kept states": Case(kept_states, most=500),
    "killed keys": Case(killed_keys, ("one", "two", "three"), most=300),
    "killed windows": Case(killed_windows, ("one", "two", "three"), most=300),
    "killed in a part": Case(killed_in_a_part, ("part/one", "part/two", "three"), most=300),
    "killed at routes": Case(killed_at_routes, ("one", "two", "three"), most=300),
    "killed letters": Case(killed_letters, ("one", "two", "three"), most=500),
}
