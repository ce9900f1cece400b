"""What a source and a sink promise, so that a run may go on where another one was killed.

Knows: the calls and their order.  Must never know: any store, or what calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from typing_extensions import TypeVar

__all__ = ["Forgetful", "Sink", "Source", "Undoable"]

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
P = TypeVar("P")


@runtime_checkable
class Source(Protocol[T_co, P]):
    """Where items come from: asked again from any position that it has given, it gives the same
    items again.

    >>> from collections.abc import Iterator
    >>> class Squares:
    ...     def open(self, position: int | None) -> Iterator[tuple[int, int]]:
    ...         for n in range(position or 0, 4):
    ...             yield n * n, n + 1
    ...     def identity(self) -> str:
    ...         return "squares below 16"
    >>> squares: Source[int, int] = Squares()
    >>> list(squares.open(2))
    [(4, 3), (9, 4)]
    """

    def open(self, position: P | None, /) -> Iterator[tuple[T_co, P]]:
        """Begins behind `position`, at the first item if it is None; gives each item with the
        position behind it.

        Positions are small, can be pickled and compared.  The iterator is taken from in one thread
        at a time; it is closed when the run ends, if it has `close`.
        """
        ...

    def identity(self) -> str:
        """Names what is read, so that a checkpoint of other items is refused."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """What a source has, too, whose store keeps items for it until it is told."""

    def forget(self, position: Any, /) -> None:
        """The items up to a position are in the sink for good, and will not be asked for again."""
        ...


@runtime_checkable
class Sink(Protocol[T_contra]):
    """Where results go: in epochs, each of which the store holds as a whole or not at all.

    The calls are `open`, and for each epoch `write` as often as there are results, `prepare`,
    `commit`; or `abort` once, if the run fails.  Where it goes on by itself without a machine that
    was lost, `abort` is followed by `open`.  They come from one thread at a time, though not always
    the same one.  Without a checkpoint a run is one epoch, 0.

    A store that has what was prepared still after a crash commits it then: `commit` is called again
    for the last epoch that was prepared.  One that has not, where results and the number of the
    epoch are one transaction, says in `open` which epoch it holds.
    """

    def open(self, epoch: int, /) -> int | None:
        """Begins with `epoch`; what is there of this one and of later ones is thrown away.

        Gives the newest epoch that the store holds, -1 for none, if only the store can tell;
        None: what was prepared of epochs before this one is kept.
        """
        ...

    def write(self, items: Sequence[T_contra], /) -> None:
        """Takes results of the epoch that is open; none comes between `prepare` and `commit`."""
        ...

    def prepare(self, epoch: int, /) -> None:
        """The epoch is whole: makes sure that `commit` can succeed, as far as the store is able
        to."""
        ...

    def commit(self, epoch: int, /) -> None:
        """Makes what was written of the epoch part of the store; done before, it does nothing.

        Nothing is held open from here to the next `write`.
        """
        ...

    def abort(self) -> None:
        """The run has failed: gives up what is not committed, and closes what is open."""
        ...

    def identity(self) -> str:
        """Names what is written into, so that a checkpoint of another sink is refused."""
        ...


@runtime_checkable
class Undoable(Protocol):
    """What a sink has, too, that can take back what it has committed."""

    def discard(self) -> None:
        """All that runs have written is gone, so that one may begin again."""
        ...
