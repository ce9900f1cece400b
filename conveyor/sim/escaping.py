"""Names in a text in which some signs mean something.

Knows: which signs are safe.  Must never know: what the text says.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escaped", "plain"]

SPECIAL: Final = re.compile(r"[^\w\-/#~,()]")


def escaped(name: str) -> str:
    """A name without the signs that mean something in a schedule, or to a shell.

    >>> escaped("a.b c"), plain(escaped("a.b c"))
    ('a%2Eb%20c', 'a.b c')
    """
    return SPECIAL.sub(lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), name)


def plain(name: str) -> str:
    """The name that was escaped."""
    return re.sub(
        r"(%[0-9A-F]{2})+", lambda signs: bytes.fromhex(signs[0].replace("%", "")).decode(), name
    )
