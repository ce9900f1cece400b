"""What a pipeline does when it runs for real."""

from __future__ import annotations

import functools
import gc
import importlib
import itertools
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    RunResult,
    Zip,
)
from conveyor.runtime import Placement
from conveyor.runtime.parent import local_crew
from tests.helpers import (
    HANGS_S,
    SCRIPTS,
    eventually,
    living_children,
    pipeline,
    run_script,
    under_each_start_method,
)
from tests.jobs import (
    Diary,
    LastWord,
    Multiplier,
    Numbered,
    OneBuffer,
    Total,
    append_mark,
    burn,
    double,
    increment,
    is_even,
    one_buffer_growing,
    only_even,
    process_id,
    repeated,
)

# -------------------------------------------------------------------------------- items and results


def test_a_run_gives_a_list_with_a_report_and_without_dead_letters() -> None:
    result = pipeline().add(Processor(double)).run([1, 2, 3])

    assert isinstance(result, RunResult)
    assert issubclass(RunResult, list)
    assert result == [2, 4, 6]
    assert list(result.dead_letters) == []
    assert result.report.stages["double"].items_in == 3


def test_none_is_an_item_like_any_other() -> None:
    assert pipeline().add(Processor(lambda item: item is None)).run([None, 1, None]) == [
        True,
        False,
        True,
    ]
    assert pipeline().add(Pipe()).run([None, 1, None]) == [None, 1, None]


def test_none_is_an_item_for_each_of_those_that_share_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_crew, "usable_cores", lambda: [0])
    behind_another = pipeline().add(Filter(lambda item: item is None)).add(Processor(repr))

    assert behind_another.run([None, 1, None]) == ["None", "None"]


def test_a_result_of_none_is_no_output_and_is_counted() -> None:
    result = pipeline().add(Processor(only_even)).run(range(10))

    assert result == [0, 2, 4, 6, 8]
    assert result.report.stages["only_even"].dropped == 5


def test_false_and_zero_and_empty_are_outputs() -> None:
    assert pipeline().add(Processor(lambda item: item)).run([False, 0, "", [], 0.0]) == [
        False,
        0,
        "",
        [],
        0.0,
    ]


def test_a_sink_gives_an_empty_result() -> None:
    assert pipeline().add(Processor(dict[int, int]().get)).run(range(5)) == []


def test_a_filter_passes_what_holds() -> None:
    assert pipeline().add(Filter(is_even)).run(range(7)) == [0, 2, 4, 6]
    assert pipeline().add(Filter(lambda item: item)).run([0, None, "", "yes", [1]]) == ["yes", [1]]


def test_a_flat_map_gives_any_number_of_outputs() -> None:
    assert pipeline().add(FlatMap(repeated)).run([0, 2, 0, 3, 1]) == [2, 2, 3, 3, 3, 1]
    assert pipeline().add(FlatMap(str.split)).run(["a b", "", "c"]) == ["a", "b", "c"]


def test_a_flat_map_may_give_none() -> None:
    assert pipeline().add(FlatMap(lambda item: [item, None])).run([1]) in ([1, None], [1])


def test_a_flat_map_is_taken_lazily() -> None:
    with pipeline().add(FlatMap(itertools.count)).stream([7]) as endless:
        assert [next(endless) for _ in range(5)] == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("capacity", [1, 3, 16384])
def test_a_flat_map_gives_more_than_a_pipe_can_hold(capacity: int) -> None:
    pl = (
        pipeline()
        .add(FlatMap(range))
        .add(Pipe(capacity))
        .add(Processor(increment))
        .add(Pipe(capacity))
    )

    assert pl.run([100, 0, 50]) == [*range(1, 101), *range(1, 51)]


@pytest.mark.parametrize("capacity", [1, 2, 16384])
def test_a_line_of_stages_keeps_the_order(capacity: int) -> None:
    pl = pipeline()
    for _ in range(3):
        pl.add(Processor(increment)).add(Pipe(capacity))

    assert pl.run(range(300)) == list(range(3, 303))


def test_a_long_run_through_default_pipes_keeps_the_order() -> None:
    pl = pipeline().add(Processor(increment)).add(Processor(only_even)).add(Processor(double))

    assert pl.run(range(100_000)) == [2 * n for n in range(1, 100_001) if n % 2 == 0]


