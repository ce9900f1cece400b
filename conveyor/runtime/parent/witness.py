"""What happens to the workers of a run, for those that want to be told of it.

Knows: the events.  Must never know: what is made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Witness", "Witnesses"]


class Witness(Protocol):
    """Is told what happens, in the thread that looks after the workers.  Nodes are numbers of a
    topology."""

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        """A worker was started, the `life`th of its node; `cores` are those it is to run on, none
        where the system places it."""
        ...

    def died(self, node: int, pid: int, how: str) -> None:
        """A worker has died."""
        ...

    def overdue(self, node: int, pid: int) -> None:
        """A worker is killed, as its item takes too long."""
        ...

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        """A fork that adapts has another number of lanes open."""
        ...

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        """Workers slept though there was work for them, or have had their soft limits lifted."""
        ...


class Witnesses:
    """Tells all of them, in turn."""

    def __init__(self, *witnesses: Witness) -> None:
        self.all = list(witnesses)

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        for each in self.all:
            each.started(node, pid, cores, life)

    def died(self, node: int, pid: int, how: str) -> None:
        for each in self.all:
            each.died(node, pid, how)

    def overdue(self, node: int, pid: int) -> None:
        for each in self.all:
            each.overdue(node, pid)

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        for each in self.all:
            each.opened_lanes(fork, before, lanes)

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        for each in self.all:
            each.watchdog(forgotten, yielding)

    def forget(self, witness: Witness) -> None:
        """Tells it no more."""
        self.all = [each for each in self.all if each is not witness]
