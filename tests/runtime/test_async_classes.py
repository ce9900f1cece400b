"""Classes whose process is a coroutine, for real: one object, several items in hand, a state
between them that outlives its worker or ends the run with it; and what `setup` opens in the event
loop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    context,
)
from conveyor.errors import TopologyError, WorkerCrashed
from tests.conformance.jobs import RememberedRaces, slow
from tests.helpers import pipeline

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


class Numbered(Processor[int, tuple[int, int]]):
    """Each item with its number, as they come; a number is taken without an await between."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.next = 0
        self.in_hand = self.most = 0

    async def process(self, item: int) -> tuple[int, int]:
        self.in_hand += 1
        self.most = max(self.most, self.in_hand)
        await asyncio.sleep(0.001 * (item % 3))
        number, self.next = self.next, self.next + 1
        self.in_hand -= 1
        return number, item


class Kept(Numbered):
    def snapshot(self) -> int:
        return self.next

    def restore(self, state: int) -> None:
        self.next = state


def numbers_of(result: list[tuple[int, int]]) -> list[int]:
    return sorted(number for number, _ in result)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("cls", [Numbered, Kept])
def test_one_object_has_several_items_in_hand(cls: Any, ordered: bool) -> None:
    result = pipeline().add(cls(concurrency=16, ordered=ordered)).run(range(100))

    assert numbers_of(result) == list(range(100))
    assert sorted(item for _, item in result) == list(range(100))
    assert not ordered or [item for _, item in result] == list(range(100))
    assert result.report.stages[cls.__name__].side_by_side > 1


class MostInHand(Numbered):
    async def process(self, item: int) -> tuple[int, int]:
        await super().process(item)
        return self.most, item


@pytest.mark.parametrize(("said", "hands"), [({"concurrency": 5}, 5), ({}, 64)])
def test_no_more_than_was_said_and_64_if_nothing_was(said: Any, hands: int) -> None:
    class Waits(MostInHand):
        async def process(self, item: int) -> tuple[int, int]:
            self.in_hand += 1
            self.most = max(self.most, self.in_hand)
            while self.most < hands:
                await asyncio.sleep(0.001)
            self.in_hand -= 1
            return self.most, item

    result = pipeline().add(Waits(**said)).run(range(200))
    assert {most for most, _ in result} == {hands}


class Pairs(FlatMap[int, int]):
    async def process(self, item: int) -> AsyncIterator[int]:
        for _ in range(item):
            await asyncio.sleep(0)
            yield item


class News(Filter[int, int]):
    async def setup(self) -> None:
        await asyncio.sleep(0)
        self.seen: set[int] = set()

    async def process(self, item: int) -> bool:
        await asyncio.sleep(0)
        is_new = item not in self.seen
        self.seen.add(item)
        return is_new

    async def finish(self) -> AsyncIterator[int]:
        for item in sorted(self.seen):
            await asyncio.sleep(0)
            yield -item


def test_the_other_kinds_of_jobs_are_classes_too() -> None:
    assert pipeline().add(Pairs()).run([3, 0, 2]) == [3, 3, 3, 2, 2]
    assert pipeline().add(News()).run([4, 4, 5]) == [4, 5, -4, -5]


class Told(Processor[str, str]):
    """Writes down what is called, and by which event loop."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    async def tell(self, what: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{what} {id(asyncio.get_running_loop())}\n")

    async def setup(self) -> None:
        await self.tell("setup")

    async def process(self, item: str) -> str:
        await self.tell("process")
        return item

    async def finish(self) -> list[str]:
        await self.tell("finish")
        return ["end"]

    async def teardown(self) -> None:
        await self.tell("teardown")


def test_all_of_its_methods_may_be_async_and_run_in_one_event_loop(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Pipeline[str]().add(Told(path)) as pl:
        assert pl.run(["a"]) == ["a", "end"]
        assert pl.run(["b"]) == ["b", "end"]
    told = [line.split() for line in path.read_text().splitlines()]
    assert [what for what, _ in told] == ["setup", *["process", "finish"] * 2, "teardown"]
    assert len({loop for _, loop in told}) == 1


# ------------------------------------------------------------------------------------------ deaths


class Mortal(Kept):
    async def process(self, item: int) -> tuple[int, int]:
        if item in (5, 60, 61, 150) and context().attempt == 1:
            await asyncio.sleep(0.002)
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().process(item)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_restorable_one_goes_on_where_another_died(ordered: bool) -> None:
    """What was in hand runs again on the state before it, so no number is lost or given twice."""
    stage = Mortal(name="job", concurrency=8, ordered=ordered)
    pl = (
        pipeline().add(stage).add(PartitioningFork(2, key=lambda each: each[1])).add(Pipe(), Pipe())
    )
    result = pl.add(Join(2)).run(range(200))

    assert numbers_of(result) == list(range(200))
    assert sorted(item for _, item in result) == list(range(200))
    assert result.report.stages["job"].restarts >= 3
    assert result.report.stages["job"].items_in == 200


class Forgets(Numbered):
    async def process(self, item: int) -> tuple[int, int]:
        if item == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().process(item)


def test_the_state_of_another_is_lost_with_its_worker_and_the_run_ends() -> None:
    with pytest.raises(WorkerCrashed, match=r"snapshot\(\)"):
        pipeline().add(Forgets()).run(range(40))


# ---------------------------------------------------------------------------- what `setup=` opens


class Client:
    """Is opened and closed by a coroutine, as most of those for an event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def get(self, item: int) -> int:
        await asyncio.sleep(0)
        return 2 * item

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        with self.path.open("a") as file:
            file.write("closed\n")


