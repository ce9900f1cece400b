"""How a worker rebuilds what a script defines, since it never imports the script: called by the
pickles of `pickling`.

Knows: how classes, code and wrappers are made anew.  Must never know: what was packed and why,
cloudpickle.

Rule 1.  A class is one in each process, whichever pickle brings it: it is filled by the first, and
         by no other.
Rule 2.  Nothing that the script ran once is run again: no `__init_subclass__`, no metaclass of the
         script's own.
Rule 3.  In a worker the script's definitions are found in `__main__` under their names, so that
         `pickle` finds them, too.
"""

from __future__ import annotations

import functools
import linecache
import sys
import types
import typing
from _thread import RLock, allocate_lock
from _thread import _local as local  # pyright: ignore[reportPrivateUsage]  # `threading.local`
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, Final, TypeAlias, cast
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from conveyor.errors import NotPicklable
from conveyor.items.forward_references import annotations_of, hinted

__all__ = [
    "LOCAL",
    "LOCKS",
    "announce",
    "announcing",
    "become_worker",
    "class_key",
    "complete",
    "fill_class",
    "fill_function",
    "loaded",
    "make_cached",
    "make_class",
    "make_code",
    "make_enum",
    "make_local",
    "make_lock",
    "make_singleton",
    "make_typing",
    "make_variable",
    "announced_by",
]

Namespace: TypeAlias = dict[str, Any]
Lines: TypeAlias = "tuple[int, None, list[str], str]"

LOCKS: Final = (type(allocate_lock()), type(RLock()))
LOCAL: Final = local


class Known:
    """The classes that this process shares with others, and the names that stand in its `__main__`
    for the script's."""

    def __init__(self) -> None:
        self.keys: WeakKeyDictionary[type[object], str] = WeakKeyDictionary()
        self.classes: WeakValueDictionary[str, type[object]] = WeakValueDictionary()
        self.filled: set[str] = set()
        # By name; None in a process that has run the script itself.
        self.announced: Namespace | None = None
        self.scope: Namespace = {}  # what the stage that is being loaded has announced
        self.scopes: dict[int, Namespace] = {}  # what each stage of this worker has announced
        # Globals, and the names that are to be looked up in `__main__` for them.
        self.awaited: list[tuple[Namespace, frozenset[str]]] = []

    def add(self, key: str, made: type[object]) -> None:
        self.keys[made], self.classes[key] = key, made


KNOWN: Final = Known()


def become_worker() -> None:
    """From now on the script's definitions come by pickle only, also those that a fork has brought
    along."""
    KNOWN.filled.clear()
    KNOWN.announced = {}


@contextmanager
def announcing() -> Generator[None]:
    """For a while the definitions that come by pickle are found in `__main__`, and what is there
    already stays as it is."""
    before, KNOWN.announced = KNOWN.announced, {}
    try:
        yield
    finally:
        KNOWN.announced = before
        KNOWN.scopes.clear()
        KNOWN.awaited.clear()


def class_key(of: type[object]) -> str:
    """The name of a class among processes: the same class has the same everywhere."""
    key = KNOWN.keys.get(of)
    if key is None:
        key = uuid4().hex
        KNOWN.add(key, of)
        KNOWN.filled.add(key)
    return key


def announce(name: str, value: object) -> None:
    """In a worker: `value` is what the script calls `name`.

    Where several stages share the worker, each has functions of its own: what `__main__` has under
    that name depends on whose turn it is then, and `announced_by` tells.
    """
    if KNOWN.announced is None:
        return
    main = sys.modules["__main__"]
    KNOWN.scope[name] = value
    if KNOWN.announced.setdefault(name, value) is value:
        setattr(main, name, value)
    else:
        vars(main).pop(name, None)


def loaded(stage: object) -> None:
    """All that has been announced since the last stage was loaded is this one's."""
    if KNOWN.announced is not None:
        KNOWN.scopes[id(stage)], KNOWN.scope = KNOWN.scope, {}


