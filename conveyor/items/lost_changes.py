"""What the code of a job tells: does it do nothing but put its item into a container of the
program, which in a worker is a copy?

Knows: the instructions of CPython, and which methods change a container.  Must never know: what is
done with the answer.
"""

from __future__ import annotations

import dis
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from itertools import pairwise
from types import BuiltinMethodType, FunctionType
from typing import Final

__all__ = ["lost_change"]

CONTAINERS: Final = (list, set, dict, deque, bytearray, Counter, OrderedDict, defaultdict)
CHANGES: Final = frozenset("add append appendleft extend extendleft insert update".split())


def lost_change(job: Callable[..., object]) -> str | None:
    """The call that is all a job does, if that changes a container of the program; else None.

    A job that does more may well mean it: it may gather items in its worker and send them on.

    >>> found = []
    >>> lost_change(found.append), lost_change(print)
    ('list.append', None)
    >>> lost_change(lambda item: found.append(item)), lost_change(lambda item: len(found))
    ('found.append', None)
    """
    if isinstance(job, BuiltinMethodType):
        owner: object = job.__self__
        if type(owner) in CONTAINERS and job.__name__ in CHANGES:
            return f"{type(owner).__name__}.{job.__name__}"
        return None
    return _only_call(job) if isinstance(job, FunctionType) else None


def _only_call(job: FunctionType) -> str | None:
    """The call of a method that changes a container of the program, if there is no other call in
    the function and it takes no turn."""
    instructions = list(dis.get_instructions(job))
    names = [each.opname for each in instructions]
    calls = [name for name in names if name.startswith("CALL") and "INTRINSIC" not in name]
    if len(calls) != 1 or any("JUMP" in name or "FOR_ITER" in name for name in names):
        return None
    for owner, method in pairwise(instructions):
        is_a_change = method.opname in ("LOAD_ATTR", "LOAD_METHOD") and method.argval in CHANGES
        if is_a_change and type(_outer(job, owner)) in CONTAINERS:
            return f"{owner.argval}.{method.argval}"
    return None


def _outer(job: FunctionType, load: dis.Instruction) -> object:
    """What an instruction loads that a function has from outside; None if it loads something
    else."""
    if load.opname == "LOAD_GLOBAL":
        return job.__globals__.get(load.argval)
    if load.opname != "LOAD_DEREF" or load.argval not in job.__code__.co_freevars:
        return None
    cell = (job.__closure__ or ())[job.__code__.co_freevars.index(load.argval)]
    try:
        return cell.cell_contents
    except ValueError:  # it has not been bound yet
        return None
