"""The most frequent words of a text: the chain style, typed from end to end.

Without a file it counts the words of this one:

    python examples/word_count.py [FILE]
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from conveyor import Filter, FlatMap, Pipeline, Processor

SHORTEST = 4
SHOWN = 10


def words(line: str) -> Iterator[str]:
    for match in re.finditer(r"[^\W\d_]+", line):
        yield match.group().lower()


def is_long(word: str) -> bool:
    return len(word) >= SHORTEST


class Count(Processor[str, tuple[str, int]]):
    """Counts words; gives the most frequent at the end, those equally frequent in alphabetical
    order."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def process(self, item: str, /) -> None:
        self._counts[item] += 1

    def finish(self) -> list[tuple[str, int]]:
        ranking = sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
        self._counts.clear()
        return ranking[:SHOWN]


def main(file: Path) -> None:
    pipeline = Pipeline[str]().add(FlatMap(words)).add(Filter(is_long)).add(Count())
    with file.open(encoding="utf-8") as lines:
        for word, count in pipeline.run(lines):
            print(f"{count:6}  {word}")


main(Path(sys.argv[1] if len(sys.argv) > 1 else __file__))