def complete() -> None:
    """Puts into `__main__` what the definitions that have come are looked up with: hints by name,
    and subclasses.

    Called when a pickle has been loaded whole, for definitions name one another.  What could not be
    sent stays away, and the look-up of it says why.
    """
    main = sys.modules["__main__"]
    while KNOWN.awaited:
        names, wanted = KNOWN.awaited.pop()
        for name in sorted(wanted):
            try:
                names.setdefault(name, getattr(main, name))
            except (AttributeError, NotPicklable):
                continue


def announced_by(stage: object, name: str, otherwise: object) -> object:
    """Gives what a stage has announced as `name`; if it has announced nothing, what the first stage
    did that has; else `otherwise`."""
    scope = KNOWN.scopes.get(id(stage), KNOWN.scope)
    return scope.get(name, (KNOWN.announced or {}).get(name, otherwise))


# ----------------------------------------------------------------------------------------------
# classes


def make_class(
    key: str,
    maker: type[type] | None,
    meta: type[type],
    name: str,
    bases: tuple[Any, ...],
    namespace: Namespace,
) -> type[object]:
    """The class of that key, empty if it is new here; `maker` makes it where the metaclass is the
    script's own."""
    if (known := KNOWN.classes.get(key)) is not None:
        return known
    with hooks_at_rest(bases):
        made: type[object]
        if maker is not None:
            made = cast("Callable[..., type[object]]", maker.__new__)(
                meta, name, bases, dict(namespace)
            )
        else:
            made = types.new_class(
                name, bases, {"metaclass": meta}, lambda names: names.update(namespace)
            )
    KNOWN.add(key, made)
    return made


@contextmanager
def hooks_at_rest(bases: tuple[Any, ...]) -> Generator[None]:
    """No `__init_subclass__` of a class that came by pickle is called: what it did once has come by
    pickle, too."""
    above = [each for base in types.resolve_bases(bases) for each in base.__mro__]
    holder = next((each for each in above if "__init_subclass__" in vars(each)), object)
    hook = vars(holder)["__init_subclass__"]
    if holder not in KNOWN.keys:
        yield
        return
    type.__setattr__(holder, "__init_subclass__", classmethod(nothing))
    try:
        yield
    finally:
        type.__setattr__(holder, "__init_subclass__", hook)


def nothing(_cls: object, /, *_: object, **__: object) -> None:
    """In place of a hook."""


def make_enum(
    key: str,
    bases: tuple[type[Any], ...],
    name: str,
    namespace: Namespace,
    members: Namespace,
    kind: type[Any] | None = None,
    contents: dict[str, tuple[Any, ...]] | None = None,
    more_values: dict[object, str] | None = None,
) -> type[object]:
    """The enumeration of that key, with its members, if it is new here without anything else.

    No `__new__` and no `__init__` that once made a member is called again, and none sees its value:
    a member is made of its content, by `kind`, the type that is mixed in.  Older recordings do not
    tell these: there the content is the value.
    """
    if (known := KNOWN.classes.get(key)) is not None:
        return known

    def new(cls: Any, *said: Any) -> object:
        each: str = said[0] if isinstance(said[0], str) else said[0][0]
        of: type[Any] = cls._member_type_ if kind is None else kind
        told = () if of is object else (members[each],)
        member = of.__new__(cls, *(told if contents is None else contents[each]))
        member._value_ = members[each]
        return cast("object", member)

    meta: Any = type(bases[-1])
    names = meta.__prepare__(name, bases)
    # Each is written as its name: a value that is a function would be taken for a method.
    written = {each: (each,) for each in members}
    for each, value in {**namespace, **written, "__new__": new, "__init__": nothing}.items():
        names[each] = value
    made: Any = meta.__new__(meta, name, bases, names)
    for each in ("__init__", "__new_member__"):
        type.__delattr__(made, each)
    for value, each in (more_values or {}).items():
        made._value2member_map_[value] = made[each]
    KNOWN.add(key, made)
    return cast("type[object]", made)


