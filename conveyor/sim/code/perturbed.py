"""Perturbed copies of jobs: the same function in a world where what it must not depend on differs.

This file knows what a function refers to.  It must never know pipelines, schedules or the clock.

A perturbed copy has the code of its function, and other globals.  In them
  * clocks of `time` and `datetime` are nearly three years ahead, and `random` is in another state;
  * `set(...)`, `frozenset(...)`, displays `{...}`, operators and methods of sets give sets of
    another order, and `hash` of text another number, as they would under another hash seed;
  * functions of the same module that it calls, through a closure too, are perturbed copies.
Sets in the item itself are given another order.  A name gets a stand-in only where it is called or
asked for an attribute: a stand-in is not the thing itself, and a job may compare.  Sets of numbers
are left alone: their order does not depend on the seed.  So is a clock that stands still, as one
does that a test has stopped.

Not covered: functions of `random` that travel by value, with the state of their generator;
frozensets of a few elements, which have but one order unless hashes collide; displays and operators
in a function without source; functions of other modules, and methods of objects, that look at the
clock or at a set for the job.  For these there is only the comparison of two runs, under one hash
seed.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import (
    BuiltinFunctionType,
    BuiltinMethodType,
    CellType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any, Final, TypeAlias, cast

from conveyor.sim.code.instrument import HOOK, MAKE_SETS, with_hooks
from conveyor.sim.code.uses import CLASSES, Uses
from conveyor.stages import GivenTwo
from conveyor.typecheck.members import attribute

__all__ = ["perturbed_job", "reordered"]

AnyJob: TypeAlias = Callable[..., object]

LATER_S: Final = 86_427_655.321  # another year, weekday, hour, minute and second
LATER_NS: Final = 86_427_655_321_000_001
SEED: Final = 20_261_127
SALT: Final = "another seed"

CLOCKS: Final = frozenset("time monotonic perf_counter process_time thread_time".split())
# These tell of now, where they are not told when.
OF_SECONDS: Final = frozenset("localtime gmtime ctime".split())
MODULES: Final = ("time", "datetime", "random")
CAN_BE_PERTURBED: Final = (ModuleType, type, FunctionType, BuiltinFunctionType, MethodType)
LOOKS: Final = 2000  # at a clock: some tell no less than a microsecond
TABLES: Final = [2**n for n in range(4, 15)]  # sizes of sets' tables that are tried


def perturbed_job(job: AnyJob, written: object = None) -> AnyJob:
    """A perturbed copy of a job; the job itself where nothing that it refers to can be perturbed.

    `written` is the job before it travelled, which has its source.
    """
    found = Perturbation(file_of(written)).of_callable(job)
    return job if found is None else found


class Perturbation:
    """The perturbed copies of one job and of what it calls."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.made: dict[FunctionType, FunctionType] = {}
        self.random = Random()

    def of_callable(self, job: object) -> AnyJob | None:
        match job:
            case FunctionType():
                return self.of_function(job)
            case functools.partial():
                inner = self.of_callable(job.func)
                return (
                    None if inner is None else functools.partial(inner, *job.args, **job.keywords)
                )
            case MethodType(__self__=GivenTwo() as given):
                inner = self.of_callable(given.fn)
                return None if inner is None else GivenTwo(inner, given.made).call
            case MethodType() if isinstance(job.__func__, FunctionType):
                return cast("AnyJob", MethodType(self.of_function(job.__func__), job.__self__))
            case _:
                _, call = attribute(type(job), "__call__")
                found = self.of_value(job)
                if found is not None or not isinstance(call, FunctionType):
                    return cast("AnyJob | None", found)
                return cast("AnyJob", MethodType(self.of_function(call), job))

    def of_function(self, fn: FunctionType) -> FunctionType:
        if fn in self.made:
            return self.made[fn]
        names = dict(fn.__globals__)
        uses = Uses(fn.__code__)
        names["__builtins__"] = {
            **vars(builtins),
            "__import__": self.imported if uses.dates_are_asked else __import__,
        }
        names[HOOK] = otherwise_ordered
        cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
        later = {
            name: CellType()
            for name, cell in cells.items()
            if name in uses.allowed and holds_code(cell)
        }
        closure = tuple(later.get(name, cell) for name, cell in cells.items())
        made = FunctionType(with_hooks(fn, self.file), names, fn.__name__, fn.__defaults__, closure)
        self.made[fn] = perturbed_copy = alias(fn, made)
        for name, cell in later.items():
            value = cells[name].cell_contents
            found = self.of_value(value, fn)
            cell.cell_contents = value if found is None else found
        for name in sorted(uses.allowed):
            found = self.of_value(fn.__globals__.get(name, getattr(builtins, name, None)), fn)
            if found is not None:
                names[name] = found
        return perturbed_copy

    def of_value(self, value: object, user: FunctionType | None = None) -> object | None:
        """What stands in for the value of a name; None if nothing need."""
        if value is set or value is frozenset:
            return SetStandIn(cast("AnyJob", value))
        if value is hash:
            return salted
        if (
            isinstance(value, FunctionType)
            and user is not None
            and value.__module__ == user.__module__
        ):
            return self.of_function(value)
        return self.of_module(value) or self.of_clock(value)

    def of_module(self, value: object) -> object | None:
        if not isinstance(value, ModuleType) or value.__name__ not in MODULES:
            return None
        return StandIn(value, lambda name: self.of_clock(getattr(value, name)))

    def of_clock(self, value: object) -> object | None:
        """What stands in for a function of `time` or `random`, or a class of `datetime`."""
        module, name = getattr(value, "__module__", None), getattr(value, "__name__", "")
        owner = getattr(value, "__self__", None)
        if isinstance(value, BuiltinFunctionType) and module == "time":
            return later(value, name)
        if isinstance(value, type) and module == "datetime" and name in CLASSES:
            return StandIn(value, lambda attribute: today_later(value, attribute))
        if (
            isinstance(value, MethodType | BuiltinMethodType)
            and owner is self.random.original
            and owner is not None
        ):
            return cast("object", getattr(self.random.perturbed_copy, name))
        return None

    def imported(self, name: str, *args: Any) -> object:
        module = __import__(name, *args)
        return self.of_module(module) or module


