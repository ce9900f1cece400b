"""`trace=` writes what happened in a run as trace events, which Perfetto reads."""

from __future__ import annotations

import asyncio
from array import array
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
)
from conveyor.io import Lines
from conveyor.runtime.parent import run_tracer
from tests.jobs import double
from tests.logs import dies_once_at_two
from tests.trace_format import TraceFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.json"


def test_a_track_a_worker_with_all_its_items(path: Path) -> None:
    pl = Pipeline[int]().add(Processor(double, name="first")).add(FlatMap(range, name="second"))
    result = pl.run([3] * 100, trace=path)

    trace = TraceFile.read(path)
    pids = {name: stage.pid for name, stage in result.report.stages.items()}
    assert [*trace.tracks.values()] == [
        "source, in the program",
        f"first, worker {pids['first']}",
        f"second, worker {pids['second']}",
        "sink, in the program",
    ]
    assert trace.items("first") == trace.items("second") == 100
    facts = trace.whole["otherData"]
    assert facts.pop("first_window_at") > 0
    assert facts == {"how": "done", "lost": 0, "one_window_of": 1}
    assert trace.named("the run is over: done")
    assert trace.named("queued before second")


def test_forks_and_joins_say_what_they_decided(path: Path) -> None:
    pl = (
        Pipeline[int]()
        .add(BalancingFork(2, name="share"))
        .add(Processor(double, name="left"), Processor(double, name="right"))
        .add(Join(2, name="merge"))
        .add(Processor(double, name="last"))
    )
    pl.run(range(500), trace=path, record=path.with_suffix(".cvd"))

    trace = TraceFile.read(path)
    assert trace.items("share gives to lane") == 500
    assert trace.items("merge reads input") == trace.items("last") == 500
    assert trace.items("left") + trace.items("right") == 500


def test_the_join_before_the_results_says_so_too(path: Path) -> None:
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2, name="merge"))
    pl.run(range(50), trace=path)
    assert TraceFile.read(path).items("merge reads input") == 100


def test_a_death_is_seen_on_the_track_of_its_worker_and_another_takes_over(path: Path) -> None:
    result = Pipeline[int]().add(Processor(dies_once_at_two, name="job")).run(range(9), trace=path)

    trace = TraceFile.read(path)
    (dies,), (comes,) = trace.named("dies: was killed by SIGKILL"), trace.named("takes over")
    assert comes["tid"] == result.report.stages["job"].pid != dies["tid"]
    assert [name.partition(",")[0] for name in trace.tracks.values()][1:3] == ["job", "job"]
    assert dies["ts"] <= comes["ts"]


def test_lanes_that_are_opened_are_seen(path: Path) -> None:
    grown = (
        Pipeline[int]()
        .add(BalancingFork(max_lanes=2, name="grow"))
        .add(Processor(busy))
        .add(Join())
    )
    with grown.stream(iter(int, 1), trace=path) as results:
        for _ in results:
            if max(results.report.stages[name].items_in for name in ("busy/1",)) > 0:
                break
    assert TraceFile.read(path).named("grow opens lanes: 2 are open, 1 were before")


def busy(item: int) -> int:
    return item + 0 * sum(range(20_000))


