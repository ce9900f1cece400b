"""Gets a thread out of a call that blocks in the program's code.

Knows: one signal that nothing else uses, and where sources sleep.  Must never know: why.

Rule 1.  The main thread is interrupted as far as Ctrl-C would: Python runs signal handlers there
         alone.
Rule 2.  Any thread is called out of the sleep of a source (`conveyor.io.sleep`).  Out of another
         call it cannot be helped: it goes on once that comes back.
"""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from contextvars import ContextVar, Token
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Final

from conveyor.core.steering import ControlFlow
from conveyor.transfer.sleeping import sleeper

__all__ = ["Interrupt", "Interruptible"]

# Ignored where no handler is set, so one that comes late does no harm
NUMBER: Final = signal.SIGURG


class Interrupt(ControlFlow):
    """Raised in what blocks; no `Exception`, as it is not the program's to handle."""


class Interruptible:
    """A block in which a thread may be interrupted while it is `inside` the program's code.

    Where the program uses the signal itself, or the block is not the main thread's, `interrupt`
    ends nothing but the sleep of a source: in this thread, and in those that a source inside of the
    block takes its items from.
    """

    def __init__(self) -> None:
        self.inside = False
        self.wanted = False
        self.is_able = False  # by the signal
        self.thread = 0
        self.around: tuple[Interruptible, ...] = ()  # a source may run a pipeline itself
        # To put is all that is done here in a signal handler, or where an object is collected.
        self.wakes: SimpleQueue[None] = SimpleQueue()
        self.sleepers = [self.wakes]
        self.tokens: tuple[Token[Any], Token[Any]] | None = None

    def __enter__(self) -> Interruptible:
        self.thread = threading.get_ident()
        self.around = _around.get()
        for block in self.around:
            block.sleepers.append(self.wakes)
        self.tokens = _around.set((*self.around, self)), sleeper.set(self.sleep)
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(NUMBER) in FREE
        ):
            try:
                signal.signal(NUMBER, _raise)
                self.is_able = True
            except ValueError:  # an embedded interpreter, whose main thread is not Python's
                return self
            _blocks.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_able:
            self.is_able = False
            _blocks.remove(self)
            if not _blocks:
                signal.signal(NUMBER, signal.SIG_DFL)
        if self.tokens is not None:
            around, outer = self.tokens
            self.tokens = None
            sleeper.reset(outer)
            _around.reset(around)
            for block in self.around:
                block.sleepers.remove(self.wakes)

    def interrupt(self) -> None:
        """Called by another thread: raises `Interrupt` in the block, if that is inside."""
        self.wanted = True
        for wakes in tuple(self.sleepers):
            wakes.put(None)
        self.insist()

    def insist(self) -> None:
        """Called again and again by that thread, until the block is left: a signal that comes
        between the interpreter's last look and a system call does not end that call."""
        ident = threading.main_thread().ident
        if self.wanted and self.is_able and ident is not None:
            signal.pthread_kill(ident, NUMBER)

    def sleep(self, seconds: float) -> None:
        """Sleeps in the block, which an interrupt ends."""
        until = monotonic() + seconds
        while True:
            for block in (*self.around, self):
                block.check()
            left = until - monotonic()
            if left <= 0:
                return
            with suppress(Empty):
                self.wakes.get(timeout=left)

    def check(self) -> None:
        """Raises `Interrupt` if it is wanted and the block is inside: once in the block's own
        thread, which may have a signal to come, too."""
        if self.wanted and self.inside:
            self.wanted = self.thread != threading.get_ident()
            raise Interrupt


# Those that the calling thread is in, the outermost first.
_around: ContextVar[tuple[Interruptible, ...]] = ContextVar("interruptible", default=())
_blocks: list[Interruptible] = []  # of the main thread


def _raise(number: int, frame: FrameType | None) -> None:
    for block in _blocks:
        block.check()


FREE: Final = (signal.SIG_DFL, _raise)
