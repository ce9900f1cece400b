"""A pipeline with items small and large; prints which kind of channel it has, and what came out."""

from __future__ import annotations

from conveyor import Join, Pipeline, Processor, ReplicatingFork
from conveyor.runtime.shm import checked
from conveyor.runtime.shm.memory import Memory


def double(item: int) -> int:
    return 2 * item


if __name__ == "__main__":
    kind = type(checked.ring_of(Memory.create(1 << 20), 0, 1)).__name__
    small = Pipeline[int]().add(Processor(double)).run(range(3))
    large = (
        Pipeline[int]()
        .add(Processor(bytes))
        .add(ReplicatingFork(2))
        .add(Processor(len), Processor(len))
        .add(Join(2))
    )
    print(kind, list(small), sum(large.run([5000])))
