"""A recording whose file takes no more: the run goes on, what was written is valid, and the report
says so."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Processor
from conveyor.recording.reader import Recording
from conveyor.runtime.parent import recorder
from tests.helpers import descriptors, pipeline
from tests.jobs import double, increment

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


class Disk:
    """Files on it take so many bytes in all, of a write as many as there is room for; they may fail
    when they are closed."""

    def __init__(self, room: int, fails_at_close: bool = False) -> None:
        self.room = room
        self.fails_at_close = fails_at_close

    def open(self, path: Path, mode: str, buffering: int) -> io.FileIO:
        assert (mode, buffering) == ("wb", 0)
        disk = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                size = min(len(data), disk.room)
                if not size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                disk.room -= size
                return super().write(data[:size])

            def close(self) -> None:
                was_open = not self.closed
                super().close()
                if disk.fails_at_close and was_open:
                    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        return File(path, "wb")


def recorded(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    class Opened:
        def __init__(self, path: Path) -> None:
            self.path = path

        def open(self, mode: str, buffering: int) -> io.FileIO:
            return disk.open(self.path, mode, buffering)

    monkeypatch.setattr(recorder, "Path", Opened)


def lanes() -> Any:
    pl = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(double, name="a"), Processor(double, name="b"))
        .add(Join(2))
    )
    return pl.add(Processor(increment))


RESULTS = [2 * item + 1 for item in range(500)]


def whole_size(directory: Path) -> int:
    path = directory / "whole.cvd"
    lanes().run(range(500), record=path)
    return path.stat().st_size


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_run_goes_on_and_the_report_says_that_the_recording_does_not(
    share: float, streamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = int(share * whole_size(tmp_path))
    recorded(monkeypatch, Disk(room))
    path = tmp_path / "run.cvd"
    if streamed:
        with lanes().stream(range(500), record=path) as stream:
            results = list(stream)
        report = stream.report
    else:
        result = lanes().run(range(500), record=path)
        results, report = list(result), result.report

    assert sorted(results) == RESULTS
    (note,) = [note for note in report.notes if "recording" in note]
    assert note == f"the recording {str(path)!r} ends before the run: No space left on device"
    assert path.stat().st_size == room
    assert not any("run.cvd" in name for name in descriptors())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_what_was_written_is_replayed(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = int(share * whole_size(tmp_path))
    recorded(monkeypatch, Disk(room))
    path = tmp_path / "run.cvd"
    lanes().run(range(500), record=path)
    monkeypatch.undo()

    recording = Recording.read(path.read_bytes(), "run.cvd")
    assert recording.end is None
    assert sorted(lanes().replay(range(500), path)) == RESULTS[: recording.given.count]


def test_the_next_run_of_an_open_pipeline_is_recorded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lanes() as pl:
        with monkeypatch.context() as full:
            recorded(full, Disk(100))
            assert any(
                "recording" in note
                for note in pl.run(range(500), record=tmp_path / "first.cvd").report.notes
            )
        assert not any("recording" in note for note in pl.run(range(500)).report.notes)
        result = pl.run(range(500), record=tmp_path / "run.cvd")

    assert not any("recording" in note for note in result.report.notes)
    assert lanes().replay(range(500), tmp_path / "run.cvd") == result


def test_a_file_that_fails_when_it_is_closed_is_no_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(monkeypatch, Disk(1 << 30, fails_at_close=True))
    result = lanes().run(range(500), record=tmp_path / "run.cvd")

    assert sorted(result) == RESULTS
    assert any(os.strerror(errno.EDQUOT) in note for note in result.report.notes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_a_device_that_is_always_full_is_as_good_as_none() -> None:
    result = lanes().run(range(500), record="/dev/full")

    assert sorted(result) == RESULTS
    assert any("'/dev/full' ends before the run" in note for note in result.report.notes)


def test_a_file_that_cannot_be_made_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lanes().run(range(500), record=tmp_path / "nowhere" / "run.cvd")
