"""A handler that keeps what it is given, for the tests of logging in both worlds, and jobs that
log."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from conveyor import Processor, context

LOG = logging.getLogger("tests.jobs_that_log")


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, name: str = LOG.name) -> list[logging.LogRecord]:
        return [record for record in self.records if record.name == name]

    def texts(self, name: str = LOG.name) -> list[str]:
        return [record.getMessage() for record in self.of(name)]


def where(record: logging.LogRecord) -> tuple[str | None, int | None]:
    """The stage and the item of a record."""
    found: tuple[str | None, int | None] = (record.__dict__["stage"], record.__dict__["item"])
    return found


@contextmanager
def kept(level: int = logging.INFO) -> Generator[Kept]:
    """What is logged meanwhile, from this level on."""
    handler, before = Kept(), logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(level)
    try:
        yield handler
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(before)


class Talks(Processor[int, int]):
    """Logs wherever the code of a stage can."""

    def setup(self) -> None:
        LOG.info("setup")

    def process(self, item: int) -> int:
        LOG.info("at %d", item)
        return item

    def finish(self) -> Iterable[int]:
        LOG.info("finish")
        return ()

    def teardown(self) -> None:
        LOG.info("teardown")


def told(item: int) -> int:
    LOG.info("told %d", item)
    return item


def dies_once_at_two(item: int) -> int:
    LOG.info("before %d", item)
    if item == 2 and context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
