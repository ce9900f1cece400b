"""Pickles stages and what a script defines by value, as cloudpickle does, and what it does not
know.

Knows: cloudpickle, and what functions and wrappers are made of.  Must never know: how processes are
started.

Rule 1.  A lambda, a closure, and whatever is defined in `__main__` travels by value; what a worker
         can import, by name (`by_name`).
Rule 2.  A lock or a `threading.local` that a function or a class of the script keeps, in a global
         or as an attribute, is one of each process, as if each had run the script.  Inside of an
         object it is part of a state, which cannot be copied.
Rule 3.  A cache travels empty.  A function keeps its file and line.
Rule 4.  What belongs to this library is called by a name of `conveyor.pickles`, not by the path of
         its module: a kept recording holds such pickles.
"""

from __future__ import annotations

import contextlib
import functools
import io
import linecache
import sys
import typing
import weakref
from collections import ChainMap
from collections.abc import Callable
from contextvars import Context, ContextVar
from enum import Enum
from types import CodeType, FunctionType
from typing import Any, Final, cast

import cloudpickle

from conveyor.items.by_name import (
    ABSENT,
    CACHED,
    KINDS,
    PROTOCOL,
    SCRIPT,
    by_value,
    globals_of,
    has_a_reduction,
    is_definition,
    is_found,
    is_of_each_process,
    lock_of,
    submodules_of,
)
from conveyor.items.class_pickling import Reduced, reduce_class, reduce_enum
from conveyor.items.forward_references import annotations_to_send
from conveyor.items.unpickling import (
    LOCAL,
    LOCKS,
    fill_function,
    make_cached,
    make_code,
    make_local,
    make_lock,
    make_singleton,
    make_typing,
    make_variable,
)
from conveyor.pickles import name_of, named

__all__ = ["ScriptPickler", "dumped"]


def dumped(value: object, first: Callable[[object], Reduced] | None = None) -> bytes:
    """`value`, pickled by value where it must be; `first` may reduce an object in its own way, or
    give `NotImplemented`."""
    script = sys.modules.get(SCRIPT[1])
    # A process of multiprocessing's; ours cannot import that
    if script is not None and script.__name__ == SCRIPT[1]:
        cloudpickle.register_pickle_by_value(script)
    with io.BytesIO() as file:
        ScriptPickler(file, PROTOCOL, first).dump(value)
        return file.getvalue()


class ScriptPickler(cloudpickle.Pickler):
    """Pickles by value what workers cannot import."""

    def __init__(
        self, file: io.BytesIO, protocol: int, first: Callable[[object], Reduced] | None = None
    ) -> None:
        super().__init__(file, protocol)
        self.first = first
        self.own: set[int] = set()  # locks and the like that each process has one of
        self.under_way: set[int] = set()
        # By class: may its objects pickle as their names in the script?
        self.singular: dict[type[object], bool] = {}

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
        if kind in BY_PARTS:
            return BY_PARTS[kind](obj)
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
        reduced: Reduced = super().reducer_override(with_annotations(function))
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


def with_annotations(function: FunctionType) -> FunctionType:
    """The function; if its annotations cannot be evaluated yet, as may be since Python 3.14, one
    like it in which they are text."""
    try:
        function.__annotations__  # noqa: B018  # this evaluates them
    except Exception:
        if not by_value(function):
            return function
        like = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        functools.update_wrapper(like, function)
        del like.__dict__["__wrapped__"]
        like.__kwdefaults__ = function.__kwdefaults__
        like.__annotations__ = dict(annotations_to_send(function))
        return like
    return function


def reduce_forward_reference(reference: Any) -> Reduced:
    """By its text: since Python 3.14 it has the names of its module, too."""
    return typing.ForwardRef, (reference.__forward_arg__,)


def reduce_partial_method(method: Any) -> Reduced:
    """By what it is made with: since Python 3.14 none is made without."""
    return functools.partialmethod, (method.func, *method.args), {"keywords": method.keywords}


BY_PARTS: Final[dict[type, Callable[[Any], Reduced]]] = {
    typing.ForwardRef: reduce_forward_reference,
    functools.partialmethod: reduce_partial_method,
}


def reduce_cached(cached: Any) -> Reduced:
    name = cached.__qualname__ if is_definition(cached) else None
    own = cast("dict[str, object]", vars(cached))
    more = {
        each: value
        for each, value in own.items()
        if each not in (*functools.WRAPPER_ASSIGNMENTS, "__wrapped__")
    }
    return make_cached, (cached.__wrapped__, cached.cache_parameters(), name), more


def reduce_singleton(obj: object) -> Reduced:
    name = obj.__reduce_ex__(PROTOCOL)
    if not isinstance(name, str) or vars(sys.modules["__main__"]).get(name, ABSENT) is not obj:
        return NotImplemented
    return make_singleton, (name, type(obj)), object.__getstate__(obj)


def reduce_code(code: CodeType) -> Reduced:
    reduce: Callable[[CodeType], Any] = cloudpickle.Pickler.dispatch_table[CodeType]
    entry = linecache.cache.get(code.co_filename)
    # Not those of a file
    lines = entry if entry is not None and len(entry) == 4 and entry[1] is None else None
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


def reduce_manager(manager: Any) -> Reduced:
    """What decorates a function makes a manager of its kind for each call, and is never entered."""
    if not hasattr(manager, "func"):  # it was entered, and its generator is under way
        return object.__reduce_ex__(manager, PROTOCOL)
    return type(manager), (manager.func, manager.args, manager.kwds)


MANAGER: Final[type[Any]] = getattr(contextlib, "_GeneratorContextManager")  # noqa: B009  # there is no public way

REDUCED: Final[dict[type[Any], Callable[[Any], Reduced]]] = {
    CodeType: reduce_code,
    ContextVar: reduce_variable,
    MANAGER: reduce_manager,
    weakref.WeakKeyDictionary: reduce_weak,
    weakref.WeakValueDictionary: reduce_weak,
}
ScriptPickler.dispatch_table = ChainMap(REDUCED, cloudpickle.Pickler.dispatch_table)