def test_a_run_of_nothing_gives_nothing() -> None:
    assert pipeline().add(Processor(double)).run([]) == []
    assert (
        pipeline().add(ReplicatingFork(2)).add(Processor(double), Pipe()).add(Join(2)).run(iter(()))
        == []
    )
    assert pipeline().add(BalancingFork()).add(Processor(double)).add(Join()).run([]) == []


def test_large_items_go_through_unharmed() -> None:
    items = [bytes([n]) * 5_000_000 for n in range(4)]
    pl = pipeline().add(Processor(bytearray)).add(Pipe(1)).add(Processor(bytes))

    assert pl.run(items) == items


def test_a_pipeline_without_processors_copies() -> None:
    item = [1]

    outputs = pipeline().add(ReplicatingFork(2)).add(Join(2)).run([item])

    assert outputs == [[1], [1]]
    assert outputs[0] is not outputs[1]


def test_the_input_is_iterated_lazily_in_the_calling_thread() -> None:
    threads: list[int] = []

    def source() -> Iterator[int]:
        for number in range(3):
            threads.append(threading.get_ident())
            yield number

    assert pipeline().add(Processor(double)).run(source()) == [0, 2, 4]
    assert threads == [threading.get_ident()] * 3


def test_a_pipeline_runs_in_any_thread() -> None:
    results: list[list[int]] = []
    thread = threading.Thread(
        target=lambda: results.append(pipeline().add(Processor(double)).run([1, 2]))
    )

    thread.start()
    thread.join()

    assert results == [[2, 4]]


def test_two_pipelines_are_open_at_the_same_time() -> None:
    one, two = pipeline().add(Processor(double)), pipeline().add(Processor(increment))

    with one, two, one.stream([1, 2]) as doubled, two.stream([1, 2]) as incremented:
        assert list(zip(doubled, incremented, strict=True)) == [(2, 2), (4, 3)]


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_a_job_may_run_a_pipeline_of_its_own(start_method: str) -> None:
    def inner(count: int) -> int:
        return sum(pipeline(start_method).add(Processor(double)).run(range(count)))

    assert pipeline(start_method).add(Processor(inner)).run([3, 4]) == [6, 12]


# ---------------------------------------------------------------------------------- forks and joins


def labelled(lane: str) -> Callable[[int], tuple[str, int]]:
    def label(item: int) -> tuple[str, int]:
        return lane, item

    return label


def test_a_join_keeps_the_order_of_each_lane() -> None:
    pl = pipeline().add(ReplicatingFork(3))
    pl.add(*(Processor(labelled(lane)) for lane in "abc"))

    outputs = pl.add(Join(3)).run(range(200))

    assert len(outputs) == 600
    for lane in "abc":
        assert [item for by, item in outputs if by == lane] == list(range(200))


def test_a_balancing_fork_gives_every_item_to_one_lane() -> None:
    pl = pipeline().add(BalancingFork(3))
    pl.add(*(Processor(labelled(lane)) for lane in "abc"))

    outputs = pl.add(Join(3)).run(range(200))

    assert sorted(item for _, item in outputs) == list(range(200))
    for lane in "abc":
        mine = [item for by, item in outputs if by == lane]
        assert mine == sorted(mine)


def test_an_ordered_join_gives_items_in_the_order_of_the_fork_then_by_lane() -> None:
    pl = pipeline().add(ReplicatingFork(3)).add(Processor(only_even), FlatMap(repeated), Pipe(1))

    outputs = pl.add(Join(3, ordered=True)).run(range(40))

    by_item = ([n] * (n % 2 == 0) + [n] * n + [n] for n in range(40))
    assert outputs == list(itertools.chain.from_iterable(by_item))


def test_an_ordered_join_undoes_a_balancing_fork() -> None:
    def slow_at_times(item: int) -> int:
        burn(0.002 if item % 7 == 0 else 0.0)
        return item

    def if_third(item: int) -> list[int]:
        return [item] * (item % 3 == 0)

    pl = pipeline().add(BalancingFork(2)).add(Processor(slow_at_times), FlatMap(if_third))
    outputs = pl.add(Join(2, ordered=True)).run(range(100))

    assert outputs == sorted(outputs)
    assert set(range(0, 100, 3)) <= set(outputs)


