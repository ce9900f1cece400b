"""Jobs that certainly do nothing but give a result, as far as their code says.

Knows: what names a function's code has, and which builtins have no effects.  Must never know:
stages, schedules.

It cannot be seen how often such jobs are called: so they need not be called again for each
schedule.  In doubt a job has effects.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType, ModuleType
from typing import Final

from conveyor.items.atoms import is_atom
from conveyor.items.bytecode import operations
from conveyor.sim.code.instrument import inside

__all__ = ["has_no_effects"]

BUILTINS: Final = (
    "abs all any ascii bin bool bytes callable chr complex dict divmod enumerate filter float "
    "format frozenset hash hex int isinstance issubclass iter len list map max min next object "
    "oct ord pow range repr reversed round set slice sorted str sum tuple type zip "
    "Exception ArithmeticError KeyError IndexError RuntimeError TypeError ValueError"
)
PURE: Final = tuple(getattr(builtins, name) for name in BUILTINS.split())
MODULES: Final = (
    "math cmath operator itertools functools collections string re json hashlib zlib decimal "
    "fractions statistics uuid time datetime random"  # which only tell
).split()
WRITES: Final = frozenset("STORE_GLOBAL DELETE_GLOBAL STORE_DEREF DELETE_DEREF IMPORT_NAME".split())


def has_no_effects(fn: Callable[..., object]) -> bool:
    """Does it certainly nothing but give a result?

    >>> has_no_effects(lambda item: len(str(item))), has_no_effects(lambda item: print(item))
    (True, False)
    """
    if isinstance(fn, MethodDescriptorType):  # of the item, which is a copy
        return True
    if isinstance(fn, BuiltinFunctionType | type):
        return is_pure(fn)
    return isinstance(fn, FunctionType) and all(map(is_harmless, reached(fn)))


def reached(fn: FunctionType) -> Iterator[FunctionType]:
    """The function, and those that it names, and those that they name."""
    found = [fn]
    for each in found:
        yield each
        called = [
            each.__globals__.get(name) for code in inside(each.__code__) for name in code.co_names
        ]
        found += [
            other for other in called if isinstance(other, FunctionType) and other not in found
        ]


def is_harmless(fn: FunctionType) -> bool:
    given = [*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()]
    return (
        fn.__closure__ is None
        and all(map(is_atom, given))
        and all(names_only(fn, code) for code in inside(fn.__code__))
    )


def names_only(fn: FunctionType, code: CodeType) -> bool:
    """Does the code name nothing but what is harmless?"""
    if not WRITES.isdisjoint(operations(code)):
        return False
    known = [fn.__globals__.get(name, getattr(builtins, name, None)) for name in code.co_names]
    return all(is_atom(each) or isinstance(each, FunctionType) or is_pure(each) for each in known)


def is_pure(value: object) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ in MODULES
    return any(value is each for each in PURE)
