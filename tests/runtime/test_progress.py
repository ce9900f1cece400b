"""The caller is told how far a run has come, while it runs and at its end."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from itertools import count

import pytest
from rich.console import Console

from conveyor import Pipeline, Processor, Progress
from conveyor.runtime.parent import progress_display
from conveyor.runtime.parent.progress_display import PlainLines
from conveyor.runtime.parent.progress_table import ProgressTable
from tests.jobs import double

ENOUGH = 3  # times that a caller is told, after which a source ends


class Told(list[Progress]):
    """What a caller was told, and in which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def __call__(self, progress: Progress) -> None:
        self.append(progress)
        self.threads.add(threading.get_ident())

    def items(self) -> Iterator[int]:
        """Items until it was told often enough."""
        for number in count():
            if len(self) >= ENOUGH:
                return
            yield number


def failing(item: int) -> int:
    if item == 5:
        raise ValueError(item)
    return item


def test_a_run_tells_in_its_own_thread_and_says_when_it_is_over() -> None:
    told = Told()
    results = Pipeline[int]().add(Processor(double)).run(told.items(), progress=told)

    assert [progress.finished for progress in told] == [False] * ENOUGH + [True]
    assert told.threads == {threading.get_ident()}
    assert told[-1].done == len(results)
    assert told[-1].total is None
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert told[-1].stages["double"].items_in == len(results)


def test_the_length_of_the_items_is_the_total() -> None:
    told = Told()
    Pipeline[int]().add(Processor(double)).run(range(7), progress=told)

    assert (told[-1].total, told[-1].done, told[-1].finished) == (7, 7, True)


class Odd(list[int]):
    def __len__(self) -> int:
        raise RuntimeError("its length is not known")


class Endless(list[int]):
    def __len__(self) -> int:
        return 10**30


@pytest.mark.parametrize("items", [Odd([1, 2]), Endless([1, 2])], ids=["raises", "is no length"])
def test_items_whose_length_is_none_have_no_total(items: list[int]) -> None:
    """They run without progress, so they do with it."""
    told = Told()
    assert list(Pipeline[int]().add(Processor(double)).run(items, progress=told)) == [2, 4]
    assert told[-1].total is None


def test_a_stream_tells_its_reader() -> None:
    told = Told()
    with Pipeline[int]().add(Processor(double)).stream(told.items(), progress=told) as stream:
        results = list(stream)

    assert [progress.finished for progress in told] == [False] * ENOUGH + [True]
    assert told.threads == {threading.get_ident()}
    assert told[-1].done == len(results)


def test_a_stream_that_is_left_says_that_it_is_over() -> None:
    told = Told()
    with Pipeline[int]().add(Processor(double)).stream(count(), progress=told) as stream:
        next(stream)

    assert told[-1].finished
    assert sum(progress.finished for progress in told) == 1


def test_a_run_beside_an_event_loop_tells_too() -> None:
    told = Told()
    results = asyncio.run(Pipeline[int]().add(Processor(double)).arun(range(9), progress=told))

    assert len(results) == told[-1].done == 9
    assert told[-1].finished


@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_run_that_fails_says_that_it_is_over_and_raises_what_it_did(how: str) -> None:
    told = Told()
    pl = Pipeline[int]().add(Processor(failing))
    with pytest.raises(ValueError, match="5"):
        pl.run(range(10), progress=told) if how == "run" else list(
            pl.stream(range(10), progress=told)
        )

    assert told[-1].finished
    assert told[-1].stages["failing"].failed == 1
    assert told[-1].done < 10


def test_what_the_caller_raises_ends_the_run() -> None:
    def refuses(progress: Progress) -> None:
        raise LookupError("no more")

    pl = Pipeline[int]().add(Processor(double))
    with pytest.raises(LookupError, match="no more"):
        pl.run(count(), progress=refuses)
    assert pl.run([1]) == [2]


def test_what_the_caller_raises_does_not_hide_why_the_run_failed() -> None:
    def refuses(progress: Progress) -> None:
        if progress.finished:
            raise LookupError("no more")

    with pytest.raises(ValueError, match="5") as failed:
        Pipeline[int]().add(Processor(failing)).run(range(10), progress=refuses)
    assert "progress= raised, too: LookupError: no more" in failed.value.__notes__


def test_what_is_no_function_is_refused_before_anything_starts() -> None:
    with pytest.raises(TypeError, match="progress is True, False or a function, not 3"):
        Pipeline[int]().add(Processor(double)).run([1], progress=3)  # type: ignore[arg-type]  # on purpose


def test_where_there_is_no_terminal_progress_is_lines_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Pipeline[int]().add(Processor(double)).run(range(5), progress=True)

    *_, last = capsys.readouterr().err.splitlines()  # before it one of each second
    assert last.startswith("conveyor: 5 of 5 done; ")


def test_plain_lines_come_every_five_seconds_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(progress_display, "monotonic", lambda: now)
    file = io.StringIO()
    lines = PlainLines(file)
    for now in (0.5, 4.5, 5.0, 5.5, 9.9, 10.0):  # the clock reads it
        lines(Progress(now, None, int(now * 10), 10.0, None))
    lines(Progress(11.0, None, 110, 10.0, None, finished=True))

    assert [line.split()[1] for line in file.getvalue().splitlines()] == ["50", "100", "110"]


def test_a_terminal_shows_a_line_a_stage_and_marks_the_slowest() -> None:
    told = Told()
    Pipeline[int]().add(Processor(double)).add(Processor(abs)).run(range(5), progress=told)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    table = ProgressTable(console)
    for progress in told:
        table(progress)

    file = console.file
    assert isinstance(file, io.StringIO)
    shown = file.getvalue()
    assert "double" in shown
    assert "abs" in shown
    assert "5 of 5 done" in shown