def test_what_finish_gives_comes_last_and_by_lane_at_an_ordered_join() -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(LastWord("a", drop_odd=True), LastWord("b"))

    outputs = pl.add(Join(2, ordered=True)).run(range(4))

    items = [("a", 0), ("b", 0), ("b", 1), ("a", 2), ("b", 2), ("b", 3)]
    assert outputs == [*items, ("a", -1), ("a", -2), ("b", -1), ("b", -2)]


def test_a_zip_puts_the_answers_of_several_models_side_by_side() -> None:
    pl = (
        pipeline()
        .add(ReplicatingFork(3))
        .add(Processor(double), Processor(increment), Processor(math.sqrt))
    )

    assert pl.add(Zip(3)).run([0, 4, 9]) == [(0, 1, 0.0), (8, 5, 2.0), (18, 10, 3.0)]


def test_a_zip_ends_with_its_shortest_lane_and_counts_what_is_left_over() -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(Processor(only_even), Pipe())

    result = pl.add(Zip(2, name="side by side")).run(range(6))

    assert result == [(0, 0), (2, 1), (4, 2)]
    assert result.report.stages["side by side"].left_over == 3


def test_a_lane_that_is_slow_gets_few_items_of_a_balancing_fork(tmp_path: Path) -> None:
    """It is as slow as can be: its first item takes until the other lane has had most of them."""

    def slow(item: int) -> int:
        eventually(lambda: len(os.listdir(tmp_path)) >= 15)
        return item

    def instant(item: int) -> int:
        (tmp_path / str(item)).touch()
        return item

    outputs = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(slow), Processor(instant))
        .add(Join(2))
        .run(range(20))
    )

    assert sorted(outputs) == list(range(20))


def lanes_used(result: Any, stage: str) -> list[str]:
    stages = result.report.stages
    return [
        name
        for name in (f"{stage}/0", f"{stage}/1")
        if name in stages and stages[name].items_in > 0
    ]


def test_an_adapting_fork_opens_a_second_lane_when_one_is_not_enough() -> None:
    def job(item: int) -> int:
        burn(0.001)
        return item

    result = (
        pipeline().add(BalancingFork(max_lanes=2)).add(Processor(job)).add(Join()).run(range(600))
    )

    assert sorted(result) == list(range(600))
    assert lanes_used(result, "job") == ["job/0", "job/1"]


def test_an_adapting_fork_stays_at_one_lane_when_that_is_enough() -> None:
    def job(item: int) -> int:
        return item

    def source() -> Iterator[int]:
        for number in range(100):
            burn(0.001)
            yield number

    result = (
        pipeline().add(BalancingFork(max_lanes=2)).add(Processor(job)).add(Join()).run(source())
    )

    assert sorted(result) == list(range(100))
    assert lanes_used(result, "job") == ["job/0"]


def test_an_adapting_fork_has_at_most_the_lanes_it_may_have() -> None:
    def job(item: int) -> int:
        burn(0.001)
        return item

    result = (
        pipeline().add(BalancingFork(max_lanes=1)).add(Processor(job)).add(Join()).run(range(100))
    )

    assert result == list(range(100))
    assert lanes_used(result, "job") == ["job/0"]


def test_the_lanes_of_an_adapting_fork_are_given_back_in_order_if_asked() -> None:
    pl = pipeline().add(BalancingFork(max_lanes=2)).add(FlatMap(repeated)).add(Join(ordered=True))

    assert pl.run(range(30)) == [n for n in range(30) for _ in range(n)]


# ------------------------------------------------------------------------------ stateful processors


def test_a_stateful_processor_flushes_at_the_end_of_every_run() -> None:
    result = pipeline().add(Total()).run([1, 2, 3])

    assert result == [6]
    assert result.report.stages["Total"].flushed == 1


def test_state_lives_across_the_runs_of_an_open_pipeline_and_is_fresh_when_it_is_opened_again() -> (
    None
):
    pl = pipeline().add(Total())

    with pl:
        assert pl.run([1, 2, 3]) == [6]
        assert pl.run([4]) == [10]
    with pl:
        assert pl.run([4]) == [4]


def test_runs_of_a_pipeline_that_is_not_open_start_fresh() -> None:
    pl = pipeline().add(Numbered())

    assert [pl.run(["x", "y"]), pl.run(["z"])] == [[(1, "x"), (2, "y")], [(1, "z")]]


