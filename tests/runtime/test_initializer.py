"""`Pipeline(initializer=...)` is called once in each worker, before any setup; `preload=[...]` is
imported once for all of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor, ReplicatingFork
from conveyor.errors import JobExited, NotPicklable, TopologyError, WorkerCrashed
from tests.helpers import pipeline, run_script, under_each_start_method

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


class Roll:
    """Who is there: a file in which each worker signs when it begins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> None:
        self.note("begins")

    def note(self, what: str) -> None:
        with self.path.open("a") as file:
            print(os.getpid(), what, file=file, flush=True)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


@pytest.fixture
def roll(tmp_path: Path) -> Roll:
    return Roll(tmp_path / "roll")


class Signs(Processor[int, int]):
    def __init__(self, roll: Roll) -> None:
        super().__init__()
        self.roll = roll

    def setup(self) -> None:
        self.roll.note("is set up")

    def process(self, item: int, /) -> int:
        return item


@under_each_start_method
def test_it_is_called_once_in_each_worker_before_its_setup(roll: Roll, start_method: str) -> None:
    with pipeline(start_method, initializer=roll) as pl:
        pl.add(Signs(roll)).add(Pipe(3)).add(Signs(roll))
        assert list(pl.run(range(3))) == [0, 1, 2]
        assert list(pl.run(range(3))) == [0, 1, 2]
    signed = [line.split(" ", 1) for line in roll.lines()]
    workers = dict.fromkeys(pid for pid, _ in signed)
    assert len(workers) == 2
    assert str(os.getpid()) not in workers
    for worker in workers:
        assert [what for pid, what in signed if pid == worker] == ["begins", "is set up"]


def test_the_worker_that_takes_the_place_of_another_begins_alike(roll: Roll) -> None:
    def dies_once(item: int) -> int:
        if item == 3 and len(roll.lines()) == 1:
            os.kill(os.getpid(), 9)
        return item

    assert list(pipeline(initializer=roll).add(Processor(dies_once)).run(range(6))) == [*range(6)]
    assert len(roll.lines()) == 2


def test_a_worker_without_a_job_has_no_use_for_it(roll: Roll) -> None:
    """Between the join and the fork stands a relay."""
    pl = pipeline(initializer=roll).add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    lanes = pl.add(BalancingFork(2)).add(Signs(roll), Signs(roll)).add(Join(2))
    lanes.run(range(4))
    assert [line.split(" ", 1)[1] for line in roll.lines()].count("begins") == 2


def test_what_it_binds_in_the_script_is_seen_by_every_job_also_where_several_share_a_worker(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from conveyor import Pipeline, Processor\n"
        "calls = 0\n"
        "table = None\n"
        "def begin():\n"
        "    global calls, table\n"
        "    calls += 1\n"
        "    table = {'pid': os.getpid()}\n"
        "def look(item):\n"
        "    return item + [(calls, table['pid'] == os.getpid())]\n"
        "pl = Pipeline(initializer=begin)\n"
        "for _ in range(9):\n"
        "    pl.add(Processor(look))\n"
        "print(set(pl.run([[]])[0]), calls, table)\n"
    )
    for start_method in ("forkserver", "fork"):
        assert run_script(script, start_method) == ["{(1, True)} 0 None"]


