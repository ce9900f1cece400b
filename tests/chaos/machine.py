"""Kills a run that is kept in a checkpoint as a whole, again and again, and compares what its sink
holds in the end with what an undisturbed run puts there.

A life is one run, forked from here, with its workers in a process group of its own.  It dies at a
random moment, or, by its own hand, at a step of the protocol of checkpoints; then the next begins.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random
from select import select
from tempfile import TemporaryDirectory
from typing import Any, Final, cast
from unittest.mock import patch

from conveyor import (
    BalancingFork,
    Batch,
    Checkpoint,
    Filter,
    FlatMap,
    Join,
    PerKey,
    Pipe,
    Processor,
    ReplicatingFork,
    Throttle,
    Unbatch,
    UncheckedPipeline,
    Zip,
)
from conveyor._builder.kept_stream import Taker
from conveyor.core import snapshots
from conveyor.core.epochs import Epochs
from conveyor.io import Csv, Kafka, Lines, Parquet, RedisStream
from conveyor.runtime import Placement
from conveyor.runtime.parent import local_crew, manifests
from conveyor.runtime.parent.keeper import Keeper
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.worker.run import Run
from tests.io.services import address
from tests.io.tables import read_table, table
from tests.io.topics import committed, created, removed

__all__ = ["SINKS", "STEPS", "TOPOLOGIES", "Losses", "lives", "machine_kills"]

N_ITEMS: Final = 400  # of a run
EVERY_S: Final = 0.02
HANGS_S: Final = 60.0
WORK_S: Final = 0.0002  # an item
FOLDER: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a kill loses no page


def work(item: str) -> str:
    """Takes a while, so that kills find items everywhere."""
    time.sleep(WORK_S)  # it does nothing but last: what is killed meanwhile is the point
    return item


def twice(item: str) -> list[str]:
    """Nothing of every third item, and two of the others."""
    return [] if int(item) % 3 == 0 else [item, item]


def together(items: list[str]) -> str:
    return "+".join(items)


def last_digit(item: str) -> int:
    return int(item) % 10


def is_even(item: str) -> bool:
    return int(item) % 2 == 0


def is_odd(item: str) -> bool:
    return not is_even(item)


def burst(of: int, item: str) -> list[str]:
    """Three of every third item, nothing of the others."""
    return [item] * 3 if int(item) % 3 == of else []


def bursts(of: int) -> FlatMap[str, str]:
    return FlatMap(partial(burst, of), name=f"bursts-{of}")


def of_two(pair: tuple[str, str]) -> str:
    return work("+".join(pair))


def pairs(one: list[str], other: list[str]) -> list[str]:
    return ["+".join(pair) for pair in zip(one, other, strict=False)]


class Numbered(Processor[Any, Any]):
    """Numbers what comes."""

    n = 0

    def process(self, item: Any) -> str:
        self.n += 1
        return f"{work(item)}:{self.n}"

    def snapshot(self) -> int:
        return self.n

    def restore(self, state: int) -> None:
        self.n = state


async def called(item: str) -> str:
    """Waits for something, now longer than those beside it, now not as long."""
    await asyncio.sleep(WORK_S * (int(item) % 7))
    return item


class NumberedInHand(Processor[Any, Any]):
    """Numbers what comes, with others in hand."""

    n = 0

    async def process(self, item: Any) -> str:
        self.n += 1
        n = self.n
        return f"{await called(item)}:{n}"

    def snapshot(self) -> int:
        return self.n

    def restore(self, state: int) -> None:
        self.n = state


@dataclass(frozen=True)
class Topology:
    """A pipeline, and what comes of the items, in order if it `keeps_order`."""

    build: Callable[[Any], Any]
    expected: Callable[[list[str]], list[str]]
    keeps_order: bool = True


def batched(items: list[str]) -> list[str]:
    flat = [each for item in items for each in twice(item)]
    return [together(flat[n : n + 5]) for n in range(0, len(flat), 5)]


def job() -> Any:
    return Processor(work)


TOPOLOGIES: Final[dict[str, Topology]] = {
    "a state": Topology(
        lambda pl: pl.add(job()).add(Numbered(name="numbered")),
        lambda items: [f"{item}:{n}" for n, item in enumerate(items, 1)],
    ),
    "batches": Topology(
        lambda pl: pl.add(job()).add(FlatMap(twice)).add(Batch(5)).add(Processor(together)),
        batched,
    ),
    "balanced, in order": Topology(
        lambda pl: pl.add(BalancingFork(2)).add(job(), job()).add(Join(2, ordered=True)),
        lambda items: items,
    ),
    "adaptive lanes": Topology(
        lambda pl: pl.add(BalancingFork()).add(job()).add(Join(ordered=True)), lambda items: items
    ),
    "a state a key": Topology(
        lambda pl: pl.add(PerKey(last_digit, partial(Numbered, name="numbered"))),
        lambda items: [f"{item}:{n // 10 + 1}" for n, item in enumerate(items)],
    ),
    "copies, first come": Topology(
        lambda pl: pl.add(ReplicatingFork(2)).add(job(), job()).add(Join(2)),
        lambda items: [item for item in items for _ in range(2)],
        keeps_order=False,
    ),
    # Lanes that have different numbers of items before a barrier
    "a zip of lanes that drop": Topology(
        lambda pl: (
            pl.add(ReplicatingFork(2))
            .add(Filter(is_even), Filter(is_odd))
            .add(Zip(2))
            .add(Processor(of_two))
        ),
        lambda items: pairs([*filter(is_even, items)], [*filter(is_odd, items)]),
    ),
    "a zip of bursts out of full lanes": Topology(
        lambda pl: (
            pl.add(ReplicatingFork(2))
            .add(Pipe(2), Pipe(2))
            .add(bursts(0), bursts(1))
            .add(Pipe(1), Pipe(1))
            .add(Zip(2))
            .add(Processor(of_two))
            .add(Numbered(name="numbered"))
        ),
        lambda items: [
            f"{pair}:{n}"
            for n, pair in enumerate(
                pairs(*([each for it in items for each in burst(of, it)] for of in range(2))), 1
            )
        ],
    ),
    "by the clock": Topology(
        lambda pl: (
            pl.add(Throttle(20, per_s=WORK_S * 20))
            .add(Batch(5, within_s=WORK_S))
            .add(Unbatch())
            .add(PerKey(last_digit, partial(Numbered, name="numbered"), idle_s=60.0, max_keys=10))
        ),
        lambda items: [f"{item}:{n // 10 + 1}" for n, item in enumerate(items)],
    ),
    "several in hand": Topology(
        lambda pl: (
            pl.add(Processor(called, concurrency=8)).add(FlatMap(twice, concurrency=2)).add(job())
        ),
        lambda items: [each for item in items for each in twice(item)],
    ),
    "several in hand, as they are done": Topology(
        lambda pl: pl.add(Processor(called, concurrency=8, ordered=False)).add(
            Processor(work, concurrency=3, ordered=False)
        ),
        lambda items: items,
        keeps_order=False,
    ),
    "a state that several in hand share": Topology(
        lambda pl: pl.add(NumberedInHand(name="numbered", concurrency=4)).add(job()),
        lambda items: [f"{item}:{n}" for n, item in enumerate(items, 1)],
    ),
}


@dataclass(frozen=True)
class Kept:
    """A sink in a folder, whether it takes rows, how all is read that is in it, and how what it
    leaves elsewhere is removed; `is_program`: the program takes results itself."""

    make: Callable[[Path], Any]
    read: Callable[[Path], list[str]]
    takes_rows: bool = True
    remove: Callable[[Path], object] = bool
    is_program: bool = False

    def fits(self, topology: Topology) -> bool:
        """Can it be told what came twice?  A program may see again what it had acknowledged."""
        results = topology.expected([str(n) for n in range(100)])
        return not self.is_program or len({*results}) == len(results)


SINKS: Final[dict[str, Kept]] = {
    "lines": Kept(
        lambda at: Lines(at / "out.txt"), lambda at: list(Lines(at / "out.txt")), takes_rows=False
    ),
    "csv, a file an epoch": Kept(
        lambda at: Csv(at / "out", per_epoch=True),
        lambda at: [row["text"] for row in Csv(f"{at}/out/[!.]*")],
    ),
    "sqlite": Kept(table, read_table),
}
if find_spec("pyarrow"):
    SINKS["parquet"] = Kept(
        lambda at: Parquet(at / "out", per_epoch=True),
        lambda at: [row["text"] for row in Parquet(f"{at}/out/[!.]*")],
    )


def taken(folder: Path) -> list[str]:
    """What the program has taken, each for the first time."""
    return [*dict.fromkeys((folder / "taken").read_text().splitlines())]


SINKS["the program"] = Kept(lambda at: Taker(), taken, takes_rows=False, is_program=True)


def redis_url() -> str | None:
    """Where a Redis answers that `make services` has started, if one does."""
    try:
        return address("redis") if find_spec("redis") else None
    except LookupError:
        return None


def redis_stream(folder: Path) -> Any:
    return RedisStream(redis_url() or "", f"chaos-{folder.name}", idle_s=0.001)


def remove_stream(folder: Path) -> None:
    import redis

    client: Any = cast("Any", redis).Redis.from_url(redis_url() or "")
    for key in client.scan_iter(f"*chaos-{folder.name}*"):
        client.delete(key)
    client.close()


if redis_url() is not None:
    SINKS["redis"] = Kept(
        redis_stream,
        lambda at: [entry.fields[b"text"].decode() for entry in redis_stream(at)],
        remove=remove_stream,
    )


def kafka_servers() -> str | None:
    """Where a broker of Kafka's protocol answers that `make services` has started, if one does."""
    try:
        found = address("kafka") if find_spec("confluent_kafka") else None
    except LookupError:
        return None
    return found and found.removeprefix("kafka://").removesuffix("/")