@under_each_start_method
def test_setup_and_teardown_happen_once_a_worker_and_finish_once_a_run(
    start_method: str, tmp_path: Path
) -> None:
    pl = pipeline(start_method).add(Diary(tmp_path / "diary"))

    with pl:
        pl.run(["one"])
        pl.run(["two", "three"])

    entries = [line.split() for line in (tmp_path / "diary").read_text().splitlines()]
    assert [event for event, _ in entries] == [
        "setup",
        "one",
        "finish",
        "two",
        "three",
        "finish",
        "teardown",
    ]
    assert len({pid for _, pid in entries} - {str(os.getpid())}) == 1


def test_what_finish_gives_goes_through_the_stages_behind() -> None:
    pl = pipeline().add(Total()).add(Processor(double)).add(FlatMap(range))

    assert pl.run([1, 2]) == [0, 1, 2, 3, 4, 5]


# --------------------------------------------------------------------------------------------- jobs


def make_closure(step: int) -> Callable[[int], int]:
    def closure(number: int) -> int:
        return number + step

    return closure


JOBS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "function": (double, 10),
    "lambda": (lambda number: number - 1, 4),
    "closure": (make_closure(7), 12),
    "partial": (functools.partial(pow, 2), 32),
    "bound method": (Multiplier(3).times, 15),
    "callable object": (Multiplier(4), 20),
    "builtin": (math.factorial, 120),
    "method of a builtin": ({5: "five"}.get, "five"),
    "class": (str, "5"),
}


@under_each_start_method
@pytest.mark.parametrize("kind", JOBS)
def test_a_job_may_be_a(kind: str, start_method: str) -> None:
    job, expected = JOBS[kind]

    assert pipeline(start_method).add(Processor(job)).run([5]) == [expected]


@under_each_start_method
def test_classes_of_the_script_keep_their_class_both_ways(start_method: str) -> None:
    lines = run_script(SCRIPTS / "own_classes.py", start_method)

    assert lines == ["begin", "2 3 Derived in the script", "6 7 Derived in the script"]


@under_each_start_method
def test_what_workers_print_is_there_before_the_run_ends(start_method: str) -> None:
    lines = run_script(SCRIPTS / "prints.py", start_method)

    assert lines == [
        *("worker 1", "worker 2", "run 0 [1, 2]"),
        *("worker 1", "worker 2", "run 1 [1, 2]"),
    ]


@under_each_start_method
def test_workers_have_the_parents_directory_and_module_path(
    start_method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"found_by_{start_method}.py").write_text(
        "import os\ndef job(item): return os.getcwd()\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    job = importlib.import_module(f"found_by_{start_method}").job

    assert pipeline(start_method).add(Processor(job)).run([1]) == [os.getcwd()]


def test_each_processor_has_a_process_of_its_own() -> None:
    here = os.getpid()

    (pids,) = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(process_id), Processor(process_id))
        .add(Zip(2))
        .run([1])
    )

    assert len({here, *pids}) == 3


def test_an_open_pipeline_keeps_its_workers_and_a_closed_one_has_none() -> None:
    pl = pipeline().add(Processor(process_id))

    with pl:
        first, second = pl.run([1]), pl.run([1])
        assert first == second == living_children()
    eventually(lambda: not living_children())
    assert pl.run([1]) != first


def test_an_open_pipeline_starts_its_workers_at_the_first_run() -> None:
    with pipeline().add(Processor(process_id)) as pl:
        assert living_children() == []
        pl.run([1])
        assert len(living_children()) == 1


def test_the_report_knows_the_worker() -> None:
    result = pipeline().add(Processor(process_id)).run([1])

    assert [result.report.stages["process_id"].pid] == result


# ------------------------------------------------------------------------------------------ streams


def test_a_stream_of_infinite_input_is_lazy() -> None:
    with pipeline().add(Processor(double)).stream(itertools.count()) as stream:
        assert [next(stream) for _ in range(1000)] == list(range(0, 2000, 2))


def test_a_stream_takes_no_more_input_than_its_pipes_have_room_for() -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in itertools.count():
            pulled += 1
            yield number

    pl = pipeline().add(Pipe(2)).add(Processor(double)).add(Pipe(3))
    with pl.stream(source()) as stream:
        for taken in range(100):
            assert next(stream) == 2 * taken
            assert pulled <= taken + 1 + 2 + 3


