"""The loops that every item passes: a slice in, a slice out.

Knows: how to call a job for a slice at the least cost per item.  Must never know: stages, channels, processes, policies.

Effects per item would cost more than most jobs that these loops are for, so there are none: a kernel is a plain loop in a free
function, and says how far it came.  Every result is made safe (`codec`) before the next call of the job.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Final, NamedTuple

from conveyor.codec import Sealed, is_atom, seal, whole

__all__ = ["Progress", "filter_slice", "is_self_contained", "map_freely", "map_slice"]

JobCall = Callable[[object], object]


class Progress(NamedTuple):
    """How far a kernel came: items done, results that had to be sealed, and the error of the next item, if any."""

    done: int
    sealed: int
    error: BaseException | None


def map_slice(job: JobCall, items: Iterable[object], out: list[object]) -> Progress:
    """Appends to `out` what `job` gives for each item; None is no result.

    >>> out = []
    >>> map_slice({1: "a", 3: "c"}.get, [1, 2, 3], out), out
    (Progress(done=3, sealed=0, error=None), ['a', 'c'])
    """
    before = len(out)
    dropped = sealed = 0
    append = out.append
    usual: type[object] = int  # of results like the last one, only the type is looked at
    error: BaseException | None = None
    try:
        for item in items:
            result = job(item)
            if type(result) is usual:
                append(result)
            elif result is None:
                dropped += 1
            elif is_atom(result):
                append(result)
                if type(result) is not tuple:
                    usual = type(result)
            else:
                append(seal(result))
                sealed += 1
    except BaseException as raised:  # whatever a job raises is its item's error; the node decides what becomes of it
        error = raised
    return Progress(len(out) - before + dropped, sealed, error)


def filter_slice(predicate: JobCall, items: list[object], out: list[object]) -> Progress:
    """Appends to `out` the items for which `predicate` holds, as they came in."""
    done = sealed = 0
    error: BaseException | None = None
    try:
        for item in items:
            safe = whole(item) if isinstance(item, Sealed) or not is_atom(item) else item
            if predicate(safe.open() if isinstance(safe, Sealed) else safe):
                out.append(safe)
                sealed += isinstance(safe, Sealed)
            done += 1
    except BaseException as raised:  # as above
        error = raised
    return Progress(done, sealed, error)


def map_freely(job: JobCall, items: list[object]) -> list[object]:
    """What `map_slice` gives, at two thirds of its cost, for a job that is self-contained.

    >>> map_freely(lambda x: x + 1, [1, 2, 3])
    [2, 3, 4]
    """
    return [result for item in items if (result := job(item)) is not None]


# Builtins that give the same for the same arguments and keep nothing of them.
HARMLESS: Final = frozenset(
    "abs ascii bin bool bytes chr complex dict divmod enumerate float format frozenset hex int len list max min oct ord pow "
    "range repr reversed round set slice sorted str sum tuple zip True False None".split()
)
# What reaches out of a call, or makes code that outlives it.
REACHES_OUT: Final = frozenset(
    "STORE_GLOBAL DELETE_GLOBAL STORE_NAME LOAD_NAME STORE_ATTR DELETE_ATTR IMPORT_NAME IMPORT_FROM LOAD_DEREF STORE_DEREF "
    "LOAD_CLOSURE LOAD_CLASSDEREF MAKE_FUNCTION LOAD_BUILD_CLASS YIELD_VALUE RETURN_GENERATOR LOAD_FROM_DICT_OR_GLOBALS "
    "LOAD_FROM_DICT_OR_DEREF LOAD_SUPER_ATTR".split()
)


def is_self_contained(job: JobCall) -> bool:
    """Can no call of `job`, given items of builtin types, see or change what another call has seen?

    True only for a plain function that uses nothing but its argument, constants and harmless builtins.  Its results share
    nothing, so a slice of them may be encoded together; and running it again has no effect that could be noticed.

    >>> is_self_contained(lambda x: x + 1), is_self_contained(print)
    (True, False)
    """
    if type(job) is not FunctionType or job.__closure__ or job.__kwdefaults__:
        return False
    if not all(is_atom(default) for default in job.__defaults__ or ()):
        return False
    code = job.__code__
    if any(isinstance(constant, CodeType) for constant in code.co_consts):
        return False
    return all(_stays_inside(instruction, job) for instruction in dis.get_instructions(code))


def _stays_inside(instruction: dis.Instruction, job: FunctionType) -> bool:
    name = instruction.opname
    if name == "LOAD_GLOBAL":
        return instruction.argval in HARMLESS and instruction.argval not in job.__globals__
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        return not str(instruction.argval).startswith("_")
    return name not in REACHES_OUT
