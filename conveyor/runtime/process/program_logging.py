"""How the loggers of a worker are made like those of its program: the same levels, and no handlers,
which are the program's.

This file knows the loggers of a process.  It must never know what is done with a record.

Rule 1.  A handler that came with the worker, by a fork or with a module that was imported for its
         stages, is taken off: the program has it, and a record would be written twice.  One that
         the user's code adds in the worker, in an `initializer` or later, stays.
Rule 2.  Levels are the program's, of each logger that it has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["LoggingLevels", "keep_handler", "leave_logging_to_program", "log_by"]


class LoggingLevels(NamedTuple):
    """The levels of all loggers of a process, by name, those that are disabled, and up to which
    level all are (`logging.disable`)."""

    loggers: dict[str, int]
    disabled: tuple[str, ...]
    below: int

    @classmethod
    def of_this_process(cls) -> LoggingLevels:
        there = {logger.name: logger for logger in all_loggers()}
        return cls(
            {name: logger.level for name, logger in there.items()},
            tuple(name for name, logger in there.items() if logger.disabled),
            logging.root.manager.disable,
        )

    def take(self) -> None:
        """Makes the loggers of this process like those."""
        logging.disable(self.below)
        there = {logger.name for logger in all_loggers()}
        disabled = set(self.disabled)
        for name, level in self.loggers.items():
            is_disabled = name in disabled
            if level or is_disabled or name in there:
                logger = logging.getLogger(name)
                logger.disabled = is_disabled
                if logger.level != level:  # to set it takes a look at all loggers
                    logger.setLevel(level)


def all_loggers() -> Iterator[logging.Logger]:
    """The root logger and all others that were asked for so far."""
    yield logging.root
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):  # else it only stands between two others
            yield logger


class Here:
    """What takes the records of this process, if it is a worker."""

    handler: logging.Handler | None = None
    before: Final[list[logging.Handler]] = []  # kept, since some act when they are forgotten


def log_by(handler: logging.Handler) -> None:
    """From now on the records of this process go to this handler, and to those that are added
    later."""
    Here.handler = handler
    leave_logging_to_program()


def leave_logging_to_program() -> None:
    """Takes off all handlers but the one that `log_by` was called with."""
    if Here.handler is None:
        return
    for logger in all_loggers():
        Here.before.extend(logger.handlers)
        logger.handlers = []
        logger.propagate = True
    logging.root.addHandler(Here.handler)


def keep_handler() -> None:
    """Puts the handler back, if code of the user's has taken it off, as `dictConfig` does."""
    if Here.handler is not None and Here.handler not in logging.root.handlers:
        logging.root.addHandler(Here.handler)