def test_a_stream_ends_with_its_input() -> None:
    pl = pipeline().add(Processor(double))

    with pl.stream([1, 2]) as stream:
        assert iter(stream) is stream
        assert [next(stream), next(stream)] == [2, 4]
        with pytest.raises(StopIteration):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)
    assert pl.run([5]) == [10]


def test_a_stream_needs_no_with() -> None:
    assert list(pipeline().add(Processor(double)).stream([1, 2, 3])) == [2, 4, 6]
    eventually(lambda: not living_children())


def test_a_stream_keeps_its_pipeline_running_though_nobody_else_holds_it() -> None:
    stream = pipeline().add(Processor(double)).stream(iter([1, 2, 3]))
    gc.collect()

    assert list(stream) == [2, 4, 6]


def test_a_stream_that_nobody_holds_ends() -> None:
    stream = pipeline().add(Processor(double)).stream(itertools.count())
    assert next(stream) == 0

    del stream
    gc.collect()

    eventually(lambda: not living_children())


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_stream_may_be_left_early(taken: int) -> None:
    pl = pipeline().add(Processor(double)).add(Pipe(1)).add(Processor(increment))

    with pl.stream(itertools.count()) as stream:
        assert [next(stream) for _ in range(taken)] == [1, 3, 5][:taken]

    eventually(lambda: not living_children())
    assert pl.run([1, 2]) == [3, 5]


def test_a_stream_that_is_left_early_shows_nothing_to_the_next_run_of_an_open_pipeline() -> None:
    with pipeline().add(Processor(double)).add(Processor(increment)) as pl:
        with pl.stream(itertools.count()) as stream:
            assert next(stream) == 1
        assert pl.run([100, 200]) == [201, 401]
        with pl.stream([300]) as stream:
            assert list(stream) == [601]


def test_an_exception_in_the_body_of_a_stream_ends_it() -> None:
    pl = pipeline().add(Processor(double))

    with pytest.raises(ZeroDivisionError), pl.stream(itertools.count()) as stream:
        divmod(1, next(stream))

    eventually(lambda: not living_children())


def test_an_exception_in_the_source_of_a_stream_is_raised_after_the_results_before_it() -> None:
    def source() -> Iterator[int]:
        yield from range(100)
        raise LookupError("the source has failed")

    results: list[int] = []

    def collect(stream: Iterator[int]) -> None:
        for result in stream:
            results.append(result)

    with pipeline().add(Processor(double)).add(Processor(increment)).stream(source()) as stream:
        with pytest.raises(LookupError, match="the source has failed"):
            collect(stream)
        assert next(stream, "nothing more") == "nothing more"

    assert results == list(range(1, 201, 2))


def test_a_source_that_blocks_does_not_hold_back_results() -> None:
    may_go_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        yield 2
        may_go_on.wait(60)
        yield 3

    with pipeline().add(Processor(double)).stream(source()) as stream:
        assert [next(stream), next(stream)] == [2, 4]
        assert not may_go_on.is_set()
        may_go_on.set()
        assert list(stream) == [6]


def test_a_source_that_answers_to_the_results_never_waits_for_more() -> None:
    answers: list[int] = [1]
    there_is_one = threading.Semaphore(1)

    def source() -> Iterator[int]:
        for number in range(20):
            assert there_is_one.acquire(timeout=HANGS_S)
            yield answers[number]

    with pipeline().add(Processor(increment)).add(Processor(double)).stream(source()) as stream:
        for result in stream:
            answers.append(result)
            there_is_one.release()

    assert answers == list(
        itertools.accumulate(range(20), lambda last, _: 2 * (last + 1), initial=1)
    )


# ---------------------------------------------------------------------------------------- isolation


def test_a_job_that_changes_its_item_changes_nobody_elses() -> None:
    item: list[object] = [1]
    pl = (
        pipeline()
        .add(ReplicatingFork(3))
        .add(Processor(append_mark), Pipe(), Processor(append_mark))
        .add(Zip(3))
    )

    outputs = pl.run([item] * 50)

    assert outputs == [([1, "mark"], [1], [1, "mark"])] * 50
    assert item == [1]


