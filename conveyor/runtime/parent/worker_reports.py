"""What workers report to the program, one ledger each: failures, dead letters, what is void.

Knows: the ledgers and the messages in them.  Must never know: what follows from a failure.
"""

from __future__ import annotations

from conveyor.core.failures import Failure, letter_arrived
from conveyor.graph.topology import NodeSpec
from conveyor.items import slices
from conveyor.reporting.build import Letters
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.checked import inlet_of
from conveyor.runtime.shm.layout import LEDGER_CAPACITY
from conveyor.runtime.worker.order import RolledBack, SentDeadLetter

__all__ = ["WorkerReports"]


class WorkerReports:
    """The ledgers of all workers, and the dead letters of this run."""

    def __init__(self, shared: Shared, specs: list[NodeSpec]) -> None:
        self.letters = Letters()
        self.ledgers = [
            inlet_of(
                shared.layout.ledger(shared.memory, spec.index), shared.wakeups[spec.index].notify
            )
            for spec in specs
        ]

    def begin_run(self) -> None:
        self.letters = Letters()

    def read(self) -> Failure | None:
        """Takes in what has come; the first failure, which is left where it is, if there is one."""
        for ledger in self.ledgers:
            while ledger.pending():
                for message in slices.opened(ledger.peek(LEDGER_CAPACITY)):
                    if isinstance(message, Failure):
                        return message
                    self.take(message)
                    ledger.commit(ledger.position(1))
        return None

    def take(self, message: object) -> None:
        if isinstance(message, RolledBack):
            self.letters.void(message.stage, message.ordinal, message.behind)
        else:
            assert isinstance(message, SentDeadLetter)
            self.letters.add(letter_arrived(message.letter))
