"""The names by which pickles that are kept on disk know the library.

A recording is read by later versions of the library, whose modules may have moved.  What a pickle
in it needs of the library it therefore calls by a name of this table, and the only path in it is
that of `named`.

Rule 1.  This module never moves, and `named` keeps its name.
Rule 2.  A name in the table is never removed and never given to another thing.  Where the thing
         moves or gets another name in the code, only the right-hand side follows.
Rule 3.  What users import has its public path for a name, such as `conveyor:Processor`, wherever it
         is defined.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

__all__ = ["name_of", "named"]

HOMES: Final = {
    "attributes": "conveyor.items.remote_errors:set_attributes",
    "cached": "conveyor.items.unpickling:make_cached",
    "class": "conveyor.items.unpickling:make_class",
    "class filled": "conveyor.items.unpickling:fill_class",
    "code": "conveyor.items.unpickling:make_code",
    "enum": "conveyor.items.unpickling:make_enum",
    "exception": "conveyor.items.remote_errors:rebuilt",
    "function filled": "conveyor.items.unpickling:fill_function",
    "local": "conveyor.items.unpickling:make_local",
    "lock": "conveyor.items.unpickling:make_lock",
    "options": "conveyor.stages:StageOptions",
    "singleton": "conveyor.items.unpickling:make_singleton",
    "typing": "conveyor.items.unpickling:make_typing",
    "variable": "conveyor.items.unpickling:make_variable",
}
NAMES: Final = {home: name for name, home in HOMES.items()}
PUBLIC: Final = (
    "conveyor",
    "conveyor.stages",
    "conveyor.errors",
    "conveyor.report",
    "conveyor.sim",
)


def name_of(value: object) -> str | None:
    """Gives the name by which a kept pickle calls a class or a function of the library; None for
    anything else.

    >>> from conveyor import Processor
    >>> from conveyor.items.unpickling import make_class
    >>> name_of(Processor), name_of(make_class), name_of(len)
    ('conveyor:Processor', 'class', None)
    """
    module: object = getattr(value, "__module__", None)
    if not isinstance(module, str) or not module.startswith("conveyor."):
        return None
    attribute = str(getattr(value, "__qualname__", None))
    name = NAMES.get(f"{module}:{attribute}")
    if name is not None:
        return name
    for each in PUBLIC:
        public = sys.modules.get(each)
        is_public = attribute in getattr(public, "__all__", ())
        if is_public and getattr(public, attribute) is value:
            return f"{each}:{attribute}"
    return None


def named(name: str) -> object:
    """Gives what a kept pickle calls `name`: kept pickles call this when they are loaded.

    Raises `AttributeError` for a name that this version of the library does not know.

    >>> from conveyor import Processor
    >>> named("conveyor:Processor") is Processor
    True
    """
    module, colon, attribute = HOMES.get(name, name).partition(":")
    if not colon:
        raise AttributeError(
            f"this version of Conveyor does not know what a pickle calls {name!r}: "
            "a later version wrote it"
        )
    return getattr(import_module(module), attribute)
