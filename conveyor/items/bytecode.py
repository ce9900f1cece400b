"""What the bytecode of a job tells: does it do nothing but calculate, so that its results are atoms
if its item is one?

Knows: the operations of every supported CPython.  Must never know: what is done with the answer.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from functools import lru_cache
from inspect import CO_VARKEYWORDS
from types import CodeType, FunctionType
from typing import Final

from conveyor.items.atoms import is_atom

__all__ = ["is_slight", "never_none", "only_calculates", "operations"]

# What a function may be made of to make nothing but atoms of atoms, and to leave no trace; names of
# all CPython versions.
OPERATORS: Final = frozenset(
    "BINARY_OP BINARY_SLICE BINARY_SUBSCR UNARY_INVERT UNARY_NEGATIVE UNARY_NOT COMPARE_OP "
    "CONTAINS_OP IS_OP BUILD_STRING BUILD_TUPLE FORMAT_SIMPLE FORMAT_VALUE FORMAT_WITH_SPEC".split()
)
CALCULATES: Final = OPERATORS | frozenset(
    "RESUME NOP NOT_TAKEN EXTENDED_ARG COPY SWAP POP_TOP TO_BOOL BUILD_SLICE CONVERT_VALUE "
    "LOAD_CONST LOAD_SMALL_INT LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_FAST_BORROW "
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST "
    "RETURN_CONST RETURN_VALUE JUMP_BACKWARD JUMP_FORWARD JUMP_IF_FALSE_OR_POP "
    "JUMP_IF_TRUE_OR_POP".split()
)
# What LOAD_COMMON_CONSTANT may load: it loads functions and classes, too.
COMMON: Final = frozenset(map(repr, (None, True, False, "", -1)))
RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST"})


def only_calculates(job: FunctionType) -> bool:
    """Does `job` use nothing but operators, constants and its own variables?

    >>> only_calculates(lambda x: x * x + 1), only_calculates(lambda x: len(x))
    (True, False)
    """
    given = [*(job.__defaults__ or ()), *(job.__kwdefaults__ or {}).values()]
    return all(map(is_atom, given)) and code_calculates(job.__code__)


@lru_cache(maxsize=1024)  # a simulator asks it of each job in each run
def code_calculates(code: CodeType) -> bool:
    """Is there nothing but calculation in a piece of code, whatever its defaults are?"""
    return (
        all(map(is_harmless, code.co_consts))
        and not code.co_flags & CO_VARKEYWORDS
        and all(map(calculates, dis.get_instructions(code)))
    )


def is_harmless(constant: object) -> bool:
    """Is it an atom, or a slice: a constant since Python 3.14, which only a subscript ever sees?"""
    return type(constant) is slice or is_atom(constant)


def calculates(instruction: dis.Instruction) -> bool:
    name = instruction.opname
    if name == "LOAD_COMMON_CONSTANT":
        return instruction.argrepr in COMMON
    return name in CALCULATES or name.startswith("POP_JUMP_")


def is_slight(job: Callable[[object], object]) -> bool:
    """Is `job` a function of nothing but operators, and without a loop, so that a call takes next
    to no time?

    >>> is_slight(lambda x: x + 1), is_slight(sum)
    (True, False)
    """
    if not isinstance(job, FunctionType) or not only_calculates(job):
        return False
    return not any("JUMP_BACKWARD" in name for name in operations(job.__code__))


@lru_cache(maxsize=1024)
def never_none(code: CodeType) -> bool:
    """Is each thing that such a function returns the result of an operator?

    >>> never_none((lambda x: x + 1).__code__), never_none((lambda x: None if x else 1).__code__)
    (True, False)
    """
    instructions = list(dis.get_instructions(code))
    ends = [
        index for index, instruction in enumerate(instructions) if instruction.opname in RETURNS
    ]
    return all(
        instructions[index].opname == "RETURN_VALUE"
        and not instructions[index].is_jump_target
        and _gives_something(instructions[index - 1])
        for index in ends
    )


def _gives_something(instruction: dis.Instruction) -> bool:
    """A subscript, which has two names, may give a None that was inside of a tuple."""
    return instruction.opname in OPERATORS - {"BINARY_SUBSCR"} and instruction.argrepr != "[]"


@lru_cache(maxsize=1024)
def operations(code: CodeType) -> tuple[str, ...]:
    """The names of the operations of a piece of code, in order."""
    return tuple(instruction.opname for instruction in dis.get_instructions(code))
