"""Doubles of jobs: the same function in a world in which what it must not depend on is otherwise.

Knows: what a function refers to.  Must never know: pipelines, schedules, the clock.

A double has the code of its function, and other globals.  In them
  * clocks of `time` and `datetime` are nearly three years ahead, and `random` is in another state;
  * `set(...)`, `frozenset(...)` and displays `{...}` give sets of another order, and `hash` of text another number, as they
    would under another hash seed;
  * functions of the same module that it calls are doubles, too.
Sets in the item itself are given another order.  A name gets a double only where it is called or asked for an attribute: a
double is not the thing itself, and a job may compare.  Sets of numbers are left alone: their order does not hang on the seed.

Not covered: frozensets of a few elements, which have but one order unless hashes collide; operators that give sets; displays
in a function without source; functions of other modules, and methods of objects, that look at the clock or at a set for the
job.  For these there is only the comparison of two runs, under one hash seed.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, TypeAlias, cast

from conveyor.shapes import attribute
from conveyor.sim.displays import HOOK, with_hooks

__all__ = ["double_of_job", "reordered"]

AnyJob: TypeAlias = Callable[..., object]

LATER_S: Final = 86_427_655.321  # another year, weekday, hour, minute and second
LATER_NS: Final = 86_427_655_321_000_001
SEED: Final = 20_261_127
SALT: Final = "another seed"

CLOCKS: Final = frozenset("time monotonic perf_counter process_time thread_time".split())
OF_SECONDS: Final = frozenset("localtime gmtime ctime".split())  # of now, where they are not told when
CLASSES: Final = ("datetime", "date")
MODULES: Final = ("time", "datetime", "random")
TABLES: Final = [2**n for n in range(4, 15)]  # sizes of sets' tables that are tried


def double_of_job(job: AnyJob, written: object = None) -> AnyJob:
    """The job's double; the job itself where nothing that it refers to has one.  `written`: the same before it travelled."""
    found = Doubles(file_of(written)).of_callable(job)
    return job if found is None else found


class Doubles:
    """The doubles that belong together: of a job, and of what it calls."""

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
                return None if inner is None else functools.partial(inner, *job.args, **job.keywords)
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
        names["__builtins__"] = {**vars(builtins), "__import__": self.imported}
        closure = fn.__closure__ and tuple(map(self.of_cell, fn.__closure__))
        names[HOOK] = reordered
        double = FunctionType(with_hooks(fn, self.file), names, fn.__name__, fn.__defaults__, closure)
        double.__kwdefaults__ = fn.__kwdefaults__
        self.made[fn] = double
        for name in sorted(names_used(fn.__code__)):
            found = self.of_value(fn.__globals__.get(name, getattr(builtins, name, None)), fn)
            if found is not None:
                names[name] = found
        return double

    def of_cell(self, cell: CellType) -> CellType:
        try:
            found = self.of_module(cell.cell_contents) or self.of_clock(cell.cell_contents)
        except ValueError:  # it is empty yet
            return cell
        return cell if found is None else CellType(found)

    def of_value(self, value: object, user: FunctionType | None = None) -> object | None:
        """The double of what a name stands for; None if it needs none."""
        if value is set or value is frozenset:
            return functools.partial(made_otherwise, cast("AnyJob", value))
        if value is hash:
            return salted
        if isinstance(value, FunctionType) and user is not None and value.__module__ == user.__module__:
            return self.of_function(value)
        return self.of_module(value) or self.of_clock(value)

    def of_module(self, value: object) -> object | None:
        if not isinstance(value, ModuleType) or value.__name__ not in MODULES:
            return None
        return Ahead(value, lambda name: self.of_clock(getattr(value, name)))

    def of_clock(self, value: object) -> object | None:
        """The double of a function of `time` or `random`, or of a class of `datetime`."""
        module, name = getattr(value, "__module__", None), getattr(value, "__name__", "")
        owner = getattr(value, "__self__", None)
        if isinstance(value, BuiltinFunctionType) and module == "time":
            return later(value, name)
        if isinstance(value, type) and module == "datetime" and name in CLASSES:
            return Ahead(value, lambda attribute: today_later(value, attribute))
        if isinstance(value, MethodType | BuiltinMethodType) and owner is self.random.original and owner is not None:
            return cast("object", getattr(self.random.double, name))
        return None

    def imported(self, name: str, *args: Any) -> object:
        module = __import__(name, *args)
        return self.of_module(module) or module


def file_of(job: object) -> str:
    if isinstance(job, functools.partial):
        return file_of(job.func)
    return job.__code__.co_filename if isinstance(job, FunctionType) else ""


