"""The loops that every item passes: a slice in, a slice out.

Knows: how to call a job for a slice at the least cost per item.  Must never know: stages, channels, processes, policies.

Effects per item would cost more than most jobs that these loops are for, so there are none: a kernel is a plain loop in a free
function, and says how far it came.  Every result is made safe (`codec`) before the next call of the job.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, reduce
from inspect import CO_VARKEYWORDS
from types import CodeType, FunctionType
from typing import Final, NamedTuple, TypeAlias

from conveyor.codec import Owned, Seal, Sealed, Take, is_atom, is_owned, seal, whole

__all__ = ["Progress", "QuickLoop", "filter_loose", "filter_slice", "is_slight", "map_slice", "operations", "quick_loop"]

JobCall: TypeAlias = Callable[[object], object]
QuickLoop: TypeAlias = Callable[[list[object]], list[object]]

IN_ONE_LOOP: Final = 50  # calls within one another; the compiler takes fewer than 200


class Progress(NamedTuple):
    """How far a kernel came: items done, results that had to be sealed, and the error of the next item, if any."""

    done: int
    sealed: int
    error: BaseException | None


def map_slice(job: JobCall, items: Iterable[object], out: list[object], seal: Seal = seal, loose: bool = False) -> Progress:
    """Appends to `out` what `job` gives for each item; None is no result.  `loose` says that `out` may be (`codec`).

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
            kind = type(result)
            if kind is usual:
                append(result)
            elif result is None:
                dropped += 1
            elif kind is dict or kind is list:
                item = None  # a job may have given it back
                if is_owned(result):
                    append(result if loose else Owned(result))  # type: ignore[arg-type]  # mypy does not see what `kind` says
                else:
                    append(seal(result))
                sealed += 1
            elif is_atom(result):
                append(result)
                if kind is not tuple:
                    usual = kind
            else:
                append(seal(result))
                sealed += 1
    except BaseException as raised:  # whatever a job raises is its item's error; the node decides what becomes of it
        error = raised
    return Progress(len(out) - before + dropped, sealed, error)


def filter_slice(predicate: JobCall, items: Iterable[object], out: list[object], take: Take = bytearray) -> Progress:
    """Appends to `out` the items for which `predicate` holds, as they came in."""
    done = sealed = 0
    error: BaseException | None = None
    try:
        for item in items:
            safe = whole(item) if isinstance(item, Sealed) or not is_atom(item) else item
            if predicate(safe.open(take) if isinstance(safe, Sealed) else safe):
                out.append(safe)
                sealed += isinstance(safe, Sealed)
            done += 1
    except BaseException as raised:  # as above
        error = raised
    return Progress(done, sealed, error)


def filter_loose(predicate: JobCall, items: list[object], opened: Iterable[object], out: list[object]) -> Progress:
    """The same for a loose slice: `opened` is what the predicate may see of `items`."""
    done = 0
    error: BaseException | None = None
    try:
        for item, seen in zip(items, opened, strict=True):
            if predicate(seen):
                out.append(item)
            done += 1
    except BaseException as raised:  # as above
        error = raised
    return Progress(done, done, error)


def quick_loop(*jobs: JobCall) -> QuickLoop | None:
    """A loop that does for slices of atoms what `map_slice` does, one job after another, at half of its cost; None if one of
    them does not allow it.

    A function of nothing but operators makes atoms of atoms.  It shares nothing between its calls, so its results need no
    look before the next call; and running it again on the same slice, to find which item raised, cannot be noticed.

    >>> quick_loop(lambda x: x + 1)([1, 2]), quick_loop(lambda x: x or None, lambda x: -x)([0, 1, 2])
    ([2, 3], [-1, -2])
    >>> quick_loop(print) is None
    True
    """
    codes = [job.__code__ for job in jobs if isinstance(job, FunctionType) and only_calculates(job)]
    if len(codes) < len(jobs):
        return None
    loops = [one_loop(jobs[at : at + IN_ONE_LOOP], codes[at : at + IN_ONE_LOOP]) for at in range(0, len(jobs), IN_ONE_LOOP)]
    return loops[0] if len(loops) == 1 else lambda items: reduce(lambda slice_, loop: loop(slice_), loops, items)


def one_loop(jobs: Sequence[JobCall], codes: Sequence[CodeType]) -> QuickLoop:
    names = [f"job{number}" for number in range(len(jobs))]
    if all(map(never_none, codes)):
        calls = reduce(lambda inner, name: f"{name}({inner})", names, "item")
        return compiled_loop(f"[{calls} for item in items]", dict(zip(names, jobs, strict=True)))
    checks = [f"(item := {name}({'item' if at else 'each'})) is not None" for at, name in enumerate(names)]
    return compiled_loop(f"[item for each in items if {' and '.join(checks)}]", dict(zip(names, jobs, strict=True)))


def compiled_loop(loop: str, jobs: dict[str, JobCall]) -> QuickLoop:
    """Code of its own: the interpreter remembers with the code what is called there, and calls it without another look as long
    as it stays the same (PEP 659)."""
    made: QuickLoop = eval(f"lambda items: {loop}", {**jobs})
    return made


# What a function may be made of to make nothing but atoms of atoms, and to leave no trace; names of all CPython versions.
OPERATORS: Final = frozenset(
    "BINARY_OP BINARY_SLICE BINARY_SUBSCR UNARY_INVERT UNARY_NEGATIVE UNARY_NOT COMPARE_OP CONTAINS_OP IS_OP "
    "BUILD_STRING BUILD_TUPLE FORMAT_SIMPLE FORMAT_VALUE FORMAT_WITH_SPEC".split()
)
CALCULATES: Final = OPERATORS | frozenset(
    "RESUME NOP COPY SWAP POP_TOP TO_BOOL BUILD_SLICE CONVERT_VALUE LOAD_CONST LOAD_FAST LOAD_FAST_LOAD_FAST STORE_FAST "
    "STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST RETURN_CONST RETURN_VALUE JUMP_BACKWARD JUMP_FORWARD JUMP_IF_FALSE_OR_POP "
    "JUMP_IF_TRUE_OR_POP".split()
)
RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST"})


def only_calculates(job: FunctionType) -> bool:
    """Does `job` use nothing but operators, constants and its own variables?

    >>> only_calculates(lambda x: x * x + 1), only_calculates(lambda x: len(x))
    (True, False)
    """
    code = job.__code__
    given = [*(job.__defaults__ or ()), *(job.__kwdefaults__ or {}).values(), *code.co_consts]
    return (
        all(map(is_atom, given))
        and not code.co_flags & CO_VARKEYWORDS
        and all(name in CALCULATES or name.startswith("POP_JUMP_") for name in operations(code))
    )


def is_slight(job: JobCall) -> bool:
    """Is `job` a function of nothing but operators, and without a loop, so that a call takes next to no time?

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
    ends = [index for index, instruction in enumerate(instructions) if instruction.opname in RETURNS]
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
