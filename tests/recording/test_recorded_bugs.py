"""The simulator's corpus of bugs, made to show for real: the recording fails in the same way, and
shrinks.

Nothing is left to chance: lanes wait for one another at a gate, workers die before a chosen store.
What is put into a pipeline for that decides nothing, so the recording is one of the pipeline as it
stands in the corpus.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork
from conveyor.runtime.placement import Placement
from conveyor.sim.schedule import Schedule
from conveyor.stages import Stage
from tests.helpers import pipeline
from tests.jobs import double, same
from tests.sim.corpus import (
    CORPUS,
    Account,
    Bug,
    Gathered,
    InOrder,
    Once,
    is_expense,
    is_income,
    is_multiple_of_8,
    is_other,
    twice,
)
from tests.sim.parts import Rows, labelled
from tests.store_faults import Fault, planned

PATIENCE_MS: Final = 20_000


class Gate:
    """Shut until somebody opens it, in whichever process."""

    def __init__(self, directory: Path) -> None:
        self.path, self.token = directory / "gate", directory / "token"

    @contextmanager
    def there(self) -> Generator[None]:
        os.mkfifo(self.path)
        keeps_it = os.open(self.path, os.O_RDWR)
        try:
            yield
        finally:
            os.close(keeps_it)

    def open(self) -> None:
        self.path.write_bytes(b"!")

    def wait(self) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            if not poll.poll(PATIENCE_MS):
                raise TimeoutError("nobody opened the gate")
        finally:
            os.close(fd)

    def is_first(self) -> bool:
        """Is it the first time that this is asked?"""
        try:
            os.close(os.open(self.token, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def held(gate: Gate, keeps: Callable[[Any], bool]) -> Filter[Any]:
    """A lane whose items wait at the gate."""

    def waits(item: Any) -> bool:
        if keeps(item):
            gate.wait()
            return True
        return False

    return Filter(waits)


def opener(gate: Gate, last: Any) -> Processor[Any, Any]:
    """Opens the gate once it has seen a certain item."""

    def job(item: Any) -> Any:
        if item == last:
            gate.open()
        return item

    return Processor(job)


class HeldOnce(Once):
    """The first of two equal items waits for the second, which goes through the other lane."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def process(self, item: Any, /) -> Any:
        if item == 1:
            self.gate.wait() if self.gate.is_first() else self.gate.open()
        return super().process(item)


class HeldGathered(Gathered):
    """The lane of the first item waits until the other has the rest."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(forgets=True)
        self.gate = gate

    def process(self, item: int, /) -> Any:
        if item == 0:
            self.gate.wait()
        elif item == 3:
            self.gate.open()
        return super().process(item)


def in_any_case(name: str) -> Callable[[Gate], Rows]:
    return lambda gate: CORPUS[name].rows()


def labels_b_first(gate: Gate) -> Rows:
    def label_a(item: int) -> tuple[str, int]:
        gate.wait()
        return "a", item

    return [
        [ReplicatingFork(2)],
        [Processor(label_a), labelled("b")],
        [Join(2)],
        [opener(gate, ("b", 2))],
    ]


def expenses_first(gate: Gate) -> Rows:
    lanes: list[Stage] = [held(gate, is_income), Filter(is_expense)]
    return [[ReplicatingFork(2)], lanes, [Join(2)], [opener(gate, -5)], [Account(cautious=True)]]


def others_first(window: int) -> Callable[[Gate], Rows]:
    def rows(gate: Gate) -> Rows:
        lanes: list[Stage] = [held(gate, is_multiple_of_8), Filter(is_other)]
        return [[ReplicatingFork(2)], lanes, [Join(2)], [opener(gate, 9)], [InOrder(window)]]

    return rows


def duplicates_apart(gate: Gate) -> Rows:
    return [[BalancingFork(2)], [HeldOnce(gate), HeldOnce(gate)], [Join(2)]]


def first_apart(gate: Gate) -> Rows:
    return [[BalancingFork(2)], [HeldGathered(gate), HeldGathered(gate)], [Join(2)]]


# Slices of one item, between pipes that are so small: what a worker does is then what it does in
# the simulator.


def doubled_singly(_: Gate) -> Rows:
    return [[Pipe(2)], [Processor(double)], [Pipe(2)], [Processor(same)]]


def twice_singly(_: Gate) -> Rows:
    return [[Pipe(2)], [FlatMap(twice)], [Pipe(1)], [Processor(same)]]


class Real(NamedTuple):
    """What is run for real so that a bug of the corpus shows, and which worker dies."""

    rows: Callable[[Gate], Rows]
    fault: Fault | None = None

    def dies(self) -> AbstractContextManager[None]:
        return nullcontext() if self.fault is None else planned(self.fault)


SHOWN: dict[str, Real] = {
    "outputs in the order of the join": Real(labels_b_first),
    "duplicates looked for in each lane of a balance": Real(duplicates_apart),
    "a reduce that does not commute": Real(expenses_first),
    "a zip behind a lane that drops": Real(in_any_case("a zip behind a lane that drops")),
    "a zip behind a lane that gathers": Real(in_any_case("a zip behind a lane that gathers")),
    "a window of 2": Real(others_first(2)),
    "a window of 4": Real(others_first(4)),
    "a window of 6": Real(others_first(6)),
    "a crash between publish and commit": Real(doubled_singly, Fault("double", "head", 2)),
    "a crash inside a step of several outputs": Real(twice_singly, Fault("twice", "tail", 4)),
    "a lane that is closed with something in hand": Real(first_apart),
}


def test_all_bugs_are_shown_but_the_one_that_no_real_run_has() -> None:
    """Lanes share a module's globals in the simulator only, which says so: for real each has a
    process of its own."""
    assert {*CORPUS} - {*SHOWN} == {"a lane that changes what another sees"}
    bug = CORPUS["a lane that changes what another sees"]
    assert sorted(map(repr, bug.pipeline().run(bug.items))) == sorted(
        map(repr, [1, 2, 3, (1, 0), (2, 0), (3, 0)])
    )


def run_for_real(real: Real, bug: Bug, path: Path) -> list[Any]:
    pl = pipeline()
    gate = Gate(path.parent)
    for row in real.rows(gate):
        pl = pl.add(*row)
    with gate.there(), real.dies():
        results: list[Any] = pl.run(bug.items, record=path, placement=Placement(fuse=False))
        return results


def outcome(run: Callable[[], Iterator[Any] | list[Any]], bug: Bug) -> tuple[list[Any], str]:
    """The outputs, and the error or that the check fails."""
    try:
        outputs = list(run())
    except Exception as error:
        return [], type(error).__name__
    return outputs, "" if bug.check(outputs) else "the check fails"


@pytest.mark.parametrize("name", SHOWN)
def test_a_bug_that_shows_for_real_shows_again_in_its_replay(name: str, tmp_path: Path) -> None:
    path, bug = tmp_path / "run.cvd", CORPUS[name]
    with bug.broken():
        real = outcome(lambda: run_for_real(SHOWN[name], bug, path), bug)
        assert real[1] in ("the check fails", "Deadlock")
        assert outcome(lambda: bug.pipeline().replay(bug.items, path), bug) == real

        found = bug.pipeline().explore(bug.items, bug.check, start=path).failure
        assert found is not None
        assert found.number == 1
        assert outcome(lambda: bug.pipeline().replay(bug.items, found.schedule), bug)[1]
        assert len(Schedule.parse(found.schedule)) <= bug.least + 1
