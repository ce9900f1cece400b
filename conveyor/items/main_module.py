"""How what the user's main module defines reaches the workers, which never import it.

Knows: what a module defines, and how it is packed.  Must never know: how processes are started.

Classes and functions of `__main__` are made known to a worker under that name, each when it is
first looked up, so that items of such classes go both ways and keep their class.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType, UnionType
from typing import Final

from conveyor.errors import NotPicklable
from conveyor.items.atoms import is_atom
from conveyor.items.current_item import CURRENT
from conveyor.items.forward_references import annotations_of, hinted, joined
from conveyor.items.unpickling import announced_by, announcing, become_worker, complete

__all__ = ["Definitions", "defined_now", "install_main", "is_redefined", "pack_main", "standing_in"]

NOTHING: Final = object()


class Definitions:
    """What `__main__` defines, each on its own: pickled, or the reason why it could not be."""

    def __init__(self) -> None:
        self.pickled: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}


def pack_main() -> Definitions:
    """The classes and functions of this process's `__main__`, and what else items are pickled by
    the name of."""
    # These bring cloudpickle, which is slow to import, and which a worker need not have.
    from conveyor.items.by_name import SCRIPT, is_named
    from conveyor.items.pickling import dumped
    from conveyor.items.unpicklable import parts_of, reason

    definitions = Definitions()
    names = dict(vars(sys.modules["__main__"]))
    in_hints = _names_in_hints(
        [each for each in names.values() if getattr(each, "__module__", None) in SCRIPT]
    )
    for name, value in names.items():
        if not is_named(value) and not (name in in_hints and _is_of_hints(value)):
            continue
        if data := _data_used(value):
            definitions.refused[name] = f"it refers to {data}, which is not a definition"
            continue
        try:
            definitions.pickled[name] = dumped(value)
        except Exception as error:
            # Only if an item needs it is that an error, and then it says this
            definitions.refused[name] = str(reason(value, error, dumped, parts_of))
    return definitions


def defined_now() -> dict[str, object]:
    """The definitions of `__main__` that `pickle` writes the name of, by that name."""
    from conveyor.items.by_name import is_named

    return {
        name: value
        for name, value in list(vars(sys.modules["__main__"]).items())
        if is_named(value)
    }


def is_redefined(defined: Mapping[str, object]) -> bool:
    """Has `__main__` something else now under one of these names?"""
    names = vars(sys.modules["__main__"])
    return any(names.get(name, value) is not value for name, value in defined.items())


def _names_in_hints(of_script: list[object]) -> frozenset[str]:
    """The names that the hints of the script's classes and functions, and of their methods, are
    made of."""
    methods = [each for kind in of_script if isinstance(kind, type) for each in vars(kind).values()]
    functions = [getattr(each, "__func__", each) for each in (*of_script, *methods)]
    annotated = [each for each in functions if isinstance(each, type | FunctionType)]
    return joined(hinted(annotations_of(each)) for each in annotated)


def _is_of_hints(value: object) -> bool:
    """A module, a class or a form of `typing`, which hints may be made of; data is not."""
    return isinstance(value, type | ModuleType | UnionType) or type(value).__module__ in (
        "typing",
        "types",
        "typing_extensions",
    )


def _data_used(value: object) -> str | None:
    """A global that a function refers to and that would have to be copied to ship it; a stage ships
    what it needs by itself."""
    from conveyor.items.by_name import globals_of, is_named, is_of_each_process

    function = getattr(value, "__wrapped__", value)
    for name, each in globals_of(function) if isinstance(function, FunctionType) else ():
        is_data = not (
            isinstance(each, type | ModuleType) or callable(each) or is_atom(each) or is_named(each)
        )
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
    """For a while this process's `__main__` has what that of another had: its items and its jobs
    can be loaded here."""
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
        announced = announced_by(getattr(CURRENT.job, "stage", None), name, NOTHING)
        if announced is not NOTHING:
            return announced
        if name in definitions.pickled:
            value: object = pickle.loads(definitions.pickled.pop(name))
            setattr(main, name, value)
            complete()
            return value
        if name in definitions.refused:
            # No AttributeError: pickle would put a text of its own in its place.
            raise NotPicklable(
                f"{name!r} of the script could not be sent to the worker: "
                f"{definitions.refused[name]}"
            )
        raise AttributeError(f"module '__main__' has no attribute {name!r}")

    return find
