"""Log records of simulated jobs: they reach the program's handlers by themselves, and are told
where they come from, as those of real jobs are.

Knows: the handlers of this process.  Must never know: what a handler does with a record.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from conveyor.items.current_item import CURRENT

__all__ = ["locating_records"]


# Set in the context that simulates, and in no other thread of the program.
SIMULATES: Final = ContextVar("SIMULATES", default=False)


class Locate(logging.Filter):
    """Adds `stage`, `worker` and `item` to the records that jobs make where it is simulated;
    fields of the user's own of these names are left as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        if SIMULATES.get():
            stage, item = CURRENT.whereabouts()
            if stage is not None:
                for name, value in (("stage", stage), ("worker", record.process), ("item", item)):
                    record.__dict__.setdefault(name, value)
        return True


class Here:
    """The filter at work, if anything is simulated."""

    locate: Locate | None = None


@contextmanager
def locating_records() -> Generator[None]:
    """While this is entered, the handlers of the program are told where jobs log; the outermost of
    several looks for handlers."""
    if Here.locate is not None:
        yield
        return
    handlers = [*all_handlers()]
    if not handlers:
        yield
        return
    locate = Here.locate = Locate()
    for handler in handlers:
        handler.filters.insert(0, locate)  # a filter of the user's may look at the fields
    outside = SIMULATES.set(True)
    try:
        yield
    finally:
        SIMULATES.reset(outside)
        Here.locate = None
        for handler in handlers:
            handler.removeFilter(locate)


def all_handlers() -> Iterator[logging.Handler]:
    found: dict[int, logging.Handler] = {}
    for logger in (logging.root, *list(logging.root.manager.loggerDict.values())):
        if isinstance(logger, logging.Logger):
            found |= {id(handler): handler for handler in logger.handlers}
    yield from found.values()
