"""What was found by trying to break it, each as it was found."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conveyor import BalancingFork, FlatMap, Join, Pipeline, Processor
from tests.helpers import HANGS_S, pipeline
from tests.jobs import Total, same


def add_one(item: int) -> int:
    return item + 1


def in_a_list(number: int) -> list[int]:
    return [number]


def test_a_job_that_changes_its_item_and_then_raises_is_not_run_again_on_what_it_changed() -> None:
    def change(item: list[int]) -> int:
        item.append(1)
        return 10 // (len(item) - 3) if item[0] == 900 else len(item)

    pipeline = Pipeline[int](start_method="fork").add(Processor(in_a_list)).add(Processor(change))

    assert pipeline.run(range(2000)) == [-10 if number == 900 else 2 for number in range(2000)]


def test_a_job_that_raises_stop_iteration_does_not_look_like_the_end_of_a_stream() -> None:
    def stop(item: int) -> int:
        return item if item != 2 else next(iter(list[int]()))

    results: list[int] = []
    with pytest.raises(RuntimeError, match="StopIteration"):
        results.extend(Pipeline[int](start_method="fork").add(Processor(stop)).stream(range(5)))

    assert results in ([], [0], [0, 1])


def test_what_came_before_an_item_that_cannot_be_pickled_is_still_delivered_by_a_stream() -> None:
    results: list[object] = []
    stream = Pipeline[object](start_method="fork").add(Processor(same)).stream([1, 2, 3, lambda: 0])
    with pytest.raises(Exception, match="cannot be pickled"):
        results.extend(stream)

    assert results == [1, 2, 3]


def test_a_stream_that_could_not_begin_ends_nothing_else_when_it_is_collected() -> None:
    pipeline = Pipeline[int](start_method="fork").add(Processor(same))
    not_iterable: Any = 5
    try:
        pipeline.stream(not_iterable)
    except TypeError as error:
        kept: BaseException | None = error
    stream = pipeline.stream(range(3))
    kept = None
    gc.collect()

    assert kept is None
    assert list(stream) == [0, 1, 2]


def test_a_child_that_the_program_forks_leaves_the_workers_alone() -> None:
    with Pipeline[int](start_method="fork").add(Processor(add_one)) as pipeline:
        assert pipeline.run([1]) == [2]
        pid = os.fork()
        if pid == 0:
            pipeline.close = None  # type: ignore[method-assign,assignment]  # the child leaves as a program that forks would
            del pipeline
            gc.collect()
            os._exit(0)
        os.waitpid(pid, 0)
        assert pipeline.run([2]) == [3]


def test_threads_that_fork_at_once_do_not_take_one_anothers_workers() -> None:
    wrong: list[object] = []

    def run_some() -> None:
        for _ in range(10):
            try:
                results = Pipeline[int](start_method="fork").add(Processor(add_one)).run([1, 2])
                if results != [2, 3]:
                    wrong.append(results)
            except Exception as error:
                wrong.append(error)

    threads = [Thread(target=run_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


SCRIPTS = {
    "a nested class of __main__ keeps its class both ways": (
        "class Outer:\n    class Inner:\n        pass\n"
        "(item,) = Pipeline().add(Processor(lambda item: item)).run([Outer.Inner()])\n"
        "print(type(item) is Outer.Inner)",
        "True\n",
    ),
    "a function of __main__ may be an item": (
        (
            "items = [1]\ndef double(x):\n    return x.items\n"
            "print(Pipeline().add(Processor(lambda f: f.__name__)).run([double]))"
        ),
        "['double']\n",
    ),
    "a file in the working directory does not hide the standard library": (
        "import pathlib\npathlib.Path('selectors.py').write_text('raise ImportError')\n"
        "print(Pipeline().add(Processor(len)).run(['ab']))",
        "[2]\n",
    ),
}


@pytest.mark.parametrize("what", SCRIPTS)
@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_in_a_script(what: str, start_method: str, tmp_path: Path) -> None:
    source, expected = SCRIPTS[what]
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(f"from conveyor import Pipeline, Processor\n{source}\n")
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        cwd=tmp_path,
        env={**os.environ, "CONVEYOR_START_METHOD": start_method},
    )

    assert (done.stdout, done.stderr) == (expected, "")


def test_two_workers_that_print_to_one_file_leave_each_line_whole(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from conveyor import Join, Pipeline, Processor, ReplicatingFork\n"
        "show = lambda number: print('x' * 40 + str(number))\n"
        "Pipeline().add(ReplicatingFork(2)).add(Processor(show), "
        "Processor(show)).add(Join(2)).run(range(3000))\n"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, script], stdout=out, check=True, timeout=HANGS_S)

    lines = (tmp_path / "out").read_text().splitlines()
    assert sorted(lines) == sorted(["x" * 40 + str(number) for number in range(3000)] * 2)


def test_a_program_without_standard_output_keeps_its_channels_to_itself(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nos.close(1)\n"
        "from conveyor import Pipeline, Processor\n"
        "def write(item):\n"
        "    try:\n        os.write(1, b'\\xff' * 8)\n"
        "    except OSError:\n        pass\n"
        "    return item\n"
        "print(Pipeline().add(Processor(write)).run(range(3)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=HANGS_S)

    assert done.stderr == "[0, 1, 2]\n"


def test_a_flat_map_is_asked_for_no_more_than_there_is_room_for() -> None:
    def count_up(start: int) -> Iterator[int]:
        number = start
        while True:
            yield number
            number += 1

    with Pipeline[int](start_method="fork").add(FlatMap(count_up)).stream([5]) as stream:
        assert [next(stream) for _ in range(4)] == [5, 6, 7, 8]


def test_a_lane_that_is_wanted_when_the_run_is_over_says_nothing_in_the_next() -> None:
    """Its worker would have run to the end of the run, and what it gave there have been read in the
    next."""
    with pipeline().add(BalancingFork(max_lanes=3)).add(Total()).add(Join()) as pl:
        assert pl.run([1]) == [1]
        supervisor: Any = pl._session.deployment.runner.supervisor
        supervisor.shared.control.want_lanes("balancing_fork", 2)
        supervisor.shared.control.request_attention()
        supervisor.look_around()
        assert pl.run([2]) == [3]
