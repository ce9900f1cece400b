"""What each place of a simulated pipeline has of its own, as each worker would: whatever the code
of its stage holds.

Knows: what functions and classes hold, and how to put other values in its place.  Must never know:
schedules, items.

Rule 1.  Code is shared with the program: the very functions and classes that it defined, which
         nothing rebuilds or changes.
Rule 2.  What code that travels by value holds is a *slot*: a global that it names, a variable of a
         closure, a default, an attribute of a function or a class.  A worker has a copy of each,
         made when its stage was packed; so has each place.
Rule 3.  While a place is at work its values are in the slots; when it is not, the program's are.
"""

from __future__ import annotations

import dis
import functools
import io
import pickle
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from enum import Enum
from types import CellType, CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias, TypeVar, cast
from weakref import WeakValueDictionary

from conveyor.items.codec import PROTOCOL, is_atom
from conveyor.items.pickling import KINDS, ScriptPickler, by_value, global_names, is_found, is_named
from conveyor.stages import Job

__all__ = ["Copy", "Own", "Packed"]

AnyJob: TypeAlias = Job[object, object]
T = TypeVar("T")
Call: TypeAlias = Callable[[object], object]
Code: TypeAlias = "FunctionType | type[object]"

ABSENT: Final = object()
LIVE: Final[WeakValueDictionary[int, Any]] = (
    WeakValueDictionary()
)  # code by its id, for the pickles of this process
NAMED: Final[
    dict[int, object]
] = {}  # the same for what is not code, and there as long as the script is
DESCRIPTORS: Final[tuple[type[Any], ...]] = (
    *(property, staticmethod, classmethod),
    *(functools.cached_property, functools.partialmethod, functools.singledispatchmethod),
)
OF_DESCRIPTORS: Final = ("fget", "fset", "fdel", "__func__", "func", "dispatcher")
NOT_DATA: Final[tuple[type[Any], ...]] = (
    *DESCRIPTORS,
    FunctionType,
    MemberDescriptorType,
    GetSetDescriptorType,
)
STORES: Final = frozenset(
    "STORE_GLOBAL DELETE_GLOBAL STORE_DEREF DELETE_DEREF STORE_ATTR DELETE_ATTR".split()
)
ANY_NAME: Final = (
    "setattr",
    "delattr",
    "globals",
    "vars",
    "__dict__",
)  # code that uses these may set whatever it likes


class Slot(Protocol):
    """A place for a value that code holds; `ABSENT` where there is none."""

    @property
    def key(self) -> tuple[int, str]: ...
    def read(self) -> object: ...
    def write(self, value: object) -> None: ...


class Named(NamedTuple):
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


class Closed(NamedTuple):
    """A variable of a closure."""

    cell: CellType
    name: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.cell), self.name

    def read(self) -> object:
        try:
            return self.cell.cell_contents
        except ValueError:  # it is empty yet
            return ABSENT

    def write(self, value: object) -> None:
        if value is ABSENT:
            del self.cell.cell_contents
        else:
            self.cell.cell_contents = value


class OfClass(NamedTuple):
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


class Defaults(NamedTuple):
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


