"""An item that goes on as it is, for simulations that are to be quick rather than faithful.

Knows: what a sealed item can do.  Must never know: who asked for it.
"""

from __future__ import annotations

import pickle

from conveyor.items.codec import PROTOCOL, Sealed, Take

__all__ = ["Lent"]


class Lent(Sealed):
    """In place of a sealed item: opened, it is the very object, so whoever changes it changes it
    for all.

    >>> item = [1]
    >>> Lent(item).open() is item
    True
    """

    __slots__ = ("item",)

    def __init__(self, item: object) -> None:
        self.buffers = ()
        self.item = item

    @property
    def data(self) -> bytes:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  # where it must travel after all
        return pickle.dumps(self.item, PROTOCOL)

    def open(self, take: Take = bytearray) -> object:
        return self.item
