"""Runs of programs that are asynchronous themselves: `arun` and `astream`."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor
from conveyor.errors import LifecycleError, RunStopped, TopologyError
from tests.helpers import (
    PATIENCE_S,
    eventually,
    living_children,
    new_or_forked,
    pipeline,
    start_script,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

T = TypeVar("T")


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """What comes of it, in an event loop of its own; one that hangs fails."""

    async def in_time() -> T:
        return await asyncio.wait_for(coroutine, PATIENCE_S)

    return asyncio.run(in_time())


async def items_of(iterable: Any) -> AsyncIterator[Any]:
    for item in iterable:
        await asyncio.sleep(0)
        yield item


async def streamed(pl: Any, items: Any) -> list[Any]:
    async with pl.astream(items) as stream:
        return [result async for result in stream]


async def ran(pl: Any, items: Any) -> list[Any]:
    return list(await pl.arun(items))


both = pytest.mark.parametrize("how", [ran, streamed], ids=["arun", "astream"])
SOURCES: dict[str, Callable[[range], Any]] = {
    "a range": lambda items: items,
    "a list": list,
    "an iterator": iter,
    "an asynchronous iterator": items_of,
}


def divide(item: int) -> int:
    return 12 // (item - 3)


# ---------------------------------------------------------------------------------- what is given


@new_or_forked
@pytest.mark.parametrize("source", SOURCES)
@both
def test_the_results_are_those_of_run(how: Any, source: str, start_method: str) -> None:
    pl = pipeline(start_method).add(Processor(double))

    assert done(how(pl, SOURCES[source](range(300)))) == [double(n) for n in range(300)]


@both
def test_one_open_pipeline_runs_again_and_again(how: Any) -> None:
    async def three_times() -> list[list[int]]:
        with pipeline().add(Processor(double)) as pl:
            return [await how(pl, items_of(range(n))) for n in range(3)]

    assert done(three_times()) == [[], [0], [0, 2]]


def test_report_and_dead_letters_are_those_of_a_run() -> None:
    pl = pipeline().add(Processor(divide, on_error="dead_letter"))

    async def both_ways() -> None:
        result = await pl.arun(items_of(range(6)))
        async with pl.astream(range(6)) as stream:
            assert stream.report.stages.keys() == result.report.stages.keys()
            assert (
                [each async for each in stream] == result == [12 // n for n in (-3, -2, -1, 1, 2)]
            )
        for told in (result, stream):
            assert told.report.stages["divide"].dead_lettered == 1
            (letter,) = told.dead_letters
            assert (letter.item, type(letter.exception)) == (3, ZeroDivisionError)

    done(both_ways())


@both
def test_a_run_is_recorded_and_replayed(how: Any, tmp_path: Path) -> None:
    pl = pipeline().add(BalancingFork(2)).add(Processor(double), Pipe()).add(Join(2))
    path = tmp_path / "run.cvd"

    async def recorded() -> list[Any]:
        if how is ran:
            return list(await pl.arun(items_of(range(40)), record=path))
        async with pl.astream(range(40), record=path) as stream:
            return [result async for result in stream]

    results = done(recorded())
    assert len(results) == 40
    assert list(pl.replay(range(40), path)) == results


@both
def test_what_is_refused_before_a_run_is_refused_here(how: Any) -> None:
    pl = pipeline().add(BalancingFork(2))
    with pytest.raises(TopologyError, match="2 lanes are open"):
        done(how(pl, [1]))


def test_a_stream_takes_items_only_as_fast_as_results_are_taken() -> None:
    taken: list[int] = []

    async def endless() -> AsyncIterator[int]:
        for item in count():
            taken.append(item)
            yield item

    async def five() -> list[int]:
        pl = pipeline().add(Pipe(4)).add(Processor(double)).add(Pipe(4))
        async with pl.astream(endless()) as stream:
            first = [await anext(stream) for _ in range(5)]
            await asyncio.sleep(0.2)  # those that it may take it takes meanwhile
            return first

    assert done(five()) == [0, 2, 4, 6, 8]
    # Two pipes of 4, a job and the sink with a slice each of a quarter of that, one in hand
    assert len(taken) <= 5 + 4 + 4 + 1 + 1 + 1


# ----------------------------------------------------------------------------------- the event loop


class Waits:
    """An engine all of whose calls wait until the event loop has made a step: in a loop that they
    blocked they would wait for ever."""

    def __init__(self) -> None:
        self.loop: Any = None

    def step(self) -> None:
        step = threading.Event()
        self.loop.call_soon_threadsafe(step.set)
        assert step.wait(PATIENCE_S), "the event loop is blocked"

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def waits_first(*args: Any, **options: Any) -> Any:
            self.step()
            return call(*args, **options)

        return waits_first


def test_nothing_of_a_run_blocks_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from conveyor.runtime.parent import deployment, streaming

    waits = Waits()
    for owner, name in (
        (deployment.ProgramDeployment, "__init__"),
        (deployment.ProgramDeployment, "run"),
        (deployment.ProgramDeployment, "stream"),
        (deployment.ProgramDeployment, "close"),
        (streaming.Streaming, "advance"),
        (streaming.Streaming, "end"),
    ):
        monkeypatch.setattr(owner, name, waits.wrapped(name, getattr(owner, name)))

    async def each_way() -> None:
        waits.loop = asyncio.get_running_loop()
        pl = pipeline().add(Processor(double))
        assert await pl.arun(range(5)) == await streamed(pl, range(5)) == [0, 2, 4, 6, 8]
        async with pl.astream(count()) as stream:
            assert await anext(stream) == 0
        with pytest.raises(ZeroDivisionError):
            await pipeline().add(Processor(divide)).arun(count())
        run = asyncio.create_task(pl.arun(count()))
        await asyncio.sleep(0.05)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    done(each_way())


SCHEDULED = Path("/proc/thread-self/schedstat")


def waited_for_a_core() -> float:
    """For how many seconds this thread has waited for a core, where that is told: what another
    process does with it is no pause of ours."""
    return int(SCHEDULED.read_text().split()[1]) / 1e9 if SCHEDULED.exists() else 0.0


async def runs_of_many(pl: Any) -> None:
    assert len(await pl.arun(range(50_000))) == 50_000


async def streams(pl: Any) -> None:
    assert len(await streamed(pl, items_of(range(500)))) == 500


async def leaves_a_stream(pl: Any) -> None:
    async with pl.astream(count()) as stream:
        await anext(stream)


@pytest.mark.parametrize("work", [runs_of_many, streams, leaves_a_stream])
def test_the_longest_pause_of_the_event_loop_is_short(work: Any) -> None:
    """Under 50 ms, without what it waits for a core; in the best of several attempts, as a thread
    of ours that has to wait for one may keep the interpreter from it."""

    async def longest_pause() -> float:
        pauses = [0.0]

        async def tick() -> None:
            before, waited = perf_counter(), waited_for_a_core()
            while True:
                await asyncio.sleep(0.001)
                now, waited_now = perf_counter(), waited_for_a_core()
                pauses.append(now - before - (waited_now - waited))
                before, waited = now, waited_now

        async def ticked() -> None:
            seen = len(pauses)
            while len(pauses) == seen:
                await asyncio.sleep(0)

        ticks = asyncio.create_task(tick())
        await ticked()
        await work(pipeline("forkserver").add(Processor(double)).add(Processor(double)))
        await ticked()
        ticks.cancel()
        return max(pauses)

    attempts = (done(longest_pause()) for _ in range(20))
    assert any(pause < 0.05 for pause in attempts)


def test_two_runs_of_two_pipelines_go_on_beside_one_another() -> None:
    """Each waits for an item that only the results of the other let its source give."""

    async def turn_about() -> tuple[list[int], list[int]]:
        results: list[list[int]] = [[], []]
        news = asyncio.Condition()

        async def one_behind(other: list[int]) -> AsyncIterator[int]:
            for item in range(20):
                async with news:
                    while len(other) < item:
                        await news.wait()
                yield item

        async def reader(mine: list[int], other: list[int]) -> None:
            async with pipeline().add(Processor(double)).astream(one_behind(other)) as stream:
                async for result in stream:
                    async with news:
                        mine.append(result)
                        news.notify_all()

        await asyncio.gather(reader(*results), reader(*reversed(results)))
        return results[0], results[1]

    assert done(turn_about()) == ([double(n) for n in range(20)],) * 2


def test_one_pipeline_runs_once_at_a_time() -> None:
    async def twice() -> None:
        pl = pipeline().add(Processor(double))
        async with pl.astream(count()) as stream:
            await anext(stream)
            with pytest.raises(LifecycleError, match="under way"):
                await pl.arun([1])
            with pytest.raises(LifecycleError, match="under way"):
                pl.astream([1])
            assert await anext(stream) == 2
        assert await pl.arun([1]) == [2]

    done(twice())


# ------------------------------------------------------------------------------------- what it sees

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="none")


@pytest.mark.parametrize("is_async", [False, True], ids=["iterable", "asynchronous"])
@both
def test_a_source_sees_the_context_of_the_task(how: Any, is_async: bool) -> None:
    async def asynchronous() -> AsyncIterator[str]:
        yield VARIABLE.get()

    def plain() -> Iterator[str]:
        yield VARIABLE.get()

    async def in_a_task() -> list[str]:
        VARIABLE.set("of the task")
        source = asynchronous() if is_async else plain()
        return list(await how(pipeline().add(Processor(str)), source))

    assert done(in_a_task()) == ["of the task"]


def test_an_asynchronous_source_is_iterated_in_one_task_of_the_loop() -> None:
    async def tasks() -> AsyncIterator[tuple[int, bool]]:
        for _ in range(5):
            yield id(asyncio.current_task()), threading.current_thread() is threading.main_thread()

    found = done(ran(pipeline().add(Processor(tuple)), tasks()))
    assert len(found) == 5
    assert {in_main for _, in_main in found} == {True}
    assert len({task for task, _ in found}) == 1


# ----------------------------------------------------------------------------------------- failures


@both
def test_what_a_job_raises_is_raised_where_it_is_awaited(how: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        done(how(pipeline().add(Processor(divide, name="divide")), items_of(count())))
    assert "in stage 'divide'" in caught.value.__notes__[0]


@both
def test_a_job_that_fails_is_told_while_the_source_waits(how: Any) -> None:
    """The next item never comes."""
    closed: list[bool] = []

    async def one_and_no_more() -> AsyncIterator[int]:
        try:
            yield 3
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        done(how(pipeline().add(Processor(divide)), one_and_no_more()))
    assert closed == [True]


def test_a_job_that_fails_is_told_while_a_source_blocks_a_thread() -> None:
    release = threading.Event()

    def one_and_then_it_blocks() -> Iterator[int]:
        yield 3
        release.wait(PATIENCE_S)

    with pytest.raises(ZeroDivisionError):
        done(ran(pipeline().add(Processor(divide)), one_and_then_it_blocks()))
    assert not release.is_set()
    release.set()


def test_what_a_source_raises_comes_behind_the_results_before_it() -> None:
    class Mine(Exception):
        """Of the program."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise Mine

    async def collected(stream: Any, got: list[int]) -> None:
        async for result in stream:
            got.append(result)

    async def until_it_breaks() -> list[int]:
        got: list[int] = []
        stream = pipeline().add(Processor(double)).astream(broken())
        with pytest.raises(Mine):
            await collected(stream, got)
        with pytest.raises(Mine):
            await pipeline().add(Processor(double)).arun(broken())
        return got

    assert done(until_it_breaks()) == [2, 4]