def holds_code(cell: CellType) -> bool:
    """Does a cell hold what may be perturbed?  Anything else must be shared with the function's own
    calls, even if they put it there anew."""
    try:
        return isinstance(cell.cell_contents, CAN_BE_PERTURBED)
    except ValueError:  # it is empty yet
        return False


def alias(fn: FunctionType, perturbed_copy: FunctionType) -> FunctionType:
    """The perturbed copy with all that can be asked of the function: both share what is kept in
    its attributes."""
    perturbed_copy.__kwdefaults__ = fn.__kwdefaults__
    perturbed_copy.__dict__ = fn.__dict__
    for name in functools.WRAPPER_ASSIGNMENTS:
        setattr(perturbed_copy, name, getattr(fn, name))
    return perturbed_copy


def file_of(job: object) -> str:
    if isinstance(job, functools.partial):
        return file_of(job.func)
    return job.__code__.co_filename if isinstance(job, FunctionType) else ""


class Random:
    """The generator that the functions of `random` share, and another in its place."""

    def __init__(self) -> None:
        module: Any = sys.modules.get("random")  # not imported: then no job uses it
        self.original: object = getattr(module, "_inst", None)
        self.perturbed_copy: object = None if module is None else module.Random(SEED)


class StandIn:
    """Stands in for a module or a class: some of its attributes are perturbed."""

    def __init__(self, original: object, perturbed_of: Callable[[str], object | None]) -> None:
        self._original = original
        self._perturbed_of = perturbed_of

    def __getattr__(self, name: str) -> object:
        found = self._perturbed_of(name)
        return getattr(self._original, name) if found is None else found

    def __call__(self, *args: object, **named: object) -> object:
        return cast("AnyJob", self._original)(*args, **named)


class SetStandIn(StandIn):
    """Stands in for `set` or `frozenset`: all that it makes has another order."""

    def __init__(self, original: AnyJob) -> None:
        super().__init__(original, self.making)

    def making(self, name: str) -> object | None:
        method: AnyJob = getattr(self._original, name)

        def making(*args: object) -> object:
            return reordered(method(*args))

        return making if name in MAKE_SETS else None

    def __call__(self, *args: object, **named: object) -> object:
        return reordered(super().__call__(*args, **named))


