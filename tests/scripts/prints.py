"""Workers print without flushing, and their parent after them: what they wrote comes before the run
ends."""

from __future__ import annotations

from conveyor import Pipeline, Processor


def show(item: int) -> int:
    print("worker", item)
    return item


pl = Pipeline[int]().add(Processor(show))
with pl:
    for run in range(2):
        outputs = pl.run([1, 2])
        print("run", run, list(outputs), flush=True)
