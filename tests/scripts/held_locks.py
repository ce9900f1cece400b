"""Runs pipelines while other threads hold locks most of the time: logging's, the output's, their
own."""

from __future__ import annotations

import logging
import sys
import threading

from conveyor import Pipeline, Processor

end, lock = threading.Event(), threading.Lock()


def hold_locks() -> None:
    while not end.is_set():
        with lock:
            logging.getLogger("held").warning("x" * 1000)
            print("y" * 1000, file=sys.stderr, flush=True)


def job(item: int) -> int:
    logging.getLogger("held").warning("from a job")
    return item


threads = [threading.Thread(target=hold_locks, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
print(
    all(
        Pipeline[int]().add(Processor(job)).add(Processor(job)).run(range(20)) == list(range(20))
        for _ in range(2)
    )
)
end.set()