# ---------------------------------------------------------------------------------------- its end


async def until_it_runs(pl: Any) -> None:
    while not living_children():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("source", ["endless", "asynchronous", "blocked"])
@both
def test_a_task_that_is_cancelled_ends_its_run(how: Any, source: str) -> None:
    release, begun, closed = threading.Event(), threading.Event(), threading.Event()

    async def asynchronous() -> AsyncIterator[int]:
        begun.set()  # it may be cancelled before it was asked for an item
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    def blocked() -> Iterator[int]:
        yield 1
        release.wait(PATIENCE_S)

    async def cancelled() -> None:
        pl = pipeline().add(Processor(double))
        sources: dict[str, Callable[[], Any]] = {
            "endless": count,
            "asynchronous": asynchronous,
            "blocked": blocked,
        }
        run = asyncio.create_task(how(pl, sources[source]()))
        await until_it_runs(pl)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert not living_children()
        if source != "blocked":  # a thread that is inside a source cannot run it anew
            assert await pl.arun([4]) == [8]

    done(cancelled())
    assert closed.is_set() == begun.is_set()
    release.set()


@both
def test_a_signal_handler_may_cancel_the_task_which_does_not_wake_its_loop(how: Any) -> None:
    release = threading.Event()

    def blocked() -> Iterator[int]:
        yield 1
        release.wait(PATIENCE_S)

    async def interrupted() -> None:
        pl = pipeline().add(Processor(double))
        run = asyncio.create_task(how(pl, blocked()))
        await until_it_runs(pl)

        def cancels(*_: object) -> None:
            run.cancel()

        asyncio.get_running_loop().call_later(PATIENCE_S / 2, release.set)  # wakes it, too late
        before = signal.signal(signal.SIGALRM, cancels)
        signal.setitimer(signal.ITIMER_REAL, 0.2)  # the loop is asleep by then
        try:
            with pytest.raises(asyncio.CancelledError):
                await run
        finally:
            signal.signal(signal.SIGALRM, before)
        assert not release.is_set()

    done(interrupted())
    release.set()


