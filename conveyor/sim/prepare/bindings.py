"""What each simulated worker has to itself, as a real worker would: the values that the code of its
stage holds.

This file knows what functions and classes hold, and how to put other values in its place.  It must
never know schedules or items.

Rule 1.  Code is shared with the program: the very functions and classes that the program defined,
         which nothing rebuilds or changes.
Rule 2.  Code that travels by value holds values in *bindings*: a global that it names, a variable
         of a closure, a default, an attribute of a function or a class.  A real worker has a copy
         of each value, made when its stage was packed; so has each simulated worker.
Rule 3.  While a worker runs, its values are in the bindings; while none runs, the program's are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from enum import Enum
from types import CellType, FunctionType
from typing import ClassVar, Final, NamedTuple, Protocol, TypeAlias, TypeVar, cast

__all__ = [
    "ABSENT",
    "Binding",
    "CellBinding",
    "ClassBinding",
    "Code",
    "DefaultsBinding",
    "NameBinding",
    "PrivateBindings",
]

T = TypeVar("T")
Call: TypeAlias = Callable[[object], object]
Code: TypeAlias = "FunctionType | type[object]"

ABSENT: Final = object()


class Binding(Protocol):
    """Where code holds a value; `read` gives `ABSENT` where there is none."""

    @property
    def key(self) -> tuple[int, str]: ...
    def read(self) -> object: ...
    def write(self, value: object) -> None: ...


class NameBinding(NamedTuple):
    """A global, or an attribute of a function."""

    names: MutableMapping[str, object]
    name: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.names), self.name

    def read(self) -> object:
        return self.names.get(self.name, ABSENT)

    def write(self, value: object) -> None:
        if value is ABSENT:
            self.names.pop(self.name, None)
        else:
            self.names[self.name] = value


class CellBinding(NamedTuple):
    """A variable of a closure."""

    cell: CellType
    name: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.cell), self.name

    def read(self) -> object:
        try:
            return self.cell.cell_contents
        except ValueError:  # the cell is still empty
            return ABSENT

    def write(self, value: object) -> None:
        if value is ABSENT:
            del self.cell.cell_contents
        else:
            self.cell.cell_contents = value


class ClassBinding(NamedTuple):
    """An attribute of a class, set without asking its metaclass."""

    owner: type[object]
    name: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.owner), self.name

    def read(self) -> object:
        return vars(self.owner).get(self.name, ABSENT)

    def write(self, value: object) -> None:
        if value is ABSENT:
            type.__delattr__(self.owner, self.name)
        else:
            type.__setattr__(self.owner, self.name, value)


class DefaultsBinding(NamedTuple):
    """The defaults of a function's arguments."""

    function: FunctionType
    name: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.function), self.name

    def read(self) -> object:
        return getattr(self.function, self.name)

    def write(self, value: object) -> None:
        setattr(self.function, self.name, value)


class PrivateBindings:
    """The values of one worker, and the bindings that they belong into."""

    # Whose values are in the bindings; None: the program's.
    at_work: ClassVar[PrivateBindings | None] = None

    def __init__(
        self, bindings: list[Binding], values: list[object], holders: tuple[Code | Enum, ...]
    ) -> None:
        self.bindings = bindings
        self.values = values
        self.holders = holders  # code and enum members that may be given attributes
        self.outer: PrivateBindings | None = None  # whose values were there before
        self.replaced: list[object] = []  # what was in the bindings before
        self.sizes: list[int] = []

    def enter(self) -> None:
        """Puts the worker's values into the bindings."""
        self.outer, PrivateBindings.at_work = PrivateBindings.at_work, self
        self.replaced = []
        self.sizes = [len(vars(holder)) for holder in self.holders]
        for binding, value in zip(self.bindings, self.values, strict=True):
            before = binding.read()
            self.replaced.append(before)
            if value is not before:
                binding.write(value)

    def leave(self) -> None:
        """Puts back the values that were there before, and keeps the worker's."""
        PrivateBindings.at_work = self.outer
        replaced, self.replaced = self.replaced, []
        for at, before in enumerate(replaced):
            binding = self.bindings[at]
            value = self.values[at] = binding.read()
            if value is not before:
                binding.write(before)
        for holder, size in zip(self.holders, self.sizes, strict=True):
            for name in list(vars(holder))[size:]:  # given by the worker, which keeps it
                binding = (
                    ClassBinding(holder, name)
                    if isinstance(holder, type)
                    else NameBinding(vars(holder), name)
                )
                self.bindings.append(binding)
                self.values.append(binding.read())
                binding.write(ABSENT)

    def called(self, job: Call) -> Call:
        """`job`, called with the values of this worker instead of those of another."""

        def call(item: object) -> object:
            return self.instead(lambda: job(item))

        return call

    def iterated(self, job: Call) -> Call:
        """`called` for a job whose results are taken one by one."""

        def call(item: object) -> object:
            results = self.instead(lambda: iter(cast("Iterable[object]", job(item))))
            return self.each(results)

        return call

    def each(self, results: Iterator[object]) -> Iterator[object]:
        while (result := self.instead(lambda: next(results, ABSENT))) is not ABSENT:
            yield result

    def instead(self, call: Callable[[], T]) -> T:
        """Calls `call` with the values of this worker, and without those of another that runs now;
        gives its result."""
        other = PrivateBindings.at_work
        if other is not None:
            other.leave()
        self.enter()
        try:
            return call()
        finally:
            self.leave()
            if other is not None:
                other.enter()
