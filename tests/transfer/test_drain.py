"""`drain` hands everything that comes out to a sink, in one epoch, and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import Join, Pipeline, Processor, ReplicatingFork, Sink, Source
from conveyor.errors import LifecycleError, TopologyError
from tests.helpers import eventually, pipeline

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(100),
    pytest.mark.usefixtures("nothing_is_left_behind"),
]


class Log:
    """A sink that notes what it is told, and raises in one of its calls if it is to."""

    def __init__(self, fails_in: str = "") -> None:
        self.calls: list[str] = []
        self.items: list[int] = []
        self.fails_in = fails_in

    def note(self, call: str) -> None:
        self.calls.append(call)
        if call.startswith(self.fails_in or "-"):
            raise OSError(f"no {call}")

    def open(self, epoch: int, /) -> None:
        self.note(f"open {epoch}")

    def write(self, items: Sequence[int], /) -> None:
        self.items += items
        if self.calls[-1] != "write":
            self.note("write")

    def prepare(self, epoch: int, /) -> None:
        self.note(f"prepare {epoch}")

    def commit(self, epoch: int, /) -> None:
        self.note(f"commit {epoch}")

    def abort(self) -> None:
        self.note("abort")

    def identity(self) -> str:
        return "a log"


class Numbers:
    """A source that notes when it is closed."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.is_closed = False

    def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
        try:
            for n in range(position or 0, self.end):
                yield n, n + 1
        finally:
            self.is_closed = True

    def identity(self) -> str:
        return f"numbers below {self.end}"


WHOLE = ["open 0", "write", "prepare 0", "commit 0"]


def increment(n: int) -> int:
    return n + 1


def listed(n: int) -> list[int]:
    return list(range(n))


def iterated(n: int) -> Iterator[int]:
    return iter(range(n))


def plus_one(**options: Any) -> Pipeline[int, int]:
    pl: Pipeline[int, int] = pipeline(**options).add(Processor(increment))
    return pl


@pytest.mark.parametrize("items", [Numbers, range, listed, iterated])
def test_a_source_or_any_iterable_goes_into_the_sink(
    items: Callable[[int], Source[int, int]],
) -> None:
    sink = Log()

    report = plus_one().drain(items(5000), into=sink)

    assert sink.items == list(range(1, 5001))
    assert sink.calls == WHOLE
    assert report.stages["increment"].items_out == 5000


def test_no_item_is_one_epoch_too() -> None:
    sink = Log()

    plus_one().drain([], into=sink)

    assert sink.calls == ["open 0", "prepare 0", "commit 0"]


def test_a_source_is_closed_when_the_run_ends_well_or_ill() -> None:
    well, ill = Numbers(10), Numbers(10**9)

    plus_one().drain(well, into=Log())
    with pytest.raises(OSError, match="no write"):
        plus_one().drain(ill, into=Log("write"))

    assert well.is_closed
    assert ill.is_closed


def failing(n: int) -> int:
    return 1 // (n - 400)


def test_a_job_that_fails_aborts_the_sink() -> None:
    sink = Log()

    with pytest.raises(ZeroDivisionError) as raised:
        pipeline().add(Processor(failing)).drain(range(1000), into=sink)

    assert sink.calls[-1] == "abort"
    assert "commit 0" not in sink.calls
    assert "item 400: 400" in raised.value.__notes__[0]


@pytest.mark.parametrize("call", ["write", "prepare", "commit"])
def test_a_sink_that_fails_is_aborted_and_its_error_raised(call: str) -> None:
    sink = Log(call)

    with pytest.raises(OSError, match=f"no {call}"):
        plus_one().drain(range(1000), into=sink)

    assert sink.calls[-1] == "abort"


def test_a_sink_that_cannot_be_opened_is_not_aborted_and_nothing_is_read() -> None:
    source, sink = iter(range(10)), Log("open")

    with pytest.raises(OSError, match="no open 0"):
        plus_one().drain(source, into=sink)

    assert sink.calls == ["open 0"]
    assert next(source) == 0


def test_a_sink_that_cannot_abort_does_not_hide_why_the_run_failed() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        pipeline().add(Processor(failing)).drain(range(1000), into=Log("abort"))

    assert "The sink could not abort either: OSError: no abort" in raised.value.__notes__


def test_a_source_that_cannot_be_closed_does_not_hide_why_the_run_failed() -> None:
    class Stuck(Numbers):
        def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
            try:
                yield from super().open(position)
            finally:
                raise OSError("no close")

    with pytest.raises(ZeroDivisionError) as raised:
        pipeline().add(Processor(failing)).drain(Stuck(10**9), into=Log())

    assert "The source could not be closed either: OSError: no close" in raised.value.__notes__


def test_results_reach_the_sink_while_the_source_blocks() -> None:
    sink = Log()

    def came(n: int) -> bool:
        return n in sink.items

    def waits_for_its_own_result() -> Iterator[int]:
        for n in range(3):
            yield n
            eventually(partial(came, n + 1))

    plus_one().drain(waits_for_its_own_result(), into=sink)

    assert sink.items == [1, 2, 3]


def test_what_goes_into_the_sink_is_kept_nowhere_else() -> None:
    """Large results, more of them than the memory that is allowed for all of it."""
    import resource

    class Count(Log):
        total = 0

        def write(self, items: Sequence[Any], /) -> None:
            self.total += sum(map(len, items))

    def large(n: int) -> bytes:
        return bytes(100_000)

    sink = Count()
    pl = pipeline().add(Processor(large))
    pl.drain(range(200), into=sink)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pl.drain(range(5000), into=sink)

    assert sink.total == 5200 * 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000  # KiB, of 500_000


def test_a_run_can_be_recorded_and_replayed(tmp_path: Path) -> None:
    sink = Log()
    pl = pipeline().add(ReplicatingFork(2)).add(Processor(abs), Processor(abs)).add(Join(2))

    pl.drain(range(50), into=sink, record=tmp_path / "run.cvd")

    assert pl.replay(range(50), tmp_path / "run.cvd") == sink.items


def test_an_open_pipeline_drains_as_often_as_wanted() -> None:
    sink = Log()
    with plus_one() as pl:
        pl.drain(range(3), into=sink)
        assert pl.run(range(3)) == [1, 2, 3]
        pl.drain(range(3, 5), into=sink)

    assert sink.items == [1, 2, 3, 4, 5]


def test_what_is_refused_is_refused_before_the_sink_is_opened() -> None:
    sink: Any = Log()
    pl: Any = plus_one()

    with pytest.raises(TypeError, match="takes a Source or an iterable of items, not int"):
        pl.drain(3, into=sink)
    with pytest.raises(TypeError, match=r"list is none: it has no open\(\), no write\(\)"):
        pl.drain([3], into=[])
    with pytest.raises(TopologyError):
        pipeline().add(ReplicatingFork(2)).drain([3], into=sink)
    with pl, pl.stream(iter(range(10**9))), pytest.raises(LifecycleError):
        pl.drain([3], into=sink)

    assert sink.calls == []


def test_the_protocols_tell_sources_and_sinks_from_other_things() -> None:
    assert isinstance(Numbers(3), Source)
    assert isinstance(Log(), Sink)
    assert not isinstance(Path("file"), Source)
    assert not isinstance([], Source)
