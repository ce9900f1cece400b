"""What is written of an item, or of an error, in a message: whatever it is, writing never fails."""

from __future__ import annotations

from reprlib import Repr
from typing import Final

from conveyor.items.failures import OWN_FAILURES

__all__ = ["ShortRepr", "message_of", "short_repr"]


class ShortRepr(Repr):
    """Writes short reprs as `reprlib` does, and cuts bytes before they are written out, not
    after."""

    def repr_bytes(self, value: bytes | bytearray, level: int) -> str:
        most = self.maxother
        return (
            repr(value)
            if len(value) * 4 <= most
            else self.cut(repr(value[:most]), most, len(value) > most)
        )

    repr_bytearray = repr_bytes

    def cut(self, text: str, most: int, more: bool) -> str:
        return text if len(text) <= most and not more else f"{text[: most - 3]}..."


SHORT: Final = ShortRepr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 80


def short_repr(item: object, width: int = 80) -> str:
    """Gives a repr of at most `width` characters, of large containers only the beginning; where
    `__repr__` raises, the type of the item and of what it raised.

    >>> short_repr(range(3)), short_repr([0] * 100)
    ('range(0, 3)', '[0, 0, 0, 0, 0, 0, ...]')
    """
    try:
        text = SHORT.repr(item)
    except OWN_FAILURES as error:
        text = f"<{type(item).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."


def message_of(error: BaseException) -> str:
    """Gives the message of an error; where its `__str__` raises, what that raised.

    >>> message_of(ValueError("no number"))
    'no number'
    """
    try:
        return str(error)
    except OWN_FAILURES as why:
        return f"<{type(error).__name__} whose str raised {type(why).__name__}>"
