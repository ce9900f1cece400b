"""A job with a time limit waits for a file: `stopped.py DIRECTORY LIMIT`.  It says that it has
begun by another file."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from conveyor import Pipeline, Processor


def waits(directory: Path, item: int) -> int:
    (directory / "begun").touch()
    while not (directory / "go").exists():
        time.sleep(0.005)
    return item


print(
    Pipeline[int]()
    .add(Processor(partial(waits, Path(sys.argv[1])), timeout_s=float(sys.argv[2])))
    .run([7])
)
