"""Records a run on items of the script's own classes; the name of the file is an argument."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork


class Kind(Enum):
    NEW = 1


@dataclass(slots=True)
class Record:
    number: int
    kind: Kind = Kind.NEW


class Untold(Record):
    """Of which no stage says anything."""


def following(record: Record) -> Record:
    return Record(record.number + 1)


pl = Pipeline[Record]().add(ReplicatingFork(2)).add(Processor(following), Pipe()).add(Join(2))
print(len(pl.run([Record(1), Untold(2)], record=sys.argv[1])))
