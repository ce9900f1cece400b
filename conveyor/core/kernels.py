"""The loops that every item passes: a slice in, a slice out.

Knows: how to call a job for a slice at the least cost per item.  Must never know: stages, channels,
processes, policies.

Effects per item would cost more than most jobs that these loops are for, so there are none: a
kernel is a plain loop in a free function, and says how far it came.  Every result is made safe
(`items.sealing`) before the next call of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice
from operator import length_hint
from types import CodeType, FunctionType
from typing import Final, NamedTuple, TypeAlias

from conveyor.core.channel import UNBOUNDED
from conveyor.core.linger import FAR, Looks
from conveyor.items.atoms import are_atoms, is_atom
from conveyor.items.bytecode import never_none, only_calculates
from conveyor.items.rows import NO_TAKERS, Taker, refused
from conveyor.items.sealing import Seal, Sealed, Take, is_owned, seal
from conveyor.items.slices import whole

__all__ = [
    "Given",
    "Progress",
    "QuickLoop",
    "filter_loose",
    "filter_slice",
    "give_each",
    "map_slice",
    "quick_loop",
    "quick_loop_of_all",
]

JobCall: TypeAlias = Callable[[object], object]
QuickLoop: TypeAlias = Callable[[list[object]], list[object]]
# Of the results of one item: may there be more, how many had to be sealed, what they ended by.
Given: TypeAlias = tuple[bool, int, BaseException | None]

IN_ONE_LOOP: Final = 50  # calls within one another; the compiler takes fewer than 200


# What goes through a list or a tuple: all that it gives is there, and to ask for it runs no code.
FEW: Final = 8  # of which each is looked at in less time than all at once
THERE: Final[frozenset[type[object]]] = frozenset({type(iter([])), type(iter(()))})

NO_RECORD: Final[tuple[type[object] | None, Taker]] = (None, refused)


class Progress(NamedTuple):
    """How far a kernel came: items done, results that had to be sealed, and the error of the next
    item, if any."""

    done: int
    sealed: int
    error: BaseException | None


def map_slice(
    job: JobCall,
    items: Iterable[object],
    out: list[object],
    seal: Seal = seal,
    loose: bool = False,
    keeps_none: bool = False,
    takers: Mapping[type[object], Taker] = NO_TAKERS,
) -> Progress:
    """Appends to `out`, which may be `loose`, what `job` gives; None only if it `keeps_none`.
    `takers` seal some results at a lower cost (`items.rows`).

    >>> out = []
    >>> map_slice({1: "a", 3: "c"}.get, [1, 2, 3], out), out
    (Progress(done=3, sealed=0, error=None), ['a', 'c'])
    """
    before, dropped, sealed, append = len(out), 0, 0, out.append
    usual: type[object] = int  # of results like the last one, only the type is looked at
    record, take = NO_RECORD  # and those of that type this takes apart
    try:
        for item in items:
            result = job(item)
            kind = type(result)
            if kind is usual:
                append(result)
            elif result is None and not keeps_none:
                dropped += 1
            elif loose and (kind is dict or kind is list):
                box: list[object] = [result]
                result = item = None  # a job may have given it back
                append(box[0] if is_owned(box) else seal(box[0]))
                sealed += 1
            elif kind is record:
                append(take(result, None) or seal(result))
                sealed += 1
            elif is_atom(result):
                append(result)
                if kind is not tuple:
                    usual = kind
            else:
                append(seal(result))
                sealed += 1
                if kind in takers and kind is not tuple:
                    record, take = kind, takers[kind]
    except BaseException as error:  # whatever it is: the node decides what becomes of the item
        return Progress(len(out) - before + dropped, sealed, error)
    return Progress(len(out) - before + dropped, sealed, None)


def give_each(
    results: Iterator[object],
    most: int,
    out: list[object],
    looks: Looks,
    seal: Seal = seal,
    keeps_none: bool = True,
    takers: Mapping[type[object], Taker] = NO_TAKERS,
) -> Given:
    """Appends results of one item to `out` until that has `most`, or is late.  Each is made safe
    before the next is asked for; None is sealed, unless it `keeps_none`.

    >>> out, results = [], iter("abc")
    >>> give_each(results, 2, out, Looks(None))[0], out
    (True, ['a', 'b'])
    >>> give_each(results, 9, out, Looks(None))[0], out
    (False, ['a', 'b', 'c'])
    """
    sealed, append, far = 0, out.append, FAR
    # The branches of `map_slice`: to call a function for each output takes longer than they do
    usual: type[object] = int
    record, take = NO_RECORD
    try:
        while (count := len(out)) < most and (count < looks.next or not looks.are_late(count, far)):
            until = most if most < looks.next else looks.next
            given: Iterable[object] = islice(results, until - count)
            if type(results) in THERE and length_hint(results) > FEW:
                given, far = at_once([*given], out, keeps_none)
            for result in given:
                kind = type(result)
                if kind is usual:
                    append(result)
                elif kind is record:
                    append(take(result, None) or seal(result))
                    sealed += 1
                elif (keeps_none or result is not None) and is_atom(result):
                    append(result)
                    if kind is not tuple:
                        usual = kind
                else:
                    append(seal(result))
                    sealed += 1
                    if kind in takers and kind is not tuple:
                        record, take = kind, takers[kind]
            if len(out) < until:
                return False, sealed, None
    except BaseException as error:  # as above
        return False, sealed, error
    return True, sealed, None


def at_once(
    taken: list[object], out: list[object], keeps_none: bool
) -> tuple[Sequence[object], int]:
    """Appends outputs to `out` as they are if all may go so: gives those that are left, and in how
    many more it is to be seen whether they are late.  What is as it is takes no time."""
    if not are_atoms(taken) or (None in taken and not keeps_none):
        return taken, FAR
    out += taken
    return (), UNBOUNDED


def filter_slice(
    predicate: JobCall,
    items: Iterable[object],
    out: list[object],
    take: Take = bytearray,
    keeps_none: bool = False,
) -> Progress:
    """Appends to `out` the items for which `predicate` holds, as they came in, and None for each
    other if it `keeps_none`."""
    done = sealed = 0
    error: BaseException | None = None
    try:
        for item in items:
            safe = whole(item) if isinstance(item, Sealed) or not is_atom(item) else item
            if predicate(safe.open(take) if isinstance(safe, Sealed) else safe):
                out.append(safe)
                sealed += isinstance(safe, Sealed)
            elif keeps_none:
                out.append(None)
            done += 1
    except BaseException as raised:  # as above
        error = raised
    return Progress(done, sealed, error)


def filter_loose(
    predicate: JobCall,
    items: list[object],
    opened: Iterable[object],
    out: list[object],
    keeps_none: bool = False,
) -> Progress:
    """Filters a loose slice: `opened` is what the predicate may see of `items`."""
    done = 0
    error: BaseException | None = None
    try:
        for item, seen in zip(items, opened, strict=True):
            if predicate(seen):
                out.append(item)
            elif keeps_none:
                out.append(None)
            done += 1
    except BaseException as raised:  # as above
        error = raised
    return Progress(done, done, error)


def quick_loop(*jobs: JobCall) -> QuickLoop | None:
    """A loop that does for slices of atoms what `map_slice` does, one job after another, at half of
    its cost; None if one of them does not allow it.

    A function of nothing but operators makes atoms of atoms.  It shares nothing between its calls,
    so its results need no look before the next call; and running it again on the same slice, to
    find which item raised, cannot be noticed.

    >>> quick_loop(lambda x: x + 1)([1, 2])
    [2, 3]
    >>> quick_loop(lambda x: x or None, lambda x: -x)([0, 1, 2])
    [-1, -2]
    >>> quick_loop(print) is None
    True
    """
    codes = [job.__code__ for job in jobs if isinstance(job, FunctionType) and only_calculates(job)]
    if len(codes) < len(jobs):
        return None
    loops = [
        one_loop(jobs[at : at + IN_ONE_LOOP], codes[at : at + IN_ONE_LOOP])
        for at in range(0, len(jobs), IN_ONE_LOOP)
    ]
    return (
        loops[0]
        if len(loops) == 1
        else lambda items: reduce(lambda slice_, loop: loop(slice_), loops, items)
    )


def one_loop(jobs: Sequence[JobCall], codes: Sequence[CodeType]) -> QuickLoop:
    names = [f"job{number}" for number in range(len(jobs))]
    if all(map(never_none, codes)):
        calls = reduce(lambda inner, name: f"{name}({inner})", names, "item")
        return compiled_loop(f"[{calls} for item in items]", dict(zip(names, jobs, strict=True)))
    checks = [
        f"(item := {name}({'item' if at else 'each'})) is not None" for at, name in enumerate(names)
    ]
    return compiled_loop(
        f"[item for each in items if {' and '.join(checks)}]", dict(zip(names, jobs, strict=True))
    )


def quick_loop_of_all(job: JobCall) -> QuickLoop | None:
    """The same for one job, in a loop that keeps None where an item gave that.

    >>> quick_loop_of_all(lambda x: x or None)([0, 1, 2])
    [None, 1, 2]
    """
    if not isinstance(job, FunctionType) or not only_calculates(job):
        return None
    return compiled_loop("[job(item) for item in items]", {"job": job})


def compiled_loop(loop: str, jobs: dict[str, JobCall]) -> QuickLoop:
    """Code of its own: the interpreter remembers with the code what is called there, and calls it
    without another look as long as it stays the same (PEP 659)."""
    made: QuickLoop = eval(f"lambda items: {loop}", {**jobs})
    return made
