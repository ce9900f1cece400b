"""A look at what passes: `Tap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from typing_extensions import TypeVar

from conveyor.stages.job import Gives, Job
from conveyor.stages.stage import OnError

__all__ = ["Tap"]

T = TypeVar("T", default=Any)


class Tap(Job[T, T]):
    """Calls `fn` with each item and passes the item on unchanged: for logs and metrics.

    `fn` gets a copy, so what it does to the item is seen by nobody; with `read_only=True` it
    promises to leave the item alone, and gets large buffers in place.  What it returns is ignored,
    what it raises follows `on_error`, after `retries` further attempts: an item that is skipped or
    becomes a dead letter does not pass.

    Raises `TopologyError` if `fn` cannot be called with one argument or an option is out of range.

    >>> from conveyor import Pipeline
    >>> Pipeline[list[int]]().add(Tap(list.clear)).run([[1], [2, 3]])
    [[1], [2, 3]]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.SAME_ITEM

    def __init__(
        self,
        fn: Callable[[T], object],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        read_only: bool = False,
    ) -> None:
        self._take(fn, name, on_error, retries, None, read_only)