class Random:
    """The generator that the functions of `random` share, and another in its place."""

    def __init__(self) -> None:
        module: Any = sys.modules.get("random")  # if nobody has imported it nobody uses it
        self.original: object = getattr(module, "_inst", None)
        self.double: object = None if module is None else module.Random(SEED)


class Ahead:
    """Stands in for a module or a class: some of its attributes have doubles."""

    def __init__(self, original: object, double_of: Callable[[str], object | None]) -> None:
        self._original = original
        self._double_of = double_of

    def __getattr__(self, name: str) -> object:
        found = self._double_of(name)
        return getattr(self._original, name) if found is None else found

    def __call__(self, *args: object, **named: object) -> object:
        return cast("AnyJob", self._original)(*args, **named)


def later(clock: Callable[..., Any], name: str) -> object | None:
    """A function of `time` as it would answer later."""
    module: Any = getattr(clock, "__self__", None)

    def in_seconds() -> object:
        return clock() + LATER_S

    def in_ns() -> object:
        return clock() + LATER_NS

    def of_seconds(seconds: float | None = None) -> object:
        return clock(module.time() + LATER_S if seconds is None else seconds)

    def in_words(form: str, when: object = None) -> object:
        return clock(form, module.localtime(module.time() + LATER_S) if when is None else when)

    if name in OF_SECONDS:
        return of_seconds
    if name == "strftime":
        return in_words
    return in_seconds if name in CLOCKS else in_ns if name.removesuffix("_ns") in CLOCKS else None


def today_later(cls: Any, name: str) -> object | None:
    """`datetime.now`, `utcnow` and `today`, later."""
    if name not in ("now", "utcnow", "today"):
        return None
    gap = sys.modules["datetime"].timedelta(seconds=LATER_S)

    def then(*args: Any, **named: Any) -> object:
        return getattr(cls, name)(*args, **named) + gap

    return then


def salted(value: object) -> int:
    """The hash of a value as it might be under another seed: only text has another."""
    return hash((SALT, value)) if hangs_on_seed(value) else hash(value)


def hangs_on_seed(value: object) -> bool:
    """Does the hash differ from one interpreter to the next?"""
    if isinstance(value, tuple | frozenset):
        return any(map(hangs_on_seed, cast("Iterable[object]", value)))
    return isinstance(value, str | bytes)


def made_otherwise(kind: Callable[..., object], *args: Any) -> object:
    return reordered(kind(*args))


def reordered(value: object) -> object:
    """An equal value of new containers, in which sets have another order, if their order hangs on the hash seed.

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


def in_another_order(value: set[object] | frozenset[object]) -> set[object] | frozenset[object]:
    """A set with the same elements; another table puts them elsewhere."""
    before = list(value)
    if len(before) > 1 and any(map(hangs_on_seed, before)):
        for made in rebuilt(value, before):
            if list(made) != before:
                return made
    return value


def rebuilt(value: object, elements: list[object]) -> Iterator[set[object] | frozenset[object]]:
    """The set, made in other ways: by tables of all sizes; a frozenset's is as large as it must be, but there are two ways."""
    if isinstance(value, frozenset):
        yield from (frozenset(elements[::-1]), frozenset(set(elements)), frozenset(dict.fromkeys(elements[::-1])))
        return
    for size in TABLES:
        fillers = [(SALT, number) for number in range(size)]
        made: set[object] = {*elements, *fillers}
        for filler in fillers:  # one by one: difference_update makes a table as small as can be of what is left
            made.discard(filler)
        yield made


ASKS: Final = ("LOAD_ATTR", "LOAD_METHOD")


def names_used(code: CodeType) -> set[str]:
    """The globals that a function, or one inside of it, does nothing with but call them, or ask for an attribute."""
    used: set[str] = set()
    otherwise: set[str] = set()
    for instruction, following, last in triples(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            is_called = instruction.opname == "LOAD_GLOBAL" and bool((instruction.arg or 0) & 1)
            asks = following.opname in ASKS and (following.argval not in CLASSES or is_for_use(following, last))
            (used if is_called or asks else otherwise).add(cast("str", instruction.argval))
    return used - otherwise


def is_for_use(asks: dis.Instruction, following: dis.Instruction) -> bool:
    """Is what is asked for called, or asked for something itself?"""
    is_called = asks.opname == "LOAD_METHOD" or (sys.version_info >= (3, 12) and bool((asks.arg or 0) & 1))
    return is_called or following.opname in ASKS


def triples(code: CodeType) -> Iterator[tuple[dis.Instruction, dis.Instruction, dis.Instruction]]:
    """Each instruction of a function, and of those inside of it, with the two that follow."""
    instructions = list(dis.get_instructions(code))
    yield from zip(instructions, instructions[1:], instructions[2:], strict=False)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from triples(const)
