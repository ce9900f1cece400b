"""Copies of a stage within this process, each as a worker would get it.

This file knows how a stage travels to a worker, and what its code holds.  It must never know
schedules or items.

A stage is pickled once and unpickled for each simulated worker.  Functions and classes of the
script stay what they are (see `bindings`): the pickle refers to them by `id`, and takes along the
values that they hold.
"""

from __future__ import annotations

import dis
import functools
import io
import pickle
from collections.abc import Iterator
from enum import Enum
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, NamedTuple, TypeAlias, cast
from weakref import WeakValueDictionary

from conveyor.items.atoms import is_atom
from conveyor.items.by_name import KINDS, by_value, global_names, is_found, is_named
from conveyor.items.pickling import ScriptPickler
from conveyor.items.sealing import PROTOCOL
from conveyor.sim.prepare.bindings import (
    ABSENT,
    Binding,
    CellBinding,
    ClassBinding,
    Code,
    DefaultsBinding,
    NameBinding,
    PrivateBindings,
)
from conveyor.stages import Job

__all__ = ["PackedStage", "StageCopy"]

AnyJob: TypeAlias = Job[object, object]

# Code by its id, for the pickles of this process.
LIVE: Final[WeakValueDictionary[int, Any]] = WeakValueDictionary()
# Other objects of the script that are one in a process; they live as long as the script does.
NAMED: Final[dict[int, object]] = {}
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
# Code that uses one of these names can set any attribute or global.
ANY_NAME: Final = ("setattr", "delattr", "globals", "vars", "__dict__")
STORES_ATTRIBUTES: Final = "an attribute"


class StageCopy(NamedTuple):
    """A stage as a worker gets it, with the values that its code holds there.

    `private` is None if the code holds nothing that could change.
    """

    stage: AnyJob
    private: PrivateBindings | None = None

    def packed(self) -> bytes:
        """The state of the stage as bytes, to be compared."""
        with io.BytesIO() as file:
            LivePickler(file).dump(
                (self.stage, [] if self.private is None else self.private.values)
            )
            return file.getvalue()


class PackedStage:
    """A stage that can be copied within the process that has defined it."""

    def __init__(self, stage: AnyJob) -> None:
        with io.BytesIO() as file:
            pickler = LivePickler(file)
            pickler.dump(stage)
            self.rounds = [0]
            # A value in a binding may hold other code, with bindings of its own: go on until no
            # binding is new.
            while self.rounds[-1] < len(pickler.bindings):
                self.rounds.append(len(pickler.bindings))
                pickler.dump(
                    [as_kept(binding.read()) for binding in pickler.bindings[self.rounds[-2] :]]
                )
            self.data = file.getvalue()
        self.bindings = pickler.bindings
        self.code = pickler.code
        stored = dict.fromkeys(name for each in self.code for name in stored_by(each))
        copy, values = self.load()
        self.kept = [
            at for at, value in enumerate(values) if is_own(self.bindings[at], value, stored)
        ]
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

    def copy(self) -> StageCopy:
        stage, values = self.load()
        if not self.kept and not self.holders:
            return StageCopy(stage)
        return StageCopy(
            stage,
            PrivateBindings(
                [self.bindings[at] for at in self.kept],
                [values[at] for at in self.kept],
                self.holders,
            ),
        )


def as_kept(value: object) -> tuple[object, ...]:
    return () if value is ABSENT else (value,)


@functools.lru_cache(maxsize=4096)
def stored_names(code: CodeType) -> tuple[str, ...]:
    """The names to which some code, or code inside of it, may bind another value."""
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


def is_own(binding: Binding, copy: object, stored: dict[str, None]) -> bool:
    """Can a worker ever have another value in a binding than the program?"""
    value = binding.read()
    if binding.key[1] in stored or any(name in stored for name in ANY_NAME):
        return True
    return copy is not value and not (is_atom(value) and is_atom(copy))


def live(key: int) -> object:
    """The code, or other object, that a pickle of this process refers to by its id."""
    return LIVE[key] if key in LIVE else NAMED[key]


class LivePickler(ScriptPickler):
    """Pickles a stage for this very process.

    Functions and classes of the script are kept as they are, and what they hold is pickled by
    value, as it would travel to a worker.  `bindings` are those found on the way.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, PROTOCOL)
        self.code: dict[Code, None] = {}
        self.members: list[Enum] = []
        self.bindings: list[Binding] = []
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
        """Finds the bindings of a function or class, and of the code that it is made of."""
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
                self.add(ClassBinding(code, name))
        if issubclass(code, Enum):
            self.members += code.__members__.values()
            for member in code.__members__.values():
                for name in [name for name in vars(member) if not name.startswith("_")]:
                    self.add(NameBinding(vars(member), name))

    def meet_function(self, function: FunctionType) -> None:
        for name in global_names(function.__code__):
            self.add(NameBinding(function.__globals__, name))
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self.add(CellBinding(cell, name))
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name):
                self.add(DefaultsBinding(function, name))
        for name in vars(function):
            self.add(NameBinding(vars(function), name))

    def add(self, binding: Binding) -> None:
        if binding.key not in self.known:
            self.known.add(binding.key)
            self.bindings.append(binding)
            self.keeps([binding.read()])


def is_singleton(obj: object) -> bool:
    """Is an object of the script pickled as its name?"""
    return type(obj).__module__ == "__main__" and not by_value(obj) and is_named(obj)


def functions_in(value: object) -> Iterator[FunctionType]:
    """The functions of the script that a descriptor is made of."""
    parts: list[object] = [value]
    if isinstance(value, DESCRIPTORS):
        parts = [getattr(cast("object", value), name, None) for name in OF_DESCRIPTORS]
    for part in parts:
        if isinstance(part, FunctionType) and by_value(part):
            yield part


def is_data(owner: type[object], name: str, value: object) -> bool:
    """Is an attribute data that a class holds, rather than code that it is made of?"""
    if (
        isinstance(value, NOT_DATA)
        or (name.startswith("__") and name.endswith("__"))
        or name == "_abc_impl"
    ):
        return False
    is_a_named_tuple = issubclass(owner, tuple) and "_fields" in vars(cast("type[object]", owner))
    return not issubclass(owner, Enum) and not is_a_named_tuple
