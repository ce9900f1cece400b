"""Runs pipelines for the first time in several threads at once; prints how many resource trackers
there are then."""

from threading import Barrier, Thread

import psutil

from conveyor import Pipeline, Processor

together = Barrier(4)


def run() -> None:
    pl = Pipeline[int]().add(Processor(lambda number: number + 1))
    together.wait()
    assert pl.run(range(3)) == [1, 2, 3]


threads = [Thread(target=run) for _ in range(together.parties)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
children = psutil.Process().children(recursive=True)
print(sum("resource_tracker" in " ".join(child.cmdline()) for child in children))
