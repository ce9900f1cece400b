"""The wish that a run may end before its time, from another thread, a signal handler or a fork.

Knows: one run, why it is to end, and how the thread that runs it is woken.  Must never know: how a
run ends.

Rule 1.  To ask takes no lock, so it may be done anywhere; the first reason counts.
Rule 2.  In a process that is forked, every run that was under way is another process's: it is told
         to end there before anything else happens.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from conveyor.errors import ConveyorError, LifecycleError

__all__ = ["OF_ANOTHER_PROCESS", "Halt"]

OF_ANOTHER_PROCESS = (
    "the pipeline is open in process {owner}, which this process was forked from, and its workers "
    "serve that process alone; close() it here and open it again, or write a new Pipeline"
)


def _nothing() -> None:
    """Where there is nothing to be done."""


def _ignored(error: BaseException) -> None:
    """Where nobody waits to be told."""


def program_ends() -> bool:
    """Has the program's main thread come to its end?"""
    return not threading.main_thread().is_alive()


def others() -> set[int | None]:
    """The threads that are alive, by their identifiers, without the one that asks."""
    return {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}


class Halt:
    """The stop request of one run: made by any thread, looked at by the thread that runs.

    >>> halt = Halt()
    >>> halt.check()
    >>> halt.ask(LifecycleError("enough"))
    >>> halt.check()
    Traceback (most recent call last):
    conveyor.errors.LifecycleError: enough
    """

    def __init__(self) -> None:
        self.error: ConveyorError | None = None
        self.wake: Callable[[], None] = _nothing  # ends the sleep of the thread that runs
        self.at_fork: Callable[[], None] = _nothing  # in the child
        self.owner = os.getpid()
        self.thread = threading.get_ident()
        self.inside = False  # is a thread inside the run, or inside next() of its stream?
        self.over = threading.Event()
        # Is told of what has ended the run, while the thread that runs is still inside its source.
        self.when_released: Callable[[BaseException], None] = _ignored
        _under_way.add(self)

    @property
    def busy(self) -> bool:
        """Is a thread inside the run, or may one be in a moment?

        While the program ends, a daemon thread that takes results goes on until the interpreter
        is gone: between two results, too, nothing is to be taken from under it.
        """
        return self.inside or (program_ends() and self.thread in others())

    def ask(self, error: ConveyorError) -> None:
        """From now on `check` raises this error."""
        if self.error is None:
            self.error = error
        self.wake()

    def check(self) -> None:
        """Raises the error if the run is to end."""
        if self.error is not None:
            raise self.error

    def is_ours(self) -> bool:
        """Did this process begin the run, and not the one that it was forked from?"""
        return os.getpid() == self.owner

    def release(self, error: BaseException) -> None:
        """The run has ended, though the thread that runs is still inside its source: lets others
        go on that wait for the end."""
        self.over.set()
        self.when_released(error)

    def ended(self) -> None:
        """The run is over: no thread has to be woken any more."""
        self.wake = self.at_fork = _nothing
        self.when_released = _ignored
        _under_way.discard(self)
        self.over.set()


_under_way: weakref.WeakSet[Halt] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for halt in list(_under_way):
        halt.error = LifecycleError(OF_ANOTHER_PROCESS.format(owner=halt.owner))
        halt.wake = _nothing
        halt.at_fork()


os.register_at_fork(after_in_child=_leave_to_parent)
