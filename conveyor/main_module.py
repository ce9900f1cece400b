"""How what the user's main module defines reaches the workers, which never import it.

Knows: what a module defines, and how it is packed.  Must never know: how processes are started.

Classes and functions of `__main__` are made known to a worker under that name, each when it is first looked up, so that items
of such classes go both ways and keep their class.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Final

from conveyor.codec import is_atom
from conveyor.context import CURRENT
from conveyor.errors import NotPicklable
from conveyor.rebuilding import announcing, become_worker, said_by

__all__ = ["Definitions", "install_main", "pack_main", "standing_in"]

NOTHING: Final = object()


class Definitions:
    """What `__main__` defines, each on its own: pickled, or the reason why it could not be."""

    def __init__(self) -> None:
        self.pickled: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}


def pack_main() -> Definitions:
    """The classes and functions of this process's `__main__`, and what else items are pickled by the name of."""
    from conveyor.packing import dumped, is_named  # with cloudpickle, which is slow to import, and a worker need not have it
    from conveyor.reasons import parts_of, reason

    definitions = Definitions()
    for name, value in list(vars(sys.modules["__main__"]).items()):
        if not is_named(value):
            continue
        if data := _data_used(value):
            definitions.refused[name] = f"it refers to {data}, which is not a definition"
            continue
        try:
            definitions.pickled[name] = dumped(value)
        except Exception as error:  # only if an item needs it is that an error, and then it says this
            definitions.refused[name] = str(reason(value, error, dumped, parts_of))
    return definitions


def _data_used(value: object) -> str | None:
    """A global that a function refers to and that would have to be copied to ship it; a stage ships what it needs by itself."""
    from conveyor.packing import globals_of, is_named, is_of_each_process

    function = getattr(value, "__wrapped__", value)
    for name, each in globals_of(function) if isinstance(function, FunctionType) else ():
        is_data = not (isinstance(each, type | ModuleType) or callable(each) or is_atom(each) or is_named(each))
        if is_data and not is_of_each_process(each):
            return name
    return None


def install_main(definitions: Definitions | None) -> None:
    """Called in a worker: looks up in `definitions` what its `__main__` has not got."""
    become_worker()
    find_in(definitions if definitions is not None else Definitions())


def find_in(definitions: Definitions) -> None:
    main = sys.modules["__main__"]
    setattr(main, "__getattr__", _finder(main, definitions))  # noqa: B010  # PEP 562; a module has no such attribute to assign


@contextmanager
def standing_in(definitions: Definitions | None) -> Generator[None]:
    """For a while this process's `__main__` has what that of another had: its items and its jobs can be loaded here."""
    names = vars(sys.modules["__main__"])
    before = dict(names)
    with announcing():
        if definitions is not None:
            find_in(definitions)
        try:
            yield
        finally:
            names.clear()
            names.update(before)


def _finder(main: ModuleType, definitions: Definitions) -> Callable[[str], object]:
    def find(name: str) -> object:
        said = said_by(getattr(CURRENT.job, "stage", None), name, NOTHING)
        if said is not NOTHING:
            return said
        if name in definitions.pickled:
            value: object = pickle.loads(definitions.pickled.pop(name))
            setattr(main, name, value)
            return value
        if name in definitions.refused:  # no AttributeError: pickle would put a text of its own in its place
            raise NotPicklable(f"{name!r} of the script could not be sent to the worker: {definitions.refused[name]}")
        raise AttributeError(f"module '__main__' has no attribute {name!r}")

    return find
