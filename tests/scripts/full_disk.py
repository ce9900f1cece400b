"""A pipeline whose memory lies on a small disk: `full_disk.py DIRECTORY channels|items`; prints
what came of it.

On Linux that memory is no file of a disk that could be mounted small, so it is made here as it is
on other systems: a file that has lost its name, with its pages reserved as ever.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path

from conveyor import Pipe, Pipeline, Processor
from conveyor.errors import SharedMemoryFull
from conveyor.runtime.shm import memory

DISK, WHAT = Path(sys.argv[1]), sys.argv[2]


def nameless_file() -> int:
    fd, path = tempfile.mkstemp(dir=DISK)
    os.unlink(path)
    return fd


def ballooned(size: int) -> bytes:
    return bytes(size)


def length(data: bytes) -> int:
    return len(data)


setattr(memory, "_nameless_file", nameless_file)  # noqa: B010  # a private name, replaced on purpose
if WHAT == "channels":
    (DISK / "filler").write_bytes(bytes(15 << 20))  # so that not even the channels find room

pipeline = (
    Pipeline[int](start_method="fork")
    .add(Processor(ballooned))
    .add(Pipe(64))
    .add(Processor(length))
)
try:
    print("results", pipeline.run([32 << 20]))
except SharedMemoryFull as error:
    print(f"{type(error).__name__}: {error}")
(DISK / "filler").unlink(missing_ok=True)
gc.collect()  # the memory of the pipeline that failed is given back with what refers to it
print("then", str(pipeline.run([1000])) + "; left on the disk:", os.listdir(DISK))
