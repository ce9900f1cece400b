"""What of a program another process finds by its name, and what must be sent by value.

Knows: modules, and the names that code uses.  Must never know: how anything is pickled.

A worker imports the user's modules, but never the script itself, so a class or a function of
`__main__` has no name by which a worker could find it.
"""

from __future__ import annotations

import dis
import functools
import sys
import typing
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Final

import cloudpickle
import typing_extensions

from conveyor.items.unpickling import LOCAL, LOCKS

__all__ = ["by_value", "globals_of", "is_definition", "is_found", "is_named", "is_of_each_process"]


# The script's module, and what multiprocessing calls that in its own processes.
SCRIPT: Final = ("__main__", "__mp_main__")

PROTOCOL: Final = 5
CACHED: Final = type(functools.lru_cache(len))
OF_TYPING: Final = ("NewType", "TypeVar", "ParamSpec", "TypeVarTuple", "TypeAliasType")
MODULES_OF_TYPING: Final = (typing, typing_extensions)
KINDS: Final = tuple(
    dict.fromkeys(
        kind
        for name in OF_TYPING
        for each in MODULES_OF_TYPING
        if isinstance(kind := getattr(each, name, None), type)
    )
)
ABSENT: Final = object()


def is_found(value: object) -> bool:
    """Can another process import a function, a class or a wrapper by its name?"""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    if not isinstance(module, str) or not isinstance(name, str) or module in SCRIPT:
        return False
    if any(
        module == each or module.startswith(f"{each}.")
        for each in cloudpickle.list_registry_pickle_by_value()
    ):
        return False
    return attribute_at(sys.modules.get(module), name) is value


def attribute_at(value: object, name: str) -> object:
    """What is under a dotted name."""
    for part in name.split("."):
        value = getattr(value, part, ABSENT)
    return value


def is_definition(value: object) -> bool:
    """Is it what the script has under its own name at its top?"""
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    if getattr(value, "__module__", None) not in SCRIPT or not isinstance(name, str):
        return False
    return vars(sys.modules["__main__"]).get(name, ABSENT) is value


def is_named(value: object) -> bool:
    """Would `pickle` write no more of an object of the script than its name?"""
    kind = type(value)
    if issubclass(kind, type) or kind in (FunctionType, CACHED, *KINDS):
        return getattr(value, "__module__", None) in SCRIPT
    if kind.__module__ not in SCRIPT or not has_a_reduction(kind):
        return False
    try:
        return isinstance(value.__reduce_ex__(PROTOCOL), str)
    except Exception:  # it cannot be pickled at all
        return False


def globals_of(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The globals that a function, or code inside of it, names, as far as they are there."""
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]


GLOBAL: Final = frozenset(
    "LOAD_GLOBAL STORE_GLOBAL DELETE_GLOBAL LOAD_NAME LOAD_FROM_DICT_OR_GLOBALS".split()
)


@functools.lru_cache(maxsize=4096)
def global_names(code: CodeType) -> tuple[str, ...]:
    """The names that some code, or code inside of it, looks for among the globals."""
    own = [str(each.argval) for each in dis.get_instructions(code) if each.opname in GLOBAL]
    inside = [
        name for each in code.co_consts if isinstance(each, CodeType) for name in global_names(each)
    ]
    return tuple(dict.fromkeys([*own, *inside]))


@functools.lru_cache(maxsize=4096)
def names_in(code: CodeType) -> frozenset[str]:
    """The names that some code, or code inside of it, uses: of globals, modules and attributes."""
    inside = [names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return frozenset(code.co_names).union(*inside)


def submodules_of(function: FunctionType, known: list[object]) -> list[ModuleType]:
    """The modules that the code of a function, or code inside of it, may reach as attributes of
    packages that it knows, as `urllib.error` behind `import urllib.error`.

    A worker that has the package has such an attribute only once it has imported the module.
    cloudpickle looks for them in the function's own code alone.
    """
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty yet
            known = [*known, cell.cell_contents]
    names = names_in(function.__code__)
    packages = [
        each.__name__ for each in known if isinstance(each, ModuleType) and each.__package__
    ]
    return [
        module
        for name, module in list(sys.modules.items())
        for package in packages
        if name.startswith(f"{package}.") and names.issuperset(name[len(package) + 1 :].split("."))
    ]


def by_value(value: object) -> bool:
    """Is it a function or a class that travels by value?"""
    if isinstance(value, FunctionType):
        return not is_found(value)
    return isinstance(value, type) and value.__module__ != "builtins" and not is_found(value)


def lock_of(value: object) -> object:
    """The lock that a cached property has before Python 3.12; anything else as it is."""
    return (
        getattr(value, "lock", None)
        if issubclass(type(value), functools.cached_property)
        else value
    )


def is_of_each_process(value: object) -> bool:
    """Does each process have one of its own, if a function or a class keeps it?"""
    return isinstance(value, (*LOCKS, LOCAL))


def has_a_reduction(kind: type[object]) -> bool:
    return (
        kind.__reduce__ is not object.__reduce__ or kind.__reduce_ex__ is not object.__reduce_ex__
    )
