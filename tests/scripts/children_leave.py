"""Forks children that leave by sys.exit, at any moment, while a stream is open."""

import itertools
import os
import signal
import sys
import warnings

from conveyor import Pipeline, Processor

warnings.simplefilter("ignore", DeprecationWarning)  # there are threads; that is the point
children = int(sys.argv[1])
stream = Pipeline[int]().add(Processor(lambda number: number + 1)).stream(itertools.count())
got = list(itertools.islice(stream, 10))
well = 0
for _ in range(children):
    got += itertools.islice(stream, 300)
    if (child := os.fork()) == 0:
        signal.alarm(20)  # a child that hangs is killed, which its parent sees
        sys.exit()
    well += os.waitpid(child, 0)[1] == 0
stream.close()
print(f"left well: {well}, results right: {got == list(range(1, len(got) + 1))}")