def test_a_task_that_is_cancelled_before_its_run_begins_leaves_nothing() -> None:
    async def at_once() -> None:
        pl = pipeline().add(Processor(double))
        for how in (ran, streamed):
            run = asyncio.create_task(how(pl, count()))
            await asyncio.sleep(0)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        assert await pl.arun([4]) == [8]

    done(at_once())


def test_waiting_for_a_result_may_be_cancelled_and_no_result_is_lost() -> None:
    async def impatient() -> list[int]:
        held = asyncio.Event()

        async def slow() -> AsyncIterator[int]:
            yield 0
            await held.wait()
            for item in range(1, 5):
                yield item

        got: list[int] = []
        async with pipeline().add(Processor(double)).astream(slow()) as stream:
            got.append(await anext(stream))
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.02)
            held.set()
            return got + [result async for result in stream]

    assert done(impatient()) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("end", ["stop", "aclose"])
def test_a_stream_that_is_ended_by_others_says_so_to_its_reader(end: str) -> None:
    async def told() -> None:
        pl = pipeline().add(Processor(double))
        never = asyncio.Event()

        async def one_and_no_more() -> AsyncIterator[int]:
            yield 1
            await never.wait()

        stream = pl.astream(one_and_no_more())
        reader = asyncio.create_task(collected(stream))
        await until_it_runs(pl)
        await (stream.aclose() if end == "aclose" else asyncio.to_thread(pl.stop))
        with pytest.raises(RunStopped, match="another task" if end == "aclose" else r"stop\(\)"):
            await reader
        with pytest.raises(RunStopped):
            await anext(stream)

    async def collected(stream: Any) -> list[int]:
        return [result async for result in stream]

    done(told())