def test_a_stage_that_changes_its_item_changes_nothing_that_went_on_before() -> None:
    pl = (
        pipeline()
        .add(Processor(append_mark))
        .add(ReplicatingFork(2))
        .add(Pipe(), Processor(append_mark))
        .add(Zip(2))
    )

    assert pl.run([[n] for n in range(20)]) == [
        ([n, "mark"], [n, "mark", "mark"]) for n in range(20)
    ]


def test_a_job_may_return_the_same_list_again_and_again() -> None:
    assert pipeline().add(OneBuffer()).run(range(20)) == [list(range(n + 1)) for n in range(20)]


def test_a_flat_map_may_yield_the_same_list_again_and_again() -> None:
    assert pipeline().add(FlatMap(one_buffer_growing)).run([3, 2]) == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0],
        [0, 1],
    ]


def test_items_that_share_a_part_do_not_share_it_behind_a_stage() -> None:
    shared: list[object] = []

    outputs = pipeline().add(Processor(append_mark)).run([shared, shared, shared])

    assert outputs == [["mark"]] * 3
    assert len({id(output) for output in outputs}) == 3


def test_a_source_may_change_an_item_after_it_has_given_it() -> None:
    def source() -> Iterator[list[int]]:
        item: list[int] = []
        for number in range(10):
            item.append(number)
            yield item

    expected = [list(range(n + 1)) for n in range(10)]
    assert pipeline().add(Processor(list)).run(source()) == expected
    assert list(pipeline().add(Processor(list)).stream(source())) == expected


# --------------------------------------------------------------------------------------- the report


def not_of_three(item: int) -> int:
    return item % 3


def copies(item: int) -> list[int]:
    return [item] * (item % 5)


def every_kind_of_stage() -> Any:
    pl = pipeline().add(Processor(only_even)).add(Filter(not_of_three, name="no threes"))
    pl.add(FlatMap(copies, name="copies")).add(ReplicatingFork(2))
    pl.add(Processor(double), LastWord("b", drop_odd=True)).add(Join(2))
    return pl.add(BalancingFork(2)).add(Processor(str), Processor(str)).add(Join(2, ordered=True))


def test_every_item_is_accounted_for() -> None:
    numbers = range(100)
    even = [n for n in numbers if n % 2 == 0]
    kept = [n for n in even if n % 3]
    multiplied = [n for n in kept for _ in range(n % 5)]

    result = every_kind_of_stage().run(numbers)

    stages = result.report.stages
    expected = {
        "only_even": (len(numbers), len(even)),
        "no threes": (len(even), len(kept)),
        "copies": (len(kept), len(multiplied)),
        "double": (len(multiplied), len(multiplied)),
        "LastWord": (len(multiplied), len(multiplied) + 2),
    }
    assert {name: (stages[name].items_in, stages[name].items_out) for name in expected} == expected
    assert (
        stages["str"].items_in + stages["str#2"].items_in == len(result) == 2 * len(multiplied) + 2
    )
    for name in [*expected, "str", "str#2"]:
        stage = stages[name]
        settled = stage.passed + stage.dropped + stage.skipped + stage.dead_lettered + stage.failed
        assert stage.items_in == settled, name
        assert name == "copies" or stage.items_out == stage.passed + stage.flushed, name
    assert stages["LastWord"].flushed == 2
    assert stages["copies"].dropped == sum(n % 5 == 0 for n in kept)


def test_the_report_of_each_run_is_its_own() -> None:
    with pipeline().add(Processor(only_even)) as pl:
        first, second = pl.run(range(10)).report, pl.run(range(4)).report

    assert [r.stages["only_even"].items_in for r in (first, second)] == [10, 4]
    assert [r.stages["only_even"].dropped for r in (first, second)] == [5, 2]


def test_a_report_is_printed_as_a_table_that_names_every_stage() -> None:
    report = every_kind_of_stage().run(range(30)).report

    lines = str(report).splitlines()[: len(report.stages) + 2]  # the rest says what it means
    for name, stage in report.stages.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert str(stage.items_in) in line.split()
        assert str(stage.items_out) in line.split()


def test_the_report_tells_work_from_waiting() -> None:
    def work(item: int) -> int:
        burn(0.01)
        return item

    stages = pipeline().add(Processor(work)).add(Processor(double)).run(range(10)).report.stages

    assert stages["work"].busy_s >= 0.1
    assert stages["double"].busy_s < stages["work"].busy_s
    assert stages["double"].waiting_s > 0


# ---------------------------------------------------------------------------------------- placement

