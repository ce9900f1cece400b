"""One fault in one library, in a process of its own: `python -m benchmarks.fault_cases LIBRARY
FAULT DIRECTORY`.

Two workers, 200 items of 4 ms; the fault strikes at item 50.  What happened is written into the
directory as JSON; which job runs were begun, line by line.  Whoever starts this process limits its
time and counts what it leaves behind.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

from conveyor import BalancingFork, Join, Pipeline, Processor

__all__ = ["FAULTS", "ITEMS", "LIBRARIES", "RUNS", "VERDICT"]

ITEMS: Final = 200
BAD: Final = 50
WORK_S: Final = 0.004
WORKERS: Final = 2

SLOW_S: Final = 5.0  # how long the slow consumer is watched, taking an item every 10 ms
KILOBYTE: Final = b"x" * 1000

RUNS: Final = "runs"
VERDICT: Final = "verdict.json"

Job = Callable[[Any], Any]

# ----------------------------------------------------------------------------------------- the jobs


def begin(directory: str, item: int) -> int:
    """Writes down that the job runs, in one append; gives how often it has run for this item."""
    with (Path(directory) / RUNS).open("a") as file:
        file.write(f"{item}\n")
    time.sleep(WORK_S)
    return (Path(directory) / RUNS).read_text().split().count(str(item)) if item == BAD else 1


def killed_once(directory: str, item: int) -> object:
    if begin(directory, item) == 1 and item == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_killed(directory: str, item: int) -> object:
    begin(directory, item)
    if item == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def unpicklable(directory: str, item: int) -> object:
    begin(directory, item)
    return threading.Lock() if item == BAD else item


def plain(directory: str, item: Any) -> object:
    begin(directory, item.number if isinstance(item, Unloadable) else item)
    return item


def same(item: object) -> object:
    return item


class Unloadable:
    """An item that raises where it is unpickled, unless that is the process it was made in."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.home = os.getpid()

    def __reduce__(self) -> tuple[object, ...]:
        return load, (self.number, self.home)


def load(number: int, home: int) -> Unloadable:
    if os.getpid() != home:
        raise ValueError(f"item {number} cannot be loaded here")
    return Unloadable(number)


def with_an_unloadable() -> list[object]:
    return [Unloadable(number) if number == BAD else number for number in range(ITEMS)]


# ------------------------------------------------------------------------------------ the libraries


def pool(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    from multiprocessing import Pool

    with Pool(WORKERS) as workers:
        yield from taken(workers.imap(job, items))


def process_pool_executor(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as executor:
        yield from taken(executor.map(job, items))


def loky(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    executor = importlib.import_module("loky").get_reusable_executor(WORKERS)
    yield from taken(executor.map(job, items))


def mpire(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    length = len(items) if isinstance(items, Sized) else 1 << 30
    with importlib.import_module("mpire").WorkerPool(WORKERS) as workers:
        yield from taken(workers.imap(job, items, iterable_len=length, chunk_size=1))


def pebble(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    with importlib.import_module("pebble").ProcessPool(WORKERS) as workers:
        yield from taken(workers.map(job, items).result())


def joblib(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    module = importlib.import_module("joblib")
    yield from taken(
        module.Parallel(WORKERS, return_as="generator")(module.delayed(job)(item) for item in items)
    )


def conveyor(job: Job, items: Iterable[Any]) -> Iterator[Any]:
    pipeline = (
        Pipeline[Any]()
        .add(BalancingFork(WORKERS))
        .add(Processor(job, name="job"), Processor(job))
        .add(Join(2, ordered=True))
    )
    with pipeline.stream(items) as stream:
        yield from taken(stream)


def taken(results: Iterator[Any]) -> Iterator[Any]:
    """The results, and the exceptions in their places, as long as the library has something to
    give."""
    while True:
        try:
            yield next(results)
        except StopIteration:
            return
        except Exception as error:
            yield error


LIBRARIES: Final[dict[str, Callable[[Job, Iterable[Any]], Iterator[Any]]]] = {
    "Pool.imap": pool,
    "ProcessPoolExecutor": process_pool_executor,
    "loky": loky,
    "mpire": mpire,
    "pebble": pebble,
    "joblib": joblib,
    "Conveyor": conveyor,
}

# --------------------------------------------------------------------------------------- the faults


def results_of(
    job: Callable[[str, Any], object],
    items: Callable[[], Iterable[Any]],
    library: str,
    directory: str,
) -> dict[str, object]:
    """What came out, in which order, and which errors, when."""
    started = time.monotonic()
    came: list[object] = []
    errors: list[str] = []
    for result in LIBRARIES[library](partial(job, directory), items()):
        if isinstance(result, Exception):
            errors.append(f"{type(result).__name__} after {time.monotonic() - started:.1f} s")
            if len(errors) > ITEMS:
                break
        else:
            came.append(result)
    numbers = [number for number in came if isinstance(number, int)]
    repeated = sum(count - 1 for count in Counter(numbers).values())
    return {
        "came": len(came),
        "in order": numbers == sorted(numbers),
        "repeated": repeated,
        "errors": errors,
    }


def slow_consumer(library: str, directory: str) -> dict[str, object]:
    """How far the source is ahead, and how much memory that took, with endless input and a consumer
    that takes its time."""
    pulled = 0

    def endless() -> Iterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled.to_bytes(8, "little") + KILOBYTE

    before, delivered, most = resident(), 0, 0
    deadline = time.monotonic() + SLOW_S
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            report(
                directory,
                {
                    "ahead": pulled - delivered,
                    "megabytes": max(0, resident() - before) >> 20,
                    "came": delivered,
                },
            )
            if time.monotonic() > deadline + 1:  # it never gave anything
                os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    for result in LIBRARIES[library](same, endless()):
        if isinstance(result, Exception):
            raise result
        delivered += 1
        most = max(most, pulled - delivered)
        time.sleep(0.01)
        if time.monotonic() > deadline:
            break
    grown = max(0, resident() - before) >> 20
    report(directory, {"ahead": most, "megabytes": grown, "came": delivered})
    os._exit(0)  # what an endless input leaves behind is another matter


def parent_killed(library: str, directory: str) -> dict[str, object]:
    """The process is killed while its workers work; the one that watches counts who is still
    there."""
    for number, _ in enumerate(LIBRARIES[library](partial(plain, directory), range(ITEMS))):
        if number == BAD:
            break_down()
    raise AssertionError("it was to be killed")


def break_down() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def resident() -> int:
    """The memory of this process and of all below it, in bytes."""
    total = 0
    own = psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def report(directory: str, verdict: dict[str, object]) -> None:
    """Written whole or not at all: whoever started this may kill it at any time."""
    path = Path(directory) / VERDICT
    path.with_suffix(".new").write_text(json.dumps(verdict))
    path.with_suffix(".new").rename(path)


def numbers() -> Iterable[int]:
    return range(ITEMS)


FAULTS: Final[dict[str, Callable[[str, str], dict[str, object]]]] = {
    "worker killed once": partial(results_of, killed_once, numbers),
    "item that always kills": partial(results_of, always_killed, numbers),
    "unpicklable result": partial(results_of, unpicklable, numbers),
    "item that fails to load in the worker": partial(results_of, plain, with_an_unloadable),
    "endless input, slow consumer": slow_consumer,
    "parent killed": parent_killed,
}


def main() -> None:
    library, fault, directory = sys.argv[1:]
    verdict = FAULTS[fault](library, directory)
    report(directory, verdict)


if __name__ == "__main__":
    main()