def fill_class(
    made: type[object],
    states: tuple[Namespace, Sequence[type[object]], dict[str, Namespace], bool, tuple[str, ...]],
) -> None:
    """Gives a class its attributes, the classes registered with it, and its members theirs; once in
    each process."""
    key = KNOWN.keys[made]
    if key in KNOWN.filled:
        return
    KNOWN.filled.add(key)
    attributes, registered, members, is_definition, subclasses = states
    for name, value in attributes.items():
        type.__setattr__(made, name, value)
    if "__firstlineno__" in attributes:  # setting another attribute may have taken it away
        type.__setattr__(made, "__firstlineno__", attributes["__firstlineno__"])
    for each in registered:
        cast("Any", made).register(each)
    for name, own in members.items():
        for attribute, value in own.items():
            object.__setattr__(cast("Any", made)[name], attribute, value)
    if is_definition:
        announce(made.__qualname__, made)
    if KNOWN.announced is not None:
        wanted = hinted(attributes.get("__annotations__"))
        KNOWN.awaited.append((vars(sys.modules["__main__"]), wanted.union(subclasses)))
        for each in attributes.values():
            awaits(getattr(each, "__func__", each))


def awaits(function: object) -> None:
    """The names in the hints of a function are to be among its globals."""
    if isinstance(function, types.FunctionType) and KNOWN.announced is not None:
        KNOWN.awaited.append((function.__globals__, hinted(annotations_of(function))))


# ----------------------------------------------------------------------------------------------
# functions, code


def make_code(parts: tuple[Any, ...], filename: str, lines: Lines | None) -> CodeType:
    """Code that knows its file, or, where there is none, its lines: those of a notebook's cell."""
    if lines is not None:
        linecache.cache.setdefault(filename, lines)
    return CodeType(*parts).replace(co_filename=filename)


def fill_function(
    made: types.FunctionType, filling: tuple[Callable[[object, object], None], object]
) -> None:
    """Fills a function that the script has under its name."""
    fill, state = filling
    fill(made, state)
    announce(made.__qualname__, made)
    awaits(made)


def make_cached(function: Callable[..., object], parameters: Namespace, name: str | None) -> object:
    """A function with a cache of its own."""
    made = functools.lru_cache(**parameters)(function)
    if name is not None:
        announce(name, made)
    return made


# ----------------------------------------------------------------------------------------------
# what each process has one of


def make_lock(kind: int) -> object:
    """Makes a lock of this process's own, which is free."""
    return (allocate_lock, RLock)[kind]()


def make_local(kind: type[object]) -> object:
    """Values of each thread's own."""
    return kind()


def make_variable(
    name: str, default: tuple[object, ...], value: tuple[object, ...]
) -> ContextVar[object]:
    """A context variable, with the value that it had when it was packed."""
    made: ContextVar[object] = ContextVar(name, default=default[0]) if default else ContextVar(name)
    if value:
        made.set(value[0])
    return made


def make_typing(
    kind: str, home: str, module: str, is_definition: bool, args: tuple[Any, ...], named: Namespace
) -> object:
    """A `NewType`, a type variable or the like: if it is the script's, one in each worker."""
    name: str = args[0]
    if is_definition and KNOWN.announced is not None and name in KNOWN.announced:
        return cast("object", KNOWN.announced[name])
    maker: object = getattr(sys.modules.get(home, typing), kind)
    # They say that they are of the module that calls.
    made: object = eval(
        "maker(*args, **named)", {"__name__": module, "maker": maker, "args": args, "named": named}
    )
    if is_definition:
        announce(name, made)
    return made


def make_singleton(name: str, kind: type[object]) -> object:
    """An object that pickles as its name in the script: one in each worker."""
    if KNOWN.announced is not None and name in KNOWN.announced:
        return cast("object", KNOWN.announced[name])
    made = object.__new__(kind)
    announce(name, made)
    return made