def later(clock: Callable[..., Any], name: str) -> object | None:
    """A function of `time` as it would answer later."""
    module: Any = getattr(clock, "__self__", None)

    def in_seconds() -> object:
        return clock() + (0 if stands_still(clock) else LATER_S)

    def in_ns() -> object:
        return clock() + (0 if stands_still(clock) else LATER_NS)

    def then() -> float:
        return float(module.time() + (0 if stands_still(module.time) else LATER_S))

    def of_seconds(seconds: float | None = None) -> object:
        return clock(then() if seconds is None else seconds)

    def formatted(form: str, when: object = None) -> object:
        return clock(form, module.localtime(then()) if when is None else when)

    if name in OF_SECONDS:
        return of_seconds
    if name == "strftime":
        return formatted
    return in_seconds if name in CLOCKS else in_ns if name.removesuffix("_ns") in CLOCKS else None


def today_later(cls: Any, name: str) -> object | None:
    """`datetime.now`, `utcnow` and `today`, later."""
    if name not in ("now", "utcnow", "today"):
        return None
    module: Any = sys.modules["datetime"]

    def then(*args: Any, **named: Any) -> object:
        seconds = 0 if stands_still(module.datetime.now) else LATER_S
        return getattr(cls, name)(*args, **named) + module.timedelta(seconds=seconds)

    return then


def stands_still(clock: Callable[[], object]) -> bool:
    """Has a test stopped the clock?  Then the clock will say the same again, and may be trusted.

    >>> import time
    >>> stands_still(time.time), stands_still(lambda: 1577836800.0)
    (False, True)
    """
    first = clock()
    return all(clock() == first for _ in range(LOOKS))


def salted(value: object) -> int:
    """The hash of a value as it might be under another seed: only text has another."""
    return hash((SALT, value)) if depends_on_seed(value) else hash(value)


def depends_on_seed(value: object) -> bool:
    """Does the hash differ from one interpreter to the next?"""
    if isinstance(value, tuple | frozenset):
        return any(map(depends_on_seed, cast("Iterable[object]", value)))
    return isinstance(value, str | bytes)


def reordered(value: object) -> object:
    """An equal value of new containers, in which sets have another order, if their order depends
    on the hash seed.

    >>> words = {"to", "be", "or", "not"}
    >>> reordered([words]) == [words], list(reordered(words)) == list(words)
    (True, False)
    """
    kind: type[object] = type(value)
    if kind is list:
        return [reordered(each) for each in cast("list[object]", value)]
    if kind is tuple:
        return tuple(reordered(each) for each in cast("tuple[object, ...]", value))
    if kind is dict:
        return {key: reordered(each) for key, each in cast("dict[object, object]", value).items()}
    if kind is set or kind is frozenset:
        return in_another_order(cast("set[object]", value))
    return value


def otherwise_ordered(value: object) -> object:
    """The value itself, but of a set one of another order."""
    return (
        in_another_order(cast("set[object]", value)) if type(value) in (set, frozenset) else value
    )


def in_another_order(value: set[object] | frozenset[object]) -> set[object] | frozenset[object]:
    """A set with the same elements in another order; with another first element, if there is one.

    The set itself where the order of its elements does not depend on the hash seed.  Jobs that take
    but one element take the first: so it is not enough that any two elements change places.
    """
    before = list(value)
    found = value
    if len(before) > 1 and any(map(depends_on_seed, before)):
        for made in rebuilt(value, before):
            order = list(made)
            if order[0] != before[0]:
                return made
            if found is value and order != before:
                found = made
    return found


def rebuilt(value: object, elements: list[object]) -> Iterator[set[object] | frozenset[object]]:
    """The set, made in other ways: by tables of all sizes; a frozenset's is as large as it must be,
    but there are two ways."""
    if isinstance(value, frozenset):
        yield from (
            frozenset(elements[::-1]),
            frozenset(set(elements)),
            frozenset(dict.fromkeys(elements[::-1])),
        )
        return
    for size in TABLES:
        fillers = [Filler(place) for place in range(size)]
        for first, then in ((elements, fillers), (fillers, elements)):
            made: set[object] = {*first, *then}
            # One by one: difference_update makes a table as small as can be of what is left
            for filler in fillers:
                made.discard(filler)
            yield made


class Filler:
    """What has a certain place in the table of a set, where an element that would have it by its
    hash goes elsewhere, if it comes later."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place

    def __hash__(self) -> int:
        return self.place
