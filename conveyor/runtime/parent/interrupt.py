"""Gets the main thread out of a call that blocks in the program's code, as far as Ctrl-C would.

Knows: one signal that nothing else uses.  Must never know: why.

Python runs signal handlers in the main thread alone, so no other thread can be helped: it goes on
once its call comes back.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Final

__all__ = ["Interrupt", "Interruptible"]

# Ignored where no handler is set, so one that comes late does no harm
NUMBER: Final = signal.SIGURG


class Interrupt(BaseException):
    """Raised in what blocks; no `Exception`, as it is not the program's to handle."""


class Interruptible:
    """A block in which the main thread may be interrupted while it is `inside` the program's code.

    Where the program uses the signal itself, or the block is not the main thread's, `interrupt`
    does nothing.
    """

    def __init__(self) -> None:
        self.inside = False
        self.wanted = False
        self.is_able = False

    def __enter__(self) -> Interruptible:
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

    def interrupt(self) -> None:
        """Called by another thread: raises `Interrupt` in the main thread, if that is inside."""
        self.wanted = True
        ident = threading.main_thread().ident
        if self.is_able and ident is not None:
            signal.pthread_kill(ident, NUMBER)


_blocks: list[Interruptible] = []  # of the main thread: a source may run a pipeline itself


def _raise(number: int, frame: FrameType | None) -> None:
    for block in _blocks:
        if block.wanted and block.inside:
            block.wanted = False
            raise Interrupt


FREE: Final = (signal.SIG_DFL, _raise)