has_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system has no affinity"
)


def cores_allowed(_item: object) -> list[int]:
    return sorted(os.sched_getaffinity(0))


@has_affinity
def test_a_pinned_stage_runs_on_its_core() -> None:
    for core in sorted(os.sched_getaffinity(0))[:2]:
        placement = Placement.pinned({"cores_allowed": [core]})

        result = pipeline().add(Processor(cores_allowed)).run([1], placement=placement)

        assert result == [[core]]
        assert result.report.stages["cores_allowed"].core == core


@has_affinity
def test_an_unpinned_stage_runs_anywhere() -> None:
    result = pipeline().add(Processor(cores_allowed)).run([1], placement=Placement.unpinned())

    assert result == [sorted(os.sched_getaffinity(0))]
    assert result.report.stages["cores_allowed"].core is None


@has_affinity
def test_by_default_a_stage_has_a_core_of_its_own_while_cores_last() -> None:
    result = pipeline().add(Processor(cores_allowed)).run([1])

    core = result.report.stages["cores_allowed"].core
    assert core in os.sched_getaffinity(0)
    assert result == [[core]]


@has_affinity
def test_a_placement_may_be_changed_from_run_to_run() -> None:
    core = min(os.sched_getaffinity(0))
    pl = pipeline().add(Processor(cores_allowed))

    assert pl.run([1], placement=Placement.pinned({"cores_allowed": [core]})) == [[core]]
    assert pl.run([1], placement=Placement.unpinned()) == [sorted(os.sched_getaffinity(0))]


def test_a_placement_for_a_stage_that_is_not_there_is_refused() -> None:
    with pytest.raises(Exception, match="doble"):
        pipeline().add(Processor(double)).run([1], placement=Placement.pinned({"doble": [0]}))


@dataclass
class Reading:
    number: int
    unit: str


def test_the_next_time_it_is_opened_a_light_stage_shares_the_worker_of_its_neighbour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_crew, "usable_cores", lambda: range(8))

    def heavy(number: int) -> int:
        for _ in range(4000):
            number += 1
        return number

    def in_kelvin(number: int) -> Reading:
        return Reading(number, "K")

    def number_of(reading: Reading) -> int:
        return reading.number

    pl = pipeline().add(Processor(in_kelvin, name="read"))
    pl.add(Processor(number_of, name="number")).add(Processor(heavy))
    first, second = pl.run(range(2_000)), pl.run(range(2_000))

    assert list(first) == list(second) == [number + 4000 for number in range(2_000)]
    assert len({stage.pid for stage in first.report.stages.values()}) == 3
    (announced,) = [note for note in first.report.notes if "when the pipeline" in note]
    assert announced.startswith("when the pipeline is opened again: one worker for read + number")
    read, number, _ = second.report.stages.values()
    assert read.pid == number.pid
    (note,) = [note for note in second.report.notes if note.startswith("one worker for ")]
    assert note.startswith("one worker for read + number")
    assert ": a run has shown that handing over costs " in note


class Letters(Processor[int, str]):
    """Gives nothing but one large text, at the end."""

    def process(self, item: int, /) -> None:
        """Takes the item."""

    def finish(self) -> Iterator[str]:
        yield "x" * 1_000_000


def hundreds(item: int) -> str | None:
    return "x" * 100_000 if item % 100 == 0 else None


@pytest.mark.parametrize(
    "stage", [Letters(), Processor(hundreds)], ids=["at the end", "now and then"]
)
def test_what_gives_few_and_large_results_takes_its_items_by_the_hundred_all_the_same(
    stage: Any,
) -> None:
    with pipeline().add(stage) as pl:
        reports = [pl.run(range(20_000)).report.stages for _ in range(2)]

    for stages in reports:
        (told,) = stages.values()
        assert told.items_in == 20_000
        assert told.batches < 20_000 / 4


@dataclass
class Held:
    """An item of which it can be told that nobody has it any more."""

    value: int


def value_of(item: Held) -> int:
    return item.value


def test_an_open_pipeline_has_nothing_left_of_the_list_that_it_was_given() -> None:
    with pipeline("fork").add(Processor(value_of)) as pl:
        items = [Held(1), Held(2)]
        gone = weakref.ref(items[0])
        assert pl.run(items) == [1, 2]
        del items
        assert gone() is None