class Own:
    """The values of one place, and the slots that they belong into."""

    at_work: ClassVar[Own | None] = None  # whose values are in the slots; None: the program's

    def __init__(
        self, slots: list[Slot], values: list[object], holders: tuple[Code | Enum, ...]
    ) -> None:
        self.slots = slots
        self.values = values
        self.holders = holders  # code that may be given attributes
        self.around: Own | None = None  # who was at work before
        self.theirs: list[object] = []  # what was in the slots before
        self.sizes: list[int] = []

    def enter(self) -> None:
        """Puts the place's values into the slots."""
        self.around, Own.at_work = Own.at_work, self
        self.theirs = []
        self.sizes = [len(vars(holder)) for holder in self.holders]
        for slot, value in zip(self.slots, self.values, strict=True):
            before = slot.read()
            self.theirs.append(before)
            if value is not before:
                slot.write(value)

    def leave(self) -> None:
        """Puts the values back that were there before."""
        Own.at_work = self.around
        theirs, self.theirs = self.theirs, []
        for at, before in enumerate(theirs):
            slot = self.slots[at]
            value = self.values[at] = slot.read()
            if value is not before:
                slot.write(before)
        for holder, size in zip(self.holders, self.sizes, strict=True):
            for name in list(vars(holder))[size:]:  # given by the place, and its own from now on
                slot = (
                    OfClass(holder, name) if isinstance(holder, type) else Named(vars(holder), name)
                )
                self.slots.append(slot)
                self.values.append(slot.read())
                slot.write(ABSENT)

    def called(self, job: Call) -> Call:
        """`job`, called with the values of this place instead of those of another."""

        def call(item: object) -> object:
            return self.instead(lambda: job(item))

        return call

    def iterated(self, job: Call) -> Call:
        """The same for a job whose results are taken one by one."""

        def call(item: object) -> object:
            results = self.instead(lambda: iter(cast("Iterable[object]", job(item))))
            return self.each(results)

        return call

    def each(self, results: Iterator[object]) -> Iterator[object]:
        while (result := self.instead(lambda: next(results, ABSENT))) is not ABSENT:
            yield result

    def instead(self, call: Callable[[], T]) -> T:
        """What `call` gives with the values of this place, and none of those of another that is at
        work."""
        other = Own.at_work
        if other is not None:
            other.leave()
        self.enter()
        try:
            return call()
        finally:
            self.leave()
            if other is not None:
                other.enter()


# -----------------------------------------------------------------------------------------------------------------
# copies


class Copy(NamedTuple):
    """A stage as a worker gets it, and what its code holds there; None if that is nothing that
    could change."""

    stage: AnyJob
    own: Own | None = None

    def packed(self) -> bytes:
        """Its state, to be compared."""
        with io.BytesIO() as file:
            LivePickler(file).dump((self.stage, [] if self.own is None else self.own.values))
            return file.getvalue()


class Packed:
    """A stage of which copies can be made, in the process that has defined it."""

    def __init__(self, stage: AnyJob) -> None:
        with io.BytesIO() as file:
            pickler = LivePickler(file)
            pickler.dump(stage)
            self.rounds = [0]
            while self.rounds[-1] < len(
                pickler.slots
            ):  # the values of slots may come to other code, with other slots
                self.rounds.append(len(pickler.slots))
                pickler.dump([as_kept(slot.read()) for slot in pickler.slots[self.rounds[-2] :]])
            self.data = file.getvalue()
        self.slots = pickler.slots
        self.code = pickler.code
        stored = dict.fromkeys(name for each in self.code for name in stored_by(each))
        copy, values = self.load()
        self.kept = [at for at, value in enumerate(values) if is_own(self.slots[at], value, stored)]
        gives_attributes = any(name in stored for name in (*ANY_NAME, STORES_ATTRIBUTES))
        self.holders = (*self.code, *pickler.members) if gives_attributes else ()
        self.holds_nothing = (
            not self.kept and not self.holders and copy.stage_options.fn is stage.stage_options.fn
        )

    def load(self) -> tuple[AnyJob, list[object]]:
        with io.BytesIO(self.data) as file:
            unpickler = pickle.Unpickler(file)
            stage: AnyJob = unpickler.load()
            values = [value for _ in self.rounds[1:] for value in unpickler.load()]
        return stage, [value[0] if value else ABSENT for value in values]

    def copy(self) -> Copy:
        stage, values = self.load()
        if not self.kept and not self.holders:
            return Copy(stage)
        return Copy(
            stage,
            Own(
                [self.slots[at] for at in self.kept], [values[at] for at in self.kept], self.holders
            ),
        )


def as_kept(value: object) -> tuple[object, ...]:
    return () if value is ABSENT else (value,)


STORES_ATTRIBUTES: Final = "an attribute"


