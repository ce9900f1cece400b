"""What the code of a function does with its names: does it call them, ask them for something, or
take them for what they are?

Knows: instructions of CPython.  Must never know: what a name stands for.

Something else can stand in for a name that is only called, or asked for an attribute.  Where it is
handed on, compared or matched, as in `isinstance(item, date)`, it must be the thing itself.  Names
of functions inside of a function count as its own.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType
from typing import Final, NamedTuple, cast

from conveyor.sim.code.instrument import inside

__all__ = ["CLASSES", "Uses"]

# Classes of `datetime` that have clocks, and that are asked what is one of them.
CLASSES: Final = ("datetime", "date")
ASKS: Final = ("LOAD_ATTR", "LOAD_METHOD")
LOADS: Final = (
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "LOAD_FAST",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
    "LOAD_FROM_DICT_OR",
)
A_CALL: Final = dis.get_instructions(compile("f()", "", "eval"))
NULL_FIRST: Final = [each.opname for each in A_CALL].index("PUSH_NULL") < 2
A_METHOD: Final = dis.get_instructions(compile("a.f()", "", "eval"))
# Since Python 3.12 a method is loaded by LOAD_ATTR, which says so in its last bit.
METHODS_ARE_ATTRIBUTES: Final = "LOAD_METHOD" not in [each.opname for each in A_METHOD]


class Instruction(NamedTuple):
    """An instruction with those around it."""

    before: dis.Instruction
    here: dis.Instruction
    after: dis.Instruction
    last: dis.Instruction

    def loaded(self) -> tuple[str, ...]:
        """The variables that are loaded here."""
        name = self.here.opname
        if name == "STORE_FAST_LOAD_FAST":
            return self.variables()[1:]
        if name.startswith(LOADS) and name != "LOAD_FAST_AND_CLEAR":
            return self.variables()
        return ()

    def stored(self) -> str | None:
        """The variable in which what was loaded last is put."""
        return self.variables()[0] if self.here.opname.startswith("STORE_") else None

    def variables(self) -> tuple[str, ...]:
        """Those that the instruction names: some do the work of two."""
        named: object = self.here.argval
        return cast("tuple[str, ...]", named) if isinstance(named, tuple) else (str(named),)

    def is_called(self) -> bool:
        """Is what is loaded called?"""
        if self.here.opname == "LOAD_GLOBAL" and (self.here.arg or 0) & 1:
            return True
        return (self.before if NULL_FIRST else self.after).opname == "PUSH_NULL"

    def is_asked(self) -> bool:
        """Is it asked for an attribute?  If that is a class it must be asked for something, too, or
        called."""
        if self.after.opname not in ASKS or str(self.after.argval).startswith("__"):
            return False
        return self.after.argval not in CLASSES or self.is_for_use()

    def is_for_use(self) -> bool:
        is_called = self.after.opname == "LOAD_METHOD" or (
            METHODS_ARE_ATTRIBUTES and bool((self.after.arg or 0) & 1)
        )
        return is_called or (
            self.last.opname in ASKS and not str(self.last.argval).startswith("__")
        )


class Uses:
    """How the code of a function uses each of its names."""

    def __init__(self, code: CodeType) -> None:
        used: set[str] = set()
        self.taken: set[str] = set()  # for what they are
        self.dates: set[str] = set()  # of which something of `datetime` is put
        for each in inside(code):
            places = list(places_in(each))
            self.dates.update(imported_dates(places))
            for place in places:
                names = [name for name in place.loaded() if not is_cell(name, place, each)]
                self.taken.update(names[:-1])
                for name in names[-1:]:
                    (used if place.is_called() or place.is_asked() else self.taken).add(name)
        self.allowed = used - self.taken

    def allow(self, name: str) -> bool:
        """May something else stand in for this name?"""
        return name not in self.taken

    @property
    def dates_are_asked(self) -> bool:
        """Is all that the function imports from `datetime` there to be asked only?"""
        return not self.dates & self.taken


def is_cell(name: str, place: Instruction, code: CodeType) -> bool:
    """Is it the cell that is loaded, to be given to a function inside?  What is in a cell is loaded
    in another way."""
    return "FAST" in place.here.opname and name in (*code.co_cellvars, *code.co_freevars)


def places_in(code: CodeType) -> Iterator[Instruction]:
    found = list(dis.get_instructions(code))
    padded = [found[0], *found, found[-1], found[-1]]
    yield from map(Instruction, padded, padded[1:], padded[2:], padded[3:])


def imported_dates(places: list[Instruction]) -> Iterator[str]:
    """The variables in which an import puts the module `datetime`, or one of its classes."""
    is_dates = puts = False
    for place in places:
        name = place.here.opname
        if name == "IMPORT_NAME":
            is_dates = puts = place.here.argval == "datetime"
        elif name == "IMPORT_FROM":
            puts = is_dates and place.here.argval in CLASSES
        elif puts and (stored := place.stored()) is not None:
            yield stored
            puts = False
