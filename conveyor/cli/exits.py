"""How a command ends: its exit code, and what it says on the way."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOSED_PIPE", "DONE", "FAILED", "INTERRUPTED", "UNKNOWN", "WRONG_CALL", "CommandFailed"]

DONE: Final = 0
FAILED: Final = 1  # the pipeline failed, or a check found something
WRONG_CALL: Final = 2
UNKNOWN: Final = 3  # what is named cannot be loaded
INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it
CLOSED_PIPE: Final = 141  # 128 and the number of SIGPIPE


class CommandFailed(Exception):
    """A command cannot go on: what is said on stderr, and the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code
