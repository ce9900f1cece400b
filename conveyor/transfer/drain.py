"""A run from a source into a sink, as one epoch.

Knows: the order of the calls.  Must never know: how a pipeline runs, or what a checkpoint is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, Final, Protocol, TypeVar

from conveyor.transfer.contract import Forgetful, Sink, Source

__all__ = ["NO_ABORT", "Take", "beside", "check_ends", "drained", "items_of", "lazily", "opened"]

T = TypeVar("T")

NO_ABORT: Final = "The sink could not abort either"


class Take(Protocol):
    """Is given results as they come out."""

    def __call__(self, results: Sequence[object], /) -> None: ...


def check_ends(source: object, sink: object) -> None:
    """Raises `TypeError` for what is no source or no sink."""
    if not isinstance(source, Source | Iterable):
        raise TypeError(
            f"drain() takes a Source or an iterable of items, not {type(source).__name__}"
        )
    if not isinstance(sink, Sink):
        wants = "open write prepare commit abort identity".split()
        lacks = [f"{name}()" for name in wants if not callable(getattr(sink, name, None))]
        raise TypeError(
            f"drain(into=...) takes a Sink, and {type(sink).__name__} is none: "
            f"it has no {', no '.join(lacks)}"
        )


def drained(
    source: Source[Any, Any] | Iterable[Any],
    sink: Sink[Any],
    run: Callable[[Iterable[Any], Take], T],
) -> T:
    """What `run` gives, once the sink has committed all that it was given.

    If anything fails the sink is told to abort, and that is raised.
    """
    sink.open(0)
    behind = Behind(source.forget) if isinstance(source, Forgetful) else None
    try:
        with opened(source, None, firsts if behind is None else behind.items) as items:
            told = run(items, sink.write)
        sink.prepare(0)
        sink.commit(0)
        if behind is not None:
            behind.forget_all()
    except BaseException as error:
        beside(error, sink.abort, NO_ABORT)
        raise
    return told


class Behind:
    """The position behind the item that was taken last, for a source that may forget what is
    before it."""

    def __init__(self, forget: Callable[[Any], None]) -> None:
        self.forget = forget
        self.position: Any = None

    def items(self, found: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
        for item, self.position in found:
            yield item

    def forget_all(self) -> None:
        if self.position is not None:
            self.forget(self.position)


def firsts(found: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
    return map(itemgetter(0), found)


@contextmanager
def opened(
    source: Source[Any, Any] | Iterable[Any],
    begin: Any,
    noted: Callable[[Iterator[tuple[Any, Any]]], Iterator[Any]],
) -> Generator[Iterable[Any]]:
    """The items of a source behind a position, of which `noted` is told; it is closed in the
    end."""
    if not isinstance(source, Source):
        yield source
        return
    found: Iterator[tuple[Any, Any]] = source.open(begin)
    close: Callable[[], object] = getattr(found, "close", lambda: None)
    try:
        yield noted(found)
    except BaseException as error:
        beside(error, close, "The source could not be closed either")
        raise
    close()


def items_of(items: Any) -> Any:
    """What can be iterated: the items of a source from its beginning, or what was given.

    A source that can be iterated by itself is.
    """
    return lazily(items, None, firsts) if is_only_a_source(items) else items


def is_only_a_source(items: object) -> bool:
    return isinstance(items, Source) and not isinstance(items, Iterable | AsyncIterable)


def lazily(
    source: Source[Any, Any],
    begin: Any,
    noted: Callable[[Iterator[tuple[Any, Any]]], Iterator[Any]],
) -> Iterator[Any]:
    """The same, opened when the first item is asked for."""
    with opened(source, begin, noted) as items:  # it is closed when they are not wanted any more
        yield from items


def beside(error: BaseException, end: Callable[[], object], failed: str) -> None:
    """Calls `end` after an error, which is what counts: that this failed, too, is told beside
    it."""
    try:
        end()
    except Exception as second:
        from traceback import format_exception_only  # which an error that cannot be written passes

        error.add_note(f"{failed}: {''.join(format_exception_only(second)).strip()}")