async def get(item: int, client: Client) -> int:
    return await client.get(item)


def opened_by_coroutine(path: Path) -> Any:
    async def connect() -> Client:
        await asyncio.sleep(0)
        return Client(path)

    return connect


def opened_by_context_manager(path: Path) -> Any:
    @asynccontextmanager
    async def connected() -> AsyncGenerator[Client]:
        client = Client(path)
        yield client
        await client.aclose()

    return connected


def opened_at_once(path: Path) -> Any:
    return lambda: Client(path)


@pytest.mark.parametrize("opened", [opened_by_coroutine, opened_by_context_manager, opened_at_once])
def test_what_setup_makes_may_be_awaited_entered_and_closed_by_coroutines(
    opened: Any, tmp_path: Path
) -> None:
    pl = pipeline().add(Processor(get, setup=opened(tmp_path / "real")))
    assert pl.run(range(5)) == [0, 2, 4, 6, 8]
    assert (tmp_path / "real").read_text() == "closed\n"

    pl = pipeline().add(Processor(get, setup=opened(tmp_path / "simulated")))
    assert pl.simulate(range(5)) == [0, 2, 4, 6, 8]
    assert (tmp_path / "simulated").read_text() == "closed\n"


def test_an_async_generator_is_to_be_decorated() -> None:
    async def connected() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TopologyError, match=r"contextlib\.asynccontextmanager"):
        Processor(lambda item, made: item, setup=connected)


# ------------------------------------------------------------------------------ failures, refusals


def test_the_first_failure_ends_the_run_whatever_its_turn_is() -> None:
    """The first item never comes to its end: in order nothing could come before it."""

    async def for_ever(item: int) -> int:
        if item == 0:
            await asyncio.Event().wait()
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        pipeline().add(Processor(for_ever, concurrency=2)).run(range(9))


class InThreads(Processor[int, int]):
    def process(self, item: int) -> int:
        return item


def test_threads_are_refused_where_there_is_a_state() -> None:
    with pytest.raises(TopologyError, match=r"write async def process\(self, item\), or leave out"):
        InThreads(concurrency=4)


class OfAKey(Processor[int, int]):
    async def process(self, item: int) -> int:
        return item


def test_what_per_key_makes_is_not_awaited() -> None:
    with pytest.raises(TopologyError, match=r"OfAKey\.process is an async function"):
        PerKey(lambda item: item, OfAKey)


# -------------------------------------------------------------------------------------- recordings


class Races(Processor[int, int]):
    """Loses updates, in an order that is the machine's."""

    def setup(self) -> None:
        self.total = 0

    async def process(self, item: int) -> int:
        seen = self.total
        await asyncio.sleep(0.0001 * (item % 4))
        await asyncio.sleep(0)
        self.total = seen + 1
        return self.total


class KeptRaces(Races):
    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


class MortalRaces(KeptRaces):
    async def process(self, item: int) -> int:
        result = await super().process(item)
        if item in (7, 33) and context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("cls", [Races, KeptRaces, MortalRaces])
def test_a_run_is_recorded_and_replayed_await_by_await(
    cls: Any, ordered: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvr"
    pl = pipeline().add(cls(concurrency=5, ordered=ordered))
    result = pl.run(range(60), record=path)
    assert len(result) == 60
    assert pl.replay(range(60), path) == result


def test_a_run_whose_items_come_now_and_then_is_replayed_too(tmp_path: Path) -> None:
    """With nothing in hand what there is goes out, and a state is saved, wherever that is: which
    calls meet behind that does not depend on it."""

    path = tmp_path / "run.cvr"
    pl = pipeline().add(Processor(slow)).add(RememberedRaces(concurrency=3, ordered=False))
    with pl:
        for _ in range(8):
            result = pl.run(range(60), record=path)
            assert pl.replay(range(60), path) == result
