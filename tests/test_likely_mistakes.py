"""What can be run and is hardly meant is warned of, at the line that runs it; what may well be
meant is not."""

import asyncio
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor import Pipeline, Processor, Tap
from conveyor.errors import LikelyMistakeWarning
from conveyor.io import Lines
from conveyor.items.lost_changes import lost_change

FOUND: list[int] = []
SEEN: set[int] = set()


def keep(item: int) -> None:
    FOUND.append(item)


def buffer(item: int) -> list[int] | None:
    """Does more than to change a list: it sends on what it has gathered."""
    FOUND.append(item)
    return sorted(FOUND) if len(FOUND) == 2 else None


def once(item: int) -> int | None:
    if item in SEEN:
        return None
    SEEN.add(item)
    return item


def in_a_closure(found: list[int]) -> Callable[[int], None]:
    def gather(item: int) -> None:
        found.append(item)

    return gather


def own(item: int) -> None:
    mine: list[int] = []
    mine.append(item)


@pytest.mark.processes
def test_a_string_in_place_of_strings_is_warned_of_where_it_is_run(tmp_path: Path) -> None:
    pl = Pipeline[str]().add(Processor(str.strip))
    with pytest.warns(LikelyMistakeWarning, match=r"run\(\) was given a string, 'ab', .*open") as w:
        assert pl.run("ab") == ["a", "b"]
    assert [each.filename for each in w] == [__file__]
    with pytest.warns(LikelyMistakeWarning, match=r"stream\(\) was given a string"):
        assert list(pl.stream("ab")) == ["a", "b"]
    with pytest.warns(LikelyMistakeWarning, match=r"drain\(\) was given a string") as w:
        pl.drain("ab", into=Lines(tmp_path / "out.txt"))
    assert [each.filename for each in w] == [__file__]


@pytest.mark.processes
def test_letters_that_are_asked_for_and_the_simulator_are_not_warned_of() -> None:
    pl = Pipeline[str]().add(Processor(str.strip))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pl.run(list("ab")) == pl.simulate("ab") == ["a", "b"]


@pytest.mark.processes
def test_strings_are_warned_of_beside_an_event_loop_as_well() -> None:
    pl = Pipeline[str]().add(Processor(str.strip))
    with pytest.warns(LikelyMistakeWarning, match=r"arun\(\) was given a string"):
        assert asyncio.run(pl.arun("ab")) == ["a", "b"]


@pytest.mark.processes
@pytest.mark.parametrize("job", [FOUND.append, keep, in_a_closure([])])
def test_a_job_that_only_changes_a_list_of_the_program_is_warned_of_once(
    job: Callable[[int], None],
) -> None:
    pl = Pipeline[int]().add(Processor(abs)).add(Tap(job, name="keep"))
    with pytest.warns(LikelyMistakeWarning, match=r"stage 'keep' calls \w+\.append") as w:
        assert pl.run([-1, 2]) == [1, 2]
    assert [each.filename for each in w] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pl.run([-3]) == [3]
    assert FOUND == []


def test_the_simulator_can_be_told_to_fill_the_list_and_does_not_warn() -> None:
    found: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Pipeline[int]().add(Processor(found.append)).simulate([1, 2], copy=False) == []
    assert found == [1, 2]


@pytest.mark.parametrize("job", [print, len, buffer, once, own, SEEN.__contains__, FOUND.copy])
def test_what_may_be_meant_is_no_mistake(job: Callable[[int], object]) -> None:
    assert lost_change(job) is None


def test_a_variable_that_is_bound_later_is_looked_at_without_harm() -> None:
    def job(item: int) -> None:
        later.append(item)

    assert lost_change(job) is None
    later: deque[int] = deque()
    assert lost_change(job) == "later.append"