def kafka(folder: Path) -> Any:
    """The topic of a folder, which is made before the first life begins."""
    servers, name = kafka_servers() or "", f"chaos-{folder.name}"
    made = folder / "topic"
    if not made.exists():
        created(servers, name, 1)
        made.touch()
    return Kafka(servers, name)


if kafka_servers() is not None:
    SINKS["kafka"] = Kept(
        kafka,
        lambda at: [it.decode() for it in committed(kafka_servers() or "", f"chaos-{at.name}")],
        takes_rows=False,
        remove=lambda at: removed(kafka_servers() or "", f"chaos-{at.name}"),
    )


def row(text: str) -> dict[str, str]:
    return {"text": text}


# Where a life may end by its own hand: before or behind what, in whichever of its processes.
STEPS: Final = {
    "a barrier is sent on": (RingOutlet, "set_barrier"),
    "a worker notes what it knows": (Run, "keep"),
    "the sink is opened": (None, "open"),
    "a barrier has come through": (Keeper, "whole"),
    "the sink prepares": (None, "prepare"),
    "states or a manifest are stored": (manifests, "store"),
    "a directory is synced": (manifests, "sync_directory"),
    "the sink commits": (None, "commit"),
    "what is old is forgotten": (manifests.Directory, "forget"),
    "it is seen where to go on": (Epochs, "resume"),
}


