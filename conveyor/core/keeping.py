"""What an engine asks of a run that is kept, so that it can go on where it stood.

Knows: the calls, and which thread makes them.  Must never know: where anything is kept, how a run
goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from conveyor.core.epochs import Manifest, NodeState
from conveyor.report import DeadLetter, Report

__all__ = ["Acknowledging", "Keeping", "Windows", "ends"]


class Windows(NamedTuple):
    """How far a source goes ahead of the newest barrier that has come through: `first` items to
    begin with, then between `least` and `most`, so that a barrier takes `through_s`; the next goes
    out after `sent_s`, be it ahead so far or not."""

    first: int
    least: int
    most: int
    through_s: float
    sent_s: float


class Keeping(Protocol):
    """A run that is kept, as the engine sees it: in a checkpoint, whenever `every_s` seconds have
    passed; or in the program's memory, at each barrier; or in both.

    `goes_on` is set by an engine that can go on by itself with other workers: will the run that
    this error has ended go on at once?  Then nobody is told of an end.
    """

    goes_on: Callable[[BaseException], bool]

    @property
    def every_s(self) -> float: ...
    @property
    def in_memory(self) -> bool:
        """Is each barrier noted that comes through?  Then the run can go on from there while the
        program lives."""
        ...

    @property
    def windows(self) -> Windows: ...
    @property
    def manifest(self) -> Manifest | None:
        """Where the run goes on; None: it begins."""
        ...

    @property
    def stands_at(self) -> str:
        """Where this life began, in words: "behind item 12"."""
        ...

    def begin_again(self) -> Iterable[object]:
        """Goes back to where the run stands for good, as its workers are gone, and gives the items
        from there on, for others."""
        ...

    def mark(self) -> None:
        """What has come out so far, and nothing else, was before the barrier that has come
        through."""
        ...

    def hold(self) -> None:
        """Results that are taken from now on belong to the next epoch: they are kept back until
        `go_on`."""
        ...

    def note(
        self, items: int, nodes: Mapping[int, NodeState], letters: Sequence[DeadLetter]
    ) -> None:
        """All that came of the first `items` of this life has come out, and nothing else: the run
        can go on from here in another life, if it is kept `in_memory`."""
        ...

    def complete(
        self,
        items: int,
        nodes: Mapping[int, NodeState],
        letters: Sequence[DeadLetter],
        is_finished: bool,
    ) -> None:
        """The same, where it is to be made durable.  May be called in another thread, between
        `hold` and `go_on`."""
        ...

    def go_on(self) -> None:
        """That is noted, or durable: what was kept back goes to the sink."""
        ...


def ends(error: BaseException) -> bool:
    """Whether a run goes on after an error, where no engine has it do so: it does not."""
    return False


class Acknowledging(Protocol):
    """A run that is kept, whose results the program takes one by one and acknowledges.

    Results are counted from the beginning of this life, with those of earlier ones.
    """

    @property
    def earlier(self) -> Sequence[object]:
        """Results of earlier lives that were not acknowledged: they are given first."""
        ...

    @property
    def given(self) -> int:
        """How many the program has been given."""
        ...

    @property
    def at_barrier(self) -> int:
        """How many came before the newest barrier that has come through."""
        ...

    @property
    def kept_to(self) -> int:
        """How many came before that of the newest manifest."""
        ...

    def take(self, results: Sequence[object], /) -> None:
        """Results have come; the program has not seen them yet."""
        ...

    def gave(self, results: Sequence[object], /) -> None:
        """The program has been given results."""
        ...

    def acknowledge(self, count: int) -> None:
        """The program has done with the first `count` results; from any thread."""
        ...

    def lacks(self) -> bool:
        """Has more been acknowledged than is durable?"""
        ...

    def write_again(self) -> bool:
        """Makes durable what has been acknowledged since the newest manifest; False if some of that
        came behind its barrier."""
        ...

    def finish(self, report: Report, letters: Sequence[DeadLetter]) -> None:
        """All results have been given, and `complete` was told so: makes that durable."""
        ...

    def over(self) -> None:
        """The run has ended: from now on what is acknowledged is made durable at once."""
        ...
