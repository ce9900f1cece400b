"""Says that it begins, and then starts workers for a source that never ends."""

import time
from collections.abc import Iterator

from conveyor import Pipe, Pipeline, Processor


def source() -> Iterator[int]:
    while True:
        time.sleep(0.001)
        yield 1


def same(item: int) -> int:
    return item


if __name__ == "__main__":
    print("begins", flush=True)
    pl = Pipeline[int]().add(Processor(same)).add(Pipe(3)).add(Processor(same)).add(Pipe(3)).add(Processor(same))
    pl.run(source())