def test_stop_ends_a_run_that_is_awaited() -> None:
    async def stopped() -> None:
        pl = pipeline().add(Processor(double))
        run = asyncio.create_task(pl.arun(count()))
        await until_it_runs(pl)
        pl.stop()
        with pytest.raises(RunStopped, match=r"stop\(\)"):
            await run

    done(stopped())


def test_a_stream_that_is_left_by_its_reader_is_at_its_end() -> None:
    async def left() -> None:
        async with pipeline().add(Processor(double)).astream(count()) as stream:
            assert await anext(stream) == 0
        assert [result async for result in stream] == []
        await stream.aclose()

    done(left())


def test_a_pipeline_that_is_closed_ends_its_stream() -> None:
    async def closed() -> None:
        pl = pipeline().add(Processor(double)).open()
        stream = pl.astream(count())
        assert await anext(stream) == 0
        await asyncio.to_thread(pl.close)
        with pytest.raises(RunStopped):
            async for _ in stream:
                pass

    done(closed())


async def is_cancelled(pl: Any, items: Any, runs: asyncio.Event) -> None:
    task = asyncio.create_task(pl.arun(items))
    await runs.wait()
    task.cancel()
    await asyncio.wait([task])


async def is_left(pl: Any, items: Any, runs: asyncio.Event) -> None:
    async with pl.astream(items):
        await runs.wait()


@pytest.mark.parametrize("ends", [is_cancelled, is_left])
def test_a_generator_that_its_run_has_left_is_closed_without_a_collection(ends: Any) -> None:
    async def left() -> None:
        runs, closed = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[int]:
            try:
                for item in count():
                    if item == 100:
                        runs.set()
                    yield item
            finally:
                closed.set()

        gc.disable()
        try:
            await ends(pipeline().add(Processor(double)), source(), runs)
            await closed.wait()
        finally:
            gc.enable()

    done(left())


def test_a_stream_that_nothing_refers_to_any_more_is_ended() -> None:
    async def forgotten() -> None:
        pl = pipeline().add(Processor(double))
        async for result in pl.astream(items_of(count())):
            assert result == 0
            break
        gc.collect()
        while living_children():
            await asyncio.sleep(0.001)
        while True:
            # What has ended it lets go of the pipeline a moment after the last worker is gone.
            with suppress(LifecycleError):
                assert await pl.arun([1]) == [2]
                return
            await asyncio.sleep(0.001)

    done(forgotten())


def test_one_task_at_a_time_takes_from_a_stream() -> None:
    async def two() -> None:
        async def nothing() -> AsyncIterator[int]:
            await asyncio.Event().wait()
            yield 1

        async with pipeline().add(Processor(double)).astream(nothing()) as stream:
            first = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            with pytest.raises(LifecycleError, match="another task"):
                await anext(stream)
            first.cancel()

    done(two())


@pytest.mark.parametrize("how", ["arun", "astream", "asynchronous"])
def test_ctrl_c_ends_the_program_and_its_workers(how: str) -> None:
    script = start_script("async_runs.py", "forkserver", how)
    assert script.stdout is not None
    assert script.stdout.readline() == "runs\n"
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=PATIENCE_S)
    told = ["cancelled", "closed"] if how == "asynchronous" else ["cancelled"]
    assert sorted(out.split()) == told  # the generator while the run is ended, or behind that
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    eventually(lambda: not living_children())
