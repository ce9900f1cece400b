"""Jobs that fork, and whose children come out of them; prints what came of it, and how the children
ended."""

import multiprocessing
import os
import sys
from collections.abc import Iterator

from conveyor import FlatMap, Pipeline, Processor


def status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def returns(item: int) -> tuple[int, int]:
    child = os.fork()
    return item, status(child) if child else -1


def exits(item: int) -> tuple[int, int]:
    child = os.fork()
    if not child:
        sys.exit(item + 3)
    return item, status(child)


def fails(item: int) -> tuple[int, int]:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise ValueError("in the child")
    return item, status(child)


def yields(item: int) -> Iterator[tuple[int, int]]:
    child = os.fork()
    yield item, 0
    yield item, status(child) if child else -1


class AtTheEnd(Processor[int, tuple[int, int]]):
    def process(self, item: int) -> None:
        return None

    def finish(self) -> Iterator[tuple[int, int]]:
        yield from yields(7)


def square(number: int) -> int:
    return number * number


def pools(item: int) -> tuple[int, int]:
    """Children that never come back are left alone."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return item, pool.map(square, [item])[0]


for job in (returns, exits, fails, pools):
    print(job.__name__, list(Pipeline[int]().add(Processor(job)).run(range(3))))
print("yields", list(Pipeline[int]().add(FlatMap(yields)).run([1, 2])))
print("at the end", list(Pipeline[int]().add(AtTheEnd()).run([1])))