@functools.lru_cache(maxsize=4096)
def stored_names(code: CodeType) -> tuple[str, ...]:
    """The names that some code, or code inside of it, may give another value."""
    found = [name for name in code.co_names if name in ANY_NAME]
    for each in dis.get_instructions(code):
        if each.opname in STORES:
            found += (
                [str(each.argval)]
                if each.opname not in ("STORE_ATTR", "DELETE_ATTR")
                else [str(each.argval), STORES_ATTRIBUTES]
            )
    inside = [
        name for each in code.co_consts if isinstance(each, CodeType) for name in stored_names(each)
    ]
    return tuple(dict.fromkeys([*found, *inside]))


def stored_by(code: Code) -> tuple[str, ...]:
    return stored_names(code.__code__) if isinstance(code, FunctionType) else ()


def is_own(slot: Slot, copy: object, stored: dict[str, None]) -> bool:
    """Can a place ever have another value there than the program?"""
    value = slot.read()
    if slot.key[1] in stored or any(name in stored for name in ANY_NAME):
        return True
    return copy is not value and not (is_atom(value) and is_atom(copy))


def live(key: int) -> object:
    """Code, or what else is one in a process, as the pickles of this process refer to it."""
    return LIVE[key] if key in LIVE else NAMED[key]


class LivePickler(ScriptPickler):
    """Pickles a stage for this very process: code as it is, and what it holds by value, as it would
    travel."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, PROTOCOL)
        self.code: dict[Code, None] = {}
        self.members: list[Enum] = []
        self.slots: list[Slot] = []
        self.known: set[tuple[int, str]] = set()

    def reducer_override(self, obj: object) -> Any:
        if by_value(obj):
            code = cast("Code", obj)
            self.meet(code)
            LIVE[id(code)] = code
            return live, (id(code),)
        if (type(obj) in KINDS and not is_found(obj)) or is_singleton(obj):
            NAMED[id(obj)] = obj
            return live, (id(obj),)
        return super().reducer_override(obj)

    def meet(self, code: Code) -> None:
        """Finds the slots of code, and of the code that it is made of."""
        if code in self.code:
            return
        self.code[code] = None
        if isinstance(code, FunctionType):
            self.meet_function(code)
            return
        for each in (*code.__mro__[1:], type(code)):
            if by_value(each):
                self.meet(each)
        self.keeps(list(vars(code).values()))
        for name, value in vars(code).items():
            for function in functions_in(value):
                self.meet(function)
            if is_data(code, name, value):
                self.add(OfClass(code, name))
        if issubclass(code, Enum):
            self.members += code.__members__.values()
            for member in code.__members__.values():
                for name in [name for name in vars(member) if not name.startswith("_")]:
                    self.add(Named(vars(member), name))

    def meet_function(self, function: FunctionType) -> None:
        for name in global_names(function.__code__):
            self.add(Named(function.__globals__, name))
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self.add(Closed(cell, name))
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name):
                self.add(Defaults(function, name))
        for name in vars(function):
            self.add(Named(vars(function), name))

    def add(self, slot: Slot) -> None:
        if slot.key not in self.known:
            self.known.add(slot.key)
            self.slots.append(slot)
            self.keeps([slot.read()])


def is_singleton(obj: object) -> bool:
    """Does an object of the script pickle as its name?"""
    return type(obj).__module__ == "__main__" and not by_value(obj) and is_named(obj)


def functions_in(value: object) -> Iterator[FunctionType]:
    """The functions of the script of which a descriptor is made."""
    parts: list[object] = [value]
    if isinstance(value, DESCRIPTORS):
        parts = [getattr(cast("object", value), name, None) for name in OF_DESCRIPTORS]
    for part in parts:
        if isinstance(part, FunctionType) and by_value(part):
            yield part


def is_data(owner: type[object], name: str, value: object) -> bool:
    """Is it something that a class holds, rather than what it is made of?"""
    if (
        isinstance(value, NOT_DATA)
        or (name.startswith("__") and name.endswith("__"))
        or name == "_abc_impl"
    ):
        return False
    is_a_named_tuple = issubclass(owner, tuple) and "_fields" in vars(cast("type[object]", owner))
    return not issubclass(owner, Enum) and not is_a_named_tuple