def test_logging_reaches_a_file_when_it_is_set_up_there(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def set_up() -> None:
        logging.basicConfig(filename=path, level=logging.INFO, force=True, format="%(message)s")

    def tells(item: int) -> int:
        logging.getLogger("job").info("item %d", item)
        return item

    pipeline("forkserver", initializer=set_up).add(Processor(tells)).run(range(3))
    assert path.read_text().splitlines() == ["item 0", "item 1", "item 2"]


def test_what_it_raises_ends_the_run_and_is_named() -> None:
    def fails() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room") as failed:
        pipeline(initializer=fails).add(Processor(abs)).run([1])
    place, _, where = failed.value.__notes__[0].rpartition(", ")
    assert place.startswith("in stage 'abs', worker")
    assert where == "initializer()"


def test_what_ends_the_process_in_it_is_told() -> None:
    with pytest.raises(JobExited, match="SystemExit: enough"):
        pipeline(initializer=lambda: sys.exit("enough")).add(Processor(abs)).run([1])
    with pytest.raises(WorkerCrashed, match="'abs'"):
        pipeline(initializer=lambda: os.kill(os.getpid(), 9)).add(Processor(abs)).run([1])


def test_one_that_cannot_travel_is_named_with_the_way_to_what_cannot() -> None:
    numbers = (number for number in range(3))
    with pytest.raises(NotPicklable, match=r"the initializer -> variable 'numbers': cannot pickle"):
        pipeline(initializer=lambda: next(numbers)).add(Processor(abs)).run([1])


def test_a_copy_of_the_pipeline_begins_alike(roll: Roll) -> None:
    import copy

    pl = pipeline(initializer=roll).add(Processor(abs))
    copy.copy(pl).run([1])
    assert len(roll.lines()) == 1


def test_the_simulator_has_no_workers_to_begin(roll: Roll) -> None:
    pl = pipeline(initializer=roll).add(Processor(abs))
    pl.simulate([1])
    pl.explore([1], schedules=3)
    assert roll.lines() == []


def awaited() -> Callable[[], object]:
    async def begin() -> None: ...

    return begin


def yielding() -> Callable[[], object]:
    def begin() -> Iterator[int]:
        yield 1

    return begin


WRONG: dict[str, Any] = {
    "it must be a function without arguments": {"initializer": 3},
    "Pipeline(initializer=abs): the function must take no required argument": {"initializer": abs},
    "lambda: asyncio.run(begin())": {"initializer": awaited()},
    "begin is a generator function": {"initializer": yielding()},
    "write a list: preload=['json']": {"preload": "json"},
    "preload has 3, which is no name of a module": {"preload": [3]},
    "preload has 'my module'": {"preload": ["my module"]},
    "workers never import your script": {"preload": ["__main__"]},
}


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_meant_is_refused_at_once(words: str) -> None:
    with pytest.raises(TopologyError) as failed:
        pipeline(**WRONG[words])
    assert words in str(failed.value)


# ------------------------------------------------------------------------------------------ preload


def is_loaded(module: str) -> bool:
    return module in sys.modules


@under_each_start_method
def test_what_is_preloaded_is_there_before_a_job_asks_for_it(start_method: str) -> None:
    """Only the fork server can import it for all; under the others nothing but speed differs."""
    assert "wave" not in sys.modules
    pl = pipeline(start_method, preload=["wave"]).add(Processor(is_loaded))
    assert list(pl.run(["wave"])) == [start_method == "forkserver"]
    assert "wave" not in sys.modules  # the program itself imports nothing


def test_a_pipeline_that_asks_for_less_is_served_by_the_same_fork_server() -> None:
    from conveyor.runtime.process.start import server

    pipeline("forkserver", preload=["wave"]).add(Processor(abs)).run([1])
    before = server.pid
    pipeline("forkserver").add(Processor(abs)).run([1])
    assert server.pid == before
    pipeline("forkserver", preload=["colorsys"]).add(Processor(abs)).run([1])
    assert server.pid != before


def test_libraries_that_are_preloaded_are_told_of_one_thread_too(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(
        "import os\nthreads = os.environ.get('OPENBLAS_NUM_THREADS')\n"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "from conveyor import Pipeline, Processor\n"
        "def threads(item):\n    import told\n    return told.threads\n"
        "print(Pipeline(preload=['told']).add(Processor(threads)).run([1]))\n"
    )
    assert run_script(script, "forkserver") == ["['1']"]


def test_a_module_that_is_not_there_is_named_when_workers_are_started() -> None:
    with pytest.raises(TopologyError, match=r"there is no module 'jsno'; was 'json' meant"):
        pipeline(preload=["jsno.decoder"]).add(Processor(abs)).run([1])


def test_a_module_that_cannot_be_imported_is_left_to_the_job_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise OSError('no licence')\n")
    script = tmp_path / "script.py"
    script.write_text(
        "from conveyor import Pipeline, Processor\n"
        "print(Pipeline(preload=['broken']).add(Processor(abs)).run([-1]))\n"
    )
    assert run_script(script, "forkserver") == ["[1]"]
