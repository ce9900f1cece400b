"""How stages and what a script defines are pickled by value: cloudpickle, and what it does not
know.

Knows: cloudpickle, and what classes, functions and wrappers are made of.  Must never know: how
processes are started.

Rule 1.  A lambda, a closure, and whatever is defined in `__main__` travels by value; what a worker
         can import, by name.
Rule 2.  A lock or a `threading.local` that a function or a class of the script keeps, in a global
         or as an attribute, is one of each process, as if each had run the script.  Inside of an
         object it is part of a state, which cannot be copied.
Rule 3.  A cache travels empty.  A function keeps its file and line.
"""

from __future__ import annotations

import abc
import dis
import functools
import io
import linecache
import sys
import typing
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar
from enum import Enum
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Final, TypeAlias, cast

import cloudpickle
import typing_extensions

from conveyor.items.unpickling import (
    LOCAL,
    LOCKS,
    class_key,
    fill_class,
    fill_function,
    make_cached,
    make_class,
    make_code,
    make_enum,
    make_local,
    make_lock,
    make_singleton,
    make_typing,
    make_variable,
)
from conveyor.pickles import name_of, named

__all__ = [
    "ScriptPickler",
    "attributes_of",
    "by_value",
    "dumped",
    "globals_of",
    "is_definition",
    "is_found",
    "is_named",
    "is_of_each_process",
]

SCRIPT: Final = (
    "__main__",
    "__mp_main__",
)  # its module, and what multiprocessing calls that in its own processes
Reduced: TypeAlias = Any  # as `pickle` takes it

PROTOCOL: Final = 5
CACHED: Final = type(functools.lru_cache(len))
OF_TYPING: Final = ("NewType", "TypeVar", "ParamSpec", "TypeVarTuple", "TypeAliasType")
MODULES_OF_TYPING: Final = (typing, typing_extensions)
KINDS: Final = tuple(
    dict.fromkeys(
        kind
        for name in OF_TYPING
        for each in MODULES_OF_TYPING
        if isinstance(kind := getattr(each, name, None), type)
    )
)
ABSENT: Final = object()
NOT_MINE: Final = frozenset(
    {"__dict__", "__weakref__", "_abc_impl", "__annotate_func__", "__annotations_cache__"}
)


def dumped(value: object, first: Callable[[object], Reduced] | None = None) -> bytes:
    """`value`, pickled by value where it must be; `first` may reduce an object in its own way, or
    give `NotImplemented`."""
    script = sys.modules.get(SCRIPT[1])
    if (
        script is not None and script.__name__ == SCRIPT[1]
    ):  # a process of multiprocessing's; ours cannot import that
        cloudpickle.register_pickle_by_value(script)
    with io.BytesIO() as file:
        ScriptPickler(file, PROTOCOL, first).dump(value)
        return file.getvalue()


def is_found(value: object) -> bool:
    """Can another process import a function, a class or a wrapper by its name?"""
    module, name = (
        getattr(value, "__module__", None),
        getattr(value, "__qualname__", getattr(value, "__name__", None)),
    )
    if not isinstance(module, str) or not isinstance(name, str) or module in SCRIPT:
        return False
    if any(
        module == each or module.startswith(f"{each}.")
        for each in cloudpickle.list_registry_pickle_by_value()
    ):
        return False
    return attribute_at(sys.modules.get(module), name) is value


def attribute_at(value: object, name: str) -> object:
    """What is under a dotted name."""
    for part in name.split("."):
        value = getattr(value, part, ABSENT)
    return value


def is_definition(value: object) -> bool:
    """Is it what the script has under its own name at its top?"""
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    if getattr(value, "__module__", None) not in SCRIPT or not isinstance(name, str):
        return False
    return vars(sys.modules["__main__"]).get(name, ABSENT) is value