def dies_at(step: str, behind: bool, times: int, sink: Any) -> None:
    """From now on this process and its workers die at the `times`-th such step."""
    owner, name = STEPS[step]
    place: Any = owner or sink
    original = getattr(place, name)
    left = times

    def stepped(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if not behind and left == 0:
            os.killpg(0, signal.SIGKILL)
        given = original(*arguments)
        if behind and left == 0:
            os.killpg(0, signal.SIGKILL)
        return given

    setattr(place, name, stepped)


def live(topology: Topology, kept: Kept, folder: Path, shares: bool) -> None:
    """One life, to its end if nothing ends it before; `shares`: its stages share workers where they
    may, which they may do in one life and not in the next."""
    patch.multiple(snapshots, FEW=0, PART=100).start()  # as if states were large: in parts
    patch.object(local_crew, "usable_cores", lambda: [0]).start()
    placement = Placement(fuse=shares)
    pipeline = topology.build(UncheckedPipeline(start_method="fork"))
    if kept.takes_rows:
        pipeline = pipeline.add(Processor(row))
    source, checkpoint = Lines(folder / "in.txt"), Checkpoint(folder / "state", every_s=EVERY_S)
    if not kept.is_program:
        pipeline.drain(source, into=kept.make(folder), checkpoint=checkpoint, placement=placement)
        return
    with (
        (folder / "taken").open("a") as out,
        pipeline.stream(source, checkpoint=checkpoint, placement=placement) as all_,
    ):
        for result in all_:
            out.write(f"{result}\n")
            out.flush()
            all_.acknowledge()


def forked(life: Callable[[], None], dies_after: float | None, errors: Path) -> int | None:
    """How a life ended: 0, the number of the signal that killed it, negative, or 1 if it failed;
    None if it had to be killed, as it hung."""
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            life()
        except BaseException:
            errors.write_text(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    patience = HANGS_S if dies_after is None else dies_after
    fd = os.pidfd_open(pid)
    try:
        has_ended = ended_within(fd, patience)
    finally:
        os.close(fd)
    if not has_ended:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(pid, signal.SIGKILL)  # it has no group of its own yet
    _, status = os.waitpid(pid, 0)
    return None if not has_ended and dies_after is None else os.waitstatus_to_exitcode(status)


def ended_within(fd: int, seconds: float) -> bool:
    return bool(select([fd], [], [], seconds)[0])


@dataclass
class Losses:
    """What came of many lives; `wrong` says what was not as it must."""

    kills: int = 0
    lost: int = 0
    repeated: int = 0
    disorder: int = 0
    refused: int = 0
    hangs: int = 0
    wrong: list[str] = field(default_factory=list[str])
    steps: Counter[str] = field(default_factory=Counter[str])

    def __str__(self) -> str:
        text = (
            f"{self.kills:6} kills: {self.lost} lost, {self.repeated} repeated, {self.disorder} "
            f"out of order, {self.refused} restarts refused, {self.hangs} hangs"
        )
        return "\n".join([text, *self.wrong])

    def where(self) -> str:
        """How often a life ended where."""
        return "\n".join(f"  {step:45}{times:6} kills" for step, times in self.steps.most_common())

    def add(self, other: Losses) -> None:
        self.kills += other.kills
        self.lost += other.lost
        self.repeated += other.repeated
        self.disorder += other.disorder
        self.refused += other.refused
        self.hangs += other.hangs
        self.wrong += other.wrong
        self.steps += other.steps

    def compare(self, topology: Topology, said: list[str], items: list[str], where: str) -> None:
        expected = topology.expected(items)
        there, wanted = Counter(said), Counter(expected)
        lost, repeated = (wanted - there).total(), (there - wanted).total()
        disorder = int(topology.keeps_order and not lost and not repeated and said != expected)
        self.lost, self.repeated = self.lost + lost, self.repeated + repeated
        self.disorder += disorder
        if lost or repeated or disorder:
            self.wrong.append(f"{where}: {lost} lost, {repeated} repeated, disorder {disorder}")


def lives(
    topology_name: str,
    sink_name: str,
    kills: int,
    seed: int,
    only: str = "",
    n_items: int = N_ITEMS,
) -> Losses:
    """Kills one run until it has had so many deaths, or has ended before; then it goes on to its
    end.  Every second death is at a step of the protocol; all are at the first step `only`, if one
    is named."""
    topology, kept = TOPOLOGIES[topology_name], SINKS[sink_name]
    random = Random(f"{topology_name} {sink_name} {seed}")
    items, losses = [str(n) for n in range(n_items)], Losses()
    with TemporaryDirectory(dir=FOLDER) as name:
        folder, where = Path(name), f"{topology_name}, {sink_name}, seed {seed}"
        errors = folder / "error"
        (folder / "in.txt").write_text("\n".join(items) + "\n")
        sink: Any = kept.make(folder).__class__
        for number in range(kills + 1):
            step, after = "", None
            if number == kills:
                pass  # nothing ends the last life
            elif only or random.random() < 0.5:
                step = only or random.choice([*STEPS])
            else:
                after = random.uniform(0.005, 0.2)
            chosen = random.random() < 0.5, 1 if only else random.randint(1, 6)
            shares = random.random() < 0.5

            def life(
                step: str = step, chosen: tuple[bool, int] = chosen, shares: bool = shares
            ) -> None:
                if step:
                    dies_at(step, *chosen, sink)
                live(topology, kept, folder, shares)

            status = forked(life, after, errors)
            if status == -signal.SIGKILL:
                losses.kills += 1
                losses.steps[step or "at random"] += 1
                continue
            if status is None:
                losses.hangs += 1
                losses.wrong.append(f"{where}: life {number} hung")
            elif status:
                losses.refused += 1
                said = errors.read_text() if errors.exists() else f"status {status}"
                losses.wrong.append(f"{where}: life {number} failed: {said}")
            break
        if not losses.wrong:
            losses.compare(topology, kept.read(folder), items, where)
        kept.remove(folder)
    return losses


def machine_kills(kills: int, seed: int) -> Iterator[tuple[str, Losses]]:
    """Runs of each topology into each sink take turns until there were so many kills."""
    pairs = [
        (topology, sink)
        for topology in TOPOLOGIES
        for sink in SINKS
        if SINKS[sink].fits(TOPOLOGIES[topology])
    ]
    share = -(-kills // len(pairs))
    for topology, sink in pairs:
        losses = Losses()
        number = 0
        while losses.kills < share and not losses.wrong:
            losses.add(lives(topology, sink, min(12, share - losses.kills), seed + number))
            number += 1
        yield f"{topology}, into {sink}", losses
