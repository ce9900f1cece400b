"""Hands items over three times each through pipes that hold one: `hand_over.py ITEMS`; prints what
is wrong, if anything."""

from __future__ import annotations

import sys

from conveyor import Pipe, Pipeline, Processor
from conveyor.runtime.parent.run_report import WOKEN_BY_THE_NET

items = int(sys.argv[1])
pipeline = (
    Pipeline[int]()
    .add(Pipe(1))
    .add(Processor(lambda item: item + 1))
    .add(Pipe(1))
    .add(Processor(lambda item: item + 1))
)
results = pipeline.add(Pipe(1)).run(iter(range(items)))
if results != list(range(2, items + 2)):
    print("the results are wrong")
print(*(note for note in results.report.notes if WOKEN_BY_THE_NET in note), sep="\n", end="")