def is_named(value: object) -> bool:
    """Would `pickle` write no more of an object of the script than its name?"""
    kind = type(value)
    if issubclass(kind, type) or kind in (FunctionType, CACHED, *KINDS):
        return getattr(value, "__module__", None) in SCRIPT
    if kind.__module__ not in SCRIPT or not has_a_reduction(kind):
        return False
    try:
        return isinstance(value.__reduce_ex__(PROTOCOL), str)
    except Exception:  # it cannot be pickled at all
        return False


def globals_of(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The globals that a function, or code inside of it, names, as far as they are there."""
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]


GLOBAL: Final = frozenset(
    "LOAD_GLOBAL STORE_GLOBAL DELETE_GLOBAL LOAD_NAME LOAD_FROM_DICT_OR_GLOBALS".split()
)


@functools.lru_cache(maxsize=4096)
def global_names(code: CodeType) -> tuple[str, ...]:
    """The names that some code, or code inside of it, looks for among the globals."""
    own = [str(each.argval) for each in dis.get_instructions(code) if each.opname in GLOBAL]
    inside = [
        name for each in code.co_consts if isinstance(each, CodeType) for name in global_names(each)
    ]
    return tuple(dict.fromkeys([*own, *inside]))


@functools.lru_cache(maxsize=4096)
def names_in(code: CodeType) -> frozenset[str]:
    """The names that some code, or code inside of it, uses: of globals, modules and attributes."""
    inside = [names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return frozenset(code.co_names).union(*inside)


def submodules_of(function: FunctionType, known: list[object]) -> list[ModuleType]:
    """The modules that the code of a function, or code inside of it, may reach as attributes of
    packages that it knows, as `urllib.error` behind `import urllib.error`.

    A worker that has the package has such an attribute only once it has imported the module.
    cloudpickle looks for them in the function's own code alone.
    """
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty yet
            known = [*known, cell.cell_contents]
    names = names_in(function.__code__)
    packages = [
        each.__name__ for each in known if isinstance(each, ModuleType) and each.__package__
    ]
    return [
        module
        for name, module in list(sys.modules.items())
        for package in packages
        if name.startswith(f"{package}.") and names.issuperset(name[len(package) + 1 :].split("."))
    ]


def by_value(value: object) -> bool:
    """Is it a function or a class that travels by value?"""
    if isinstance(value, FunctionType):
        return not is_found(value)
    return isinstance(value, type) and value.__module__ != "builtins" and not is_found(value)


def lock_of(value: object) -> object:
    """The lock that a cached property has before Python 3.12; anything else as it is."""
    return (
        getattr(value, "lock", None)
        if issubclass(type(value), functools.cached_property)
        else value
    )


def is_of_each_process(value: object) -> bool:
    """Does each process have one of its own, if a function or a class keeps it?"""
    return isinstance(value, (*LOCKS, LOCAL))


class ScriptPickler(cloudpickle.Pickler):
    """Pickles by value what workers cannot import."""

    def __init__(
        self, file: io.BytesIO, protocol: int, first: Callable[[object], Reduced] | None = None
    ) -> None:
        super().__init__(file, protocol)
        self.first = first
        self.own: set[int] = set()  # locks and the like that each process has one of
        self.under_way: set[int] = set()
        self.singular: dict[
            type[object], bool
        ] = {}  # may its objects pickle as their names in the script?

    def reducer_override(self, obj: object) -> Reduced:
        if self.first is not None and (reduced := self.first(obj)) is not NotImplemented:
            return reduced
        kind = type(obj)
        if issubclass(kind, type) or kind is FunctionType:
            if (name := name_of(obj)) is not None:
                return named, (name,)
            return (
                self.reduce_function(obj)
                if isinstance(obj, FunctionType)
                else self.reduce_class(cast("type[object]", obj))
            )
        if kind in LOCKS and id(obj) in self.own:
            return make_lock, (LOCKS.index(kind),)
        if isinstance(obj, LOCAL) and id(obj) in self.own:
            return make_local, (kind,)
        if kind is CACHED and not is_found(obj):
            return reduce_cached(obj)
        if kind in KINDS and not is_found(obj):
            return self.reduce_typing(obj)
        if kind not in self.singular:
            self.singular[kind] = has_a_reduction(kind) and by_value(kind)
        return reduce_singleton(obj) if self.singular[kind] else NotImplemented

    def reduce_function(self, function: FunctionType) -> Reduced:
        reduced: Reduced = super().reducer_override(function)
        if reduced is NotImplemented:
            return reduced
        make, args, state, _, _, fill = reduced
        named = dict(globals_of(function))
        state[1]["__globals__"].update(named)  # also those of classes inside of it
        state[1]["_cloudpickle_submodules"] = submodules_of(function, [*named.values()])
        self.keeps(list(named.values()))
        if not is_definition(function):
            return make, args, state, None, None, fill
        return make, args, (fill, state), None, None, fill_function

    def reduce_class(self, of: type[object]) -> Reduced:
        if not by_value(of):
            return super().reducer_override(of)
        self.keeps(list(vars(of).values()))
        return reduce_enum(of) if issubclass(of, Enum) else reduce_class(of)

    def keeps(self, values: list[object]) -> None:
        """Remembers which of these are of each process's own."""
        for value in values:
            if is_of_each_process(kept := lock_of(value)):
                self.own.add(id(kept))

    def reduce_typing(self, obj: Any) -> Reduced:
        """By its parts; a recursive alias, inside of itself, as a reference."""
        if id(obj) in self.under_way:
            return typing.ForwardRef, (obj.__name__,)
        self.under_way.add(id(obj))
        kind = cast("type[object]", type(obj))
        return make_typing, (
            kind.__name__,
            kind.__module__,
            obj.__module__,
            is_definition(obj),
            *arguments_of(obj),
        )


# ----------------------------------------------------------------------------------------------------------------
# reductions


def reduce_class(of: type[object]) -> Reduced:
    meta = type(of)
    # What a metaclass of the script, or of `typing`, does to a class as it is written must not be
    # done again.
    of_typing = ("typing", "typing_extensions")
    maker = next(
        each for each in meta.__mro__ if not by_value(each) and each.__module__ not in of_typing
    )
    namespace = names_at_birth(of)
    slots = slots_of(of)
    if slots is not None:
        namespace["__slots__"] = slots
    args = (
        class_key(of),
        maker if maker is not meta else None,
        meta,
        of.__name__,
        of.__bases__,
        namespace,
    )
    return (
        make_class,
        args,
        (attributes_of(of), registered_with(of), {}, is_definition(of), subclasses_of(of)),
        None,
        None,
        fill_class,
    )


def names_at_birth(of: type[object]) -> dict[str, object]:
    names: dict[str, object] = {"__module__": of.__module__, "__qualname__": of.__qualname__}
    return names | {name: vars(of)[name] for name in ("__orig_bases__",) if name in vars(of)}


def slots_of(of: type[object]) -> tuple[str, ...] | None:
    """The slots of a class as they must be named when it is made again; None if it has a `__dict__`
    as usual."""
    if "__slots__" not in vars(of):
        return None
    own = [name for name, value in vars(of).items() if is_slot(value, of)]
    return *own, *(
        name
        for name in ("__dict__", "__weakref__")
        if isinstance(vars(of).get(name), GetSetDescriptorType)
    )


def is_slot(value: object, of: type[object]) -> bool:
    return isinstance(value, MemberDescriptorType) and value.__objclass__ is of


def attributes_of(of: type[object]) -> dict[str, object]:
    """What a class has once it has been made."""
    found = {
        name: value
        for name, value in vars(of).items()
        if name not in NOT_MINE and not is_slot(value, of)
    }
    if isinstance(found.get("__slots__"), Iterator):
        found["__slots__"] = slots_of(of)  # it is used up
    return found


def registered_with(of: type[Any]) -> list[type[object]]:
    """The virtual subclasses of an abstract class."""
    if not isinstance(of, abc.ABCMeta):
        return []
    dump: Callable[[type[Any]], tuple[Any, ...]] = getattr(abc, "_get_dump")  # noqa: B009  # there is no public way
    return [found for each in dump(of)[0] if (found := each()) is not None]


def subclasses_of(of: type[Any]) -> tuple[str, ...]:
    """What the script calls the subclasses of a class."""
    return tuple(each.__qualname__ for each in type.__subclasses__(of) if is_definition(each))


def reduce_enum(of: type[Enum]) -> Reduced:
    members = {name: member.value for name, member in of.__members__.items()}
    made_by_enum = "__new__ _generate_next_value_ _member_names_ _member_map_ _member_type_ _value2member_map_".split()
    attributes = {
        name: value
        for name, value in attributes_of(of).items()
        if name not in made_by_enum and name not in members
    }
    by_member = {name: attributes_of_member(member) for name, member in of.__members__.items()}
    args = (class_key(of), of.__bases__, of.__name__, names_at_birth(of), members)
    return (
        make_enum,
        args,
        (attributes, [], by_member, is_definition(of), ()),
        None,
        None,
        fill_class,
    )


def attributes_of_member(member: Enum) -> dict[str, object]:
    """What an `__init__` or a `__new__` of the script's own gave to a member."""
    return {name: value for name, value in vars(member).items() if not (name[0] == name[-1] == "_")}


def arguments_of(obj: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a type variable, alias or the like is made with."""
    match type(obj).__name__:
        case "NewType":
            return (obj.__name__, obj.__supertype__), {}
        case "TypeAliasType":
            return (obj.__name__, obj.__value__), {"type_params": obj.__type_params__}
        case "TypeVarTuple":
            named: dict[str, Any] = {}
        case _:
            names = ("bound", "covariant", "contravariant", "infer_variance")
            named = {name: value for name in names if (value := getattr(obj, f"__{name}__", None))}
    if hasattr(obj, "has_default") and obj.has_default():
        named["default"] = obj.__default__
    return (obj.__name__, *getattr(obj, "__constraints__", ())), named


def reduce_cached(cached: Any) -> Reduced:
    name = cached.__qualname__ if is_definition(cached) else None
    own = cast("dict[str, object]", vars(cached))
    more = {
        each: value
        for each, value in own.items()
        if each not in (*functools.WRAPPER_ASSIGNMENTS, "__wrapped__")
    }
    return make_cached, (cached.__wrapped__, cached.cache_parameters(), name), more


def has_a_reduction(kind: type[object]) -> bool:
    return (
        kind.__reduce__ is not object.__reduce__ or kind.__reduce_ex__ is not object.__reduce_ex__
    )


def reduce_singleton(obj: object) -> Reduced:
    name = obj.__reduce_ex__(PROTOCOL)
    if not isinstance(name, str) or vars(sys.modules["__main__"]).get(name, ABSENT) is not obj:
        return NotImplemented
    return make_singleton, (name, type(obj)), object.__getstate__(obj)


def reduce_code(code: CodeType) -> Reduced:
    reduce: Callable[[CodeType], Any] = cloudpickle.Pickler.dispatch_table[CodeType]
    entry = linecache.cache.get(code.co_filename)
    lines = (
        entry if entry is not None and len(entry) == 4 and entry[1] is None else None
    )  # not those of a file
    return make_code, (reduce(code)[1], code.co_filename, lines)


def reduce_variable(variable: ContextVar[object]) -> Reduced:
    return make_variable, (variable.name, Context().run(value_of, variable), value_of(variable))


def value_of(variable: ContextVar[object]) -> tuple[object, ...]:
    try:
        return (variable.get(),)
    except LookupError:
        return ()


def reduce_weak(weak: Any) -> Reduced:
    return type(weak), (dict(weak.items()),)


REDUCED: Final[dict[type[Any], Callable[[Any], Reduced]]] = {
    CodeType: reduce_code,
    ContextVar: reduce_variable,
    weakref.WeakKeyDictionary: reduce_weak,
    weakref.WeakValueDictionary: reduce_weak,
}
ScriptPickler.dispatch_table = ChainMap(REDUCED, cloudpickle.Pickler.dispatch_table)
