"""Follows a file that grows, as `tail -F` does, and tells of errors while it does.

`stream` gives a result as soon as it is there. The source ends when it is told to, and everything
that was written by then still comes out: so Ctrl-C is an end in good order, too.

    python examples/tail.py [FILE]        without a file: one that it writes itself, for a moment
"""

import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from conveyor import Filter, Pipeline, Processor
from conveyor.io import Follow

ended = threading.Event()


@dataclass(frozen=True, slots=True)
class Entry:
    level: str
    text: str


def parse(line: str) -> Entry:
    level, _, text = line.partition(" ")
    return Entry(level, text)


def write(path: Path) -> None:
    """Stands for the program whose log this is."""
    with path.open("a", encoding="utf-8", buffering=1) as log:
        for number in range(20):
            print("ERROR" if number % 8 == 3 else "INFO", f"request {number}", file=log)
            ended.wait(0.02)
    ended.set()


def tell(path: Path) -> None:
    signal.signal(signal.SIGINT, lambda _number, _frame: ended.set())
    pl = Pipeline[str]().add(Processor(parse)).add(Filter(lambda entry: entry.level == "ERROR"))
    with pl.stream(Follow(path, until=ended.is_set)) as stream:
        for number, error in enumerate(stream, 1):
            print(f"error {number}: {error.text}", flush=True)
    print(f"{stream.report.stages['parse'].items_in} lines read")


if len(sys.argv) > 1:
    tell(Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "app.log")
        threading.Thread(target=write, args=[log]).start()
        tell(log)
