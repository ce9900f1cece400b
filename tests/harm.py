"""An item or a result that does harm when it is pickled or unpickled.  Workers import this by
name."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["Harmful", "carry"]


def do_harm(harm: str) -> object:
    if harm == "error":
        raise ValueError("harm")
    if harm == "exit":
        sys.exit(5)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


class Harmful:
    def __init__(self, when: str, harm: str) -> None:
        self.when = when
        self.harm = harm

    def __reduce__(self) -> tuple[object, ...]:
        if self.when == "pickled":
            do_harm(self.harm)
        return do_harm, (self.harm,)


def carry(what: str, when: str, harm: str, item: object) -> object:
    return Harmful(when, harm) if what == "result" and item == 3 else item