def test_a_run_that_fails_leaves_its_trace(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        Pipeline[int]().add(Processor(lambda n: 1 // n)).run([1, 0], trace=path)
    assert TraceFile.read(path).whole["otherData"]["how"] == "failed: ZeroDivisionError"


def test_every_way_to_run_traces_and_a_later_run_does_not(path: Path) -> None:
    async def astream(pl: Pipeline[int, int]) -> list[int]:
        async with pl.astream(range(3), trace=path) as results:
            return [result async for result in results]

    with Pipeline[int]().add(Processor(double)) as pl:
        with pl.stream(range(3), trace=path) as results:
            assert list(results) == [0, 2, 4]
        assert TraceFile.read(path).items("double") == 3
        for found in (asyncio.run(pl.arun(range(3), trace=path)), asyncio.run(astream(pl))):
            assert found == [0, 2, 4]
            assert TraceFile.read(path).items("double") == 3
        path.unlink()
        pl.run(range(3))
    assert not path.exists()


@pytest.mark.parametrize("other", ["trace", "record"])
@pytest.mark.parametrize("call", ["run", "stream"])
def test_where_one_file_cannot_be_written_the_other_is_left_as_it_is(
    tmp_path: Path, other: str, call: str
) -> None:
    known, new = tmp_path / "known", tmp_path / "new"
    known.write_bytes(b"of another run")
    wrong = {other: tmp_path / "nowhere" / "file"}
    kept = "record" if other == "trace" else "trace"

    for path in (known, new):
        files: dict[str, Any] = {**wrong, kept: path}
        with pytest.raises(FileNotFoundError, match="nowhere"):
            list(getattr(Pipeline[int]().add(Processor(double)), call)([1], **files))

    assert known.read_bytes() == b"of another run"
    assert [*tmp_path.iterdir()] == [known]


@pytest.mark.parametrize("call", ["run", "stream", "drain"])
def test_a_recording_and_a_trace_are_two_files(tmp_path: Path, call: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    into: dict[str, Any] = {"into": Lines(tmp_path / "out")} if call == "drain" else {}

    with pytest.raises(ValueError, match="record and trace are the same file"):
        getattr(Pipeline[int]().add(Processor(double)), call)(
            [1], record=link, trace=str(tmp_path / "file"), **into
        )

    assert [*tmp_path.iterdir()] == [link]


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pipeline[int]().add(Processor(double)).run([1], trace=tmp_path / "no" / "where.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_a_note_of_the_report() -> None:
    result = Pipeline[int]().add(Processor(double)).run([1], trace="/dev/full")
    assert result == [2]
    assert "the trace '/dev/full' is not whole: No space left on device" in result.report.notes


def test_the_file_is_bounded_and_what_is_kept_are_whole_windows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracer, "MOST", 20)
    monkeypatch.setattr(run_tracer, "WINDOW_NS", 1_000_000)
    Pipeline[int]().add(Processor(busy)).run(range(3_000), trace=path)

    trace = TraceFile.read(path)
    facts = trace.whole["otherData"]
    stride, first = facts["one_window_of"], facts["first_window_at"]
    spans = [event for track in trace.slices.values() for event in track]
    assert stride > 1
    assert 0 < len(spans) <= 20
    assert {round(event["ts"] - first, 3) // 1000 % stride for event in spans} == {0}


def test_a_long_run_is_traced_to_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many spans there were: what is left out already is no reason to leave out more."""
    monkeypatch.setattr(run_tracer, "MOST", 20)
    monkeypatch.setattr(run_tracer, "WINDOW_NS", 1_000_000)
    result = Pipeline[int]().add(Processor(busy)).run(range(3_000), trace=path)

    stride = TraceFile.read(path).whole["otherData"]["one_window_of"]
    assert 1 < stride <= 2 * result.report.seconds * 1000


def test_a_window_that_is_too_full_is_made_smaller(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracer, "MOST", 20)
    monkeypatch.setattr(run_tracer, "WINDOW_NS", 3_600_000_000_000)  # longer than the run
    Pipeline[int]().add(Processor(busy)).run(range(300), trace=path)

    spans = [event for track in TraceFile.read(path).slices.values() for event in track]
    assert 0 < len(spans) <= 20


def test_spans_that_find_no_room_are_counted() -> None:
    from conveyor.runtime.shm.trace_log import ENTRY_WORDS, WORDS, TraceLog, TraceWriter

    words, there = memoryview(array("Q", [0] * 32)), memoryview(array("Q", [0] * WORDS))

    class Log(TraceLog):
        def there(self) -> memoryview[int]:
            return there

    writer = TraceWriter(words, there)
    log = Log(words, None, 0)  # type: ignore[arg-type]  # of the memory only `there` would be asked
    for number in range(WORDS // ENTRY_WORDS + 5):
        writer.add(0, number, 1)
    assert log.lost == 5
    assert log.take()[1::ENTRY_WORDS] == array("Q", range(WORDS // ENTRY_WORDS))
    for number in range(WORDS // ENTRY_WORDS - 1):
        writer.add(0, number, 1)
    assert len(log.take()) == WORDS - ENTRY_WORDS  # around the end of the ring
