"""Follows a file that grows, as `tail -f` does, and tells of errors while it does.

`stream` gives a result as soon as it is there. The source ends when it is told to, and everything
that was read by then still comes out: so Ctrl-C is an end in good order, too.

    python examples/tail.py [FILE]        without a file: one that it writes itself, for a moment
"""

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conveyor import Filter, Pipeline, Processor

ended = threading.Event()


@dataclass(frozen=True, slots=True)
class Entry:
    level: str
    text: str


def follow(path: Path) -> Iterator[str]:
    """Yields lines as they are written, whole ones only, until `ended`."""
    with path.open(encoding="utf-8") as file:
        begun = ""
        while True:
            is_last = ended.is_set()  # asked before the last look, so that no line is missed
            begun += file.readline()
            if begun.endswith("\n"):
                yield begun.rstrip("\n")
                begun = ""
            elif is_last:
                return
            else:
                ended.wait(0.05)


def end(_number: int, _frame: object) -> None:
    ended.set()


def parse(line: str) -> Entry:
    level, _, text = line.partition(" ")
    return Entry(level, text)


def write(path: Path) -> None:
    """Stands for the program whose log this is."""
    with path.open("a", encoding="utf-8", buffering=1) as log:
        for number in range(20):
            level = "ERROR" if number % 8 == 3 else "INFO"
            print(f"{level} request {number}", file=log)
            time.sleep(0.02)
    ended.set()


def main(path: Path) -> None:
    signal.signal(signal.SIGINT, end)
    pl = Pipeline[str]().add(Processor(parse)).add(Filter(lambda entry: entry.level == "ERROR"))
    with pl.stream(follow(path)) as stream:
        for number, error in enumerate(stream, 1):
            print(f"error {number}: {error.text}", flush=True)
    print(f"{stream.report.stages['parse'].items_in} lines read")


if len(sys.argv) > 1:
    main(Path(sys.argv[1]))
else:
    with tempfile.NamedTemporaryFile(suffix=".log") as file:
        threading.Thread(target=write, args=[Path(file.name)]).start()
        main(Path(file.name))
