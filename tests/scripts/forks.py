"""Runs a pipeline, then others in children that are forked or started in other ways; prints what
each gave."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor

from conveyor import Pipe, Pipeline, Processor

NOBODY = 65534


def double(item: int) -> int:
    """Of this script, which is also the main module of a pool's processes, under another name."""
    return 2 * item


def add_group(item: int) -> int:
    return item + os.getgid()


def results(_item: object = None) -> list[int]:
    return Pipeline[int]().add(Processor(double)).add(Pipe(3)).add(Processor(double)).run([1, 2])


def forked() -> list[int]:
    """In a child that was forked, as a server does that forks its workers."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, repr(results()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return list(map(int, os.read(read, 1000).decode().strip("[]").split(",")))


def forked_from_a_thread() -> list[int]:
    found: list[list[int]] = []
    thread = threading.Thread(target=lambda: found.append(forked()))
    thread.start()
    thread.join()
    return found[0]


def in_a_pool() -> list[int]:
    """In a daemonic process of multiprocessing, which must not have children by its rules."""
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        return pool.map(results, [None])[0]


def in_an_executor() -> list[int]:
    with ProcessPoolExecutor(1, multiprocessing.get_context(sys.argv[1])) as executor:
        return next(executor.map(results, [None]))


def in_a_job() -> list[int]:
    return Pipeline[None]().add(Processor(results)).run([None])[0]


def as_another_group() -> list[int]:
    """In a child that gives rights away once it has run something: its workers have no more than it
    has."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        run_again = [results()]
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
        run_again += [
            results(),
            Pipeline[int]().add(Processor(add_group)).run([4 - os.getgid(), 8 - os.getgid()]),
        ]
        os.write(
            write, repr(run_again[2] if run_again == 3 * [run_again[0]] else run_again).encode()
        )
        os._exit(0)
    os.waitpid(pid, 0)
    return list(map(int, os.read(read, 1000).decode().strip("[]").split(",")))


if __name__ == "__main__":
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # newer Pythons warn of a fork where there are threads
    for way in (
        results,
        forked,
        forked_from_a_thread,
        in_a_pool,
        in_an_executor,
        in_a_job,
        as_another_group,
        results,
    ):
        print(way.__name__, way())
