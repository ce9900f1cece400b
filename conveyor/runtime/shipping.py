"""How what the user's main module defines reaches the workers, which never import it.

Knows: cloudpickle.  Must never know: how processes are started.

Classes and functions of `__main__` are made known to a worker under that name, each when it is first looked up, so that items
of such classes go both ways and keep their class.
"""

from __future__ import annotations

import dis
import pickle
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType

from conveyor.codec import PROTOCOL, is_atom

__all__ = ["Definitions", "install_main", "pack_main"]


class Definitions:
    """What `__main__` defines, each on its own: pickled, or the reason why it could not be."""

    def __init__(self) -> None:
        self.pickled: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}
        self.nesting: list[str] = []  # classes that have classes inside


def pack_main() -> Definitions:
    """The classes and functions of this process's `__main__`."""
    import cloudpickle  # which is slow to import, and a worker need not have it

    definitions = Definitions()
    for name, value in list(vars(sys.modules["__main__"]).items()):
        if getattr(value, "__module__", None) != "__main__":
            continue
        if isinstance(value, FunctionType) and (data := _data_used(value)):
            definitions.refused[name] = f"it refers to {data}, which is not a definition"
        elif isinstance(value, type | FunctionType):
            try:
                definitions.pickled[name] = cloudpickle.dumps(value, PROTOCOL)
                if any(isinstance(inner, type) and inner.__module__ == "__main__" for inner in vars(value).values()):
                    definitions.nesting.append(name)
            except Exception as error:  # only if an item needs it is that an error, and then it says this
                definitions.refused[name] = f"{type(error).__name__}: {error}"
    return definitions


def _data_used(function: FunctionType) -> str | None:
    """A global that a function refers to and that would have to be copied to ship it; a stage ships what it needs by itself."""
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if not (isinstance(value, type | ModuleType) or callable(value) or is_atom(value)):
            return name
    return None


def _names(code: CodeType) -> list[str]:
    """The globals that some code reads, functions inside it included."""
    own = [str(each.argval) for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return own + [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant)]


def install_main(definitions: Definitions) -> None:
    """Called in a worker: looks up in `definitions` what its `__main__` has not got."""
    main = sys.modules["__main__"]
    find = _finder(main, definitions)
    setattr(main, "__getattr__", find)  # noqa: B010  # PEP 562; a module has no such attribute to assign
    for name in definitions.nesting:
        _name_nested(find(name))


def _name_nested(value: object) -> None:
    """Gives the classes inside a class their full names back, by which pickle finds them."""
    for name, inner in list(vars(value).items()):
        if isinstance(inner, type) and isinstance(value, type) and inner.__module__ == "__main__":
            inner.__qualname__ = f"{value.__qualname__}.{name}"
            _name_nested(inner)


def _finder(main: ModuleType, definitions: Definitions) -> Callable[[str], object]:
    def find(name: str) -> object:
        if name in definitions.pickled:
            value: object = pickle.loads(definitions.pickled.pop(name))
            setattr(main, name, value)
            return value
        reason = definitions.refused.get(name)
        because = f": it could not be sent to the worker, {reason}" if reason else ""
        raise AttributeError(f"module '__main__' has no attribute {name!r}{because}")

    return find
