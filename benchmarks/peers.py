"""What a user would take instead, each as a function from items to results, with its workers warm.

Knows: how each is called at its best.  Must never know: what is computed.
"""

# What stands in stubs/ need not be installed to be checked: `make bench` installs it.
# pyright: reportMissingModuleSource=false

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import TypeAlias, TypeVar

import joblib
import mpire
import pypeln
from typing_extensions import Generator

__all__ = ["WORKERS", "bare_processes", "joblib_map", "mpire_map", "pypeln_chain", "queue_chain"]

In = TypeVar("In")
Out = TypeVar("Out")
Job: TypeAlias = Callable[[In], Out]

WORKERS = 2
END = None
fork = multiprocessing.get_context("fork")


def joblib_map(job: Job[In, Out], items: Iterable[In], mmap_from: str | None = None) -> list[Out]:
    """joblib, which keeps its workers by itself; arrays above `mmap_from` go through files in
    memory."""
    return list(
        joblib.Parallel(n_jobs=WORKERS, max_nbytes=mmap_from)(
            joblib.delayed(job)(item) for item in items
        )
    )


@contextmanager
def mpire_map(job: Job[In, Out]) -> Generator[Callable[[list[In]], list[Out]]]:
    with mpire.WorkerPool(n_jobs=WORKERS, start_method="fork", keep_alive=True) as pool:
        yield lambda items: pool.map(
            job, [(item,) for item in items], chunk_size=max(1, min(4096, len(items) // 8))
        )


def pypeln_chain(job: Job[object, object], stages: int, items: Iterable[object]) -> list[object]:
    """A process for each stage; pypeln cannot keep them."""
    for _ in range(stages):
        items = pypeln.process.map(job, items, workers=1, maxsize=4096)
    return list(items)


def _relay(job: Job[object, object], source: Queue[object], sink: Queue[object]) -> None:
    for item in iter(source.get, END):
        sink.put(job(item))


@contextmanager
def queue_chain(
    job: Job[object, object], stages: int
) -> Generator[Callable[[list[object]], list[object]]]:
    """What one writes by hand: a process for each stage, `multiprocessing.Queue` between them."""
    queues: list[Queue[object]] = [fork.Queue(4096) for _ in range(stages + 1)]
    workers = [
        fork.Process(target=_relay, args=(job, *ends), daemon=True)
        for ends in itertools.pairwise(queues)
    ]
    for worker in workers:
        worker.start()

    def run(items: list[object]) -> list[object]:
        results: list[object] = []
        feed, take = iter(items), queues[-1].get
        for item in itertools.islice(feed, 4096):
            queues[0].put(item)
        for _ in items:
            results.append(take())
            for item in itertools.islice(feed, 1):
                queues[0].put(item)
        return results

    yield run
    for queue in queues[:-1]:
        queue.put(END)
    for worker in workers:
        worker.join()


def _obey(work: Callable[[int], object], parent: Connection) -> None:
    while (n := parent.recv()) is not END:
        work(n)
        parent.send(n)


@contextmanager
def bare_processes(work: Callable[[int], object]) -> Generator[Callable[[int], None]]:
    """The limit of two cores: processes that are told how much each has to do, and nothing else."""
    pipes = [fork.Pipe() for _ in range(WORKERS)]
    workers = [fork.Process(target=_obey, args=(work, there), daemon=True) for _, there in pipes]
    for worker in workers:
        worker.start()

    def run(items: int) -> None:
        for here, _ in pipes:
            here.send(items // WORKERS)
        for here, _ in pipes:
            here.recv()

    yield run
    for here, _ in pipes:
        here.send(END)
    for worker in workers:
        worker.join()
