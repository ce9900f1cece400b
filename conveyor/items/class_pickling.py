"""What a class that is sent by value is made of: its bases, its attributes, its members.

Nothing that the script ran once is run again when the class is rebuilt, so everything that such
code left on the class travels as an attribute.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from enum import Enum
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, TypeAlias, cast

from conveyor.items.by_name import by_value, is_definition
from conveyor.items.forward_references import annotations_to_send
from conveyor.items.unpickling import class_key, fill_class, make_class, make_enum

__all__ = ["attributes_of"]


Reduced: TypeAlias = Any  # as `pickle` takes it

NOT_MINE: Final = frozenset(
    {
        *("__dict__", "__weakref__", "__class__", "_abc_impl"),
        *("__annotate_func__", "__annotations_cache__"),
    }
)


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
    # A `__class__` that a proxy says of its instances would be taken for the metaclass later
    here = ("__orig_bases__", "__class__")
    return names | {name: vars(of)[name] for name in here if name in vars(of)}


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
    if "__annotations__" not in found and (hints := annotations_to_send(of)):
        found["__annotations__"] = hints  # the function that evaluates them does not travel
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
    made_by_enum = (
        *("__new__", "_generate_next_value_", "_member_names_"),
        *("_member_map_", "_member_type_", "_value2member_map_"),
    )
    attributes = {
        name: value
        for name, value in attributes_of(of).items()
        if name not in made_by_enum and name not in members
    }
    by_member = {name: attributes_of_member(member) for name, member in of.__members__.items()}
    kind = next(each for each in member_type_of(of).__mro__ if not by_value(each))
    contents = {name: content_of(member, kind) for name, member in of.__members__.items()}
    names = (of.__bases__, of.__name__, names_at_birth(of))
    return (
        make_enum,
        (class_key(of), *names, members, kind, contents, more_values_of(of)),
        (attributes, [], by_member, is_definition(of), ()),
        None,
        None,
        fill_class,
    )


def member_type_of(of: type[Enum]) -> type[Any]:
    """The type that is mixed into an enumeration; `object` if none is."""
    mixed_in: type[Any] = getattr(of, "_member_type_")  # noqa: B009  # there is no public way
    return mixed_in


def more_values_of(of: type[Enum]) -> dict[object, str]:
    """The names of members by what finds them beside their value."""
    found: dict[object, Enum] = getattr(of, "_value2member_map_")  # noqa: B009  # nor to this
    return {
        value: member.name
        for value, member in found.items()
        if of.__members__.get(member.name) is member and value is not member.value
    }


def content_of(member: Enum, kind: type[Any]) -> tuple[Any, ...]:
    """What the `__new__` of the type that is mixed in makes a member's content of: its value may
    have nothing to do with that."""
    reduce: Any = kind.__reduce__
    if reduce is not object.__reduce__:
        made, args, *_ = reduce(member)
        return tuple(args) if made is type(member) else (member.value,)
    return tuple(kind.__getnewargs__(member)) if hasattr(kind, "__getnewargs__") else ()


def attributes_of_member(member: Enum) -> dict[str, object]:
    """What an `__init__`, a `__new__` or a class that is mixed in gave to a member."""
    own: object = object.__getstate__(member)
    parts: object = own if issubclass(type(own), tuple) else (own,)  # the second are its slots
    return {
        name: value
        for part in cast("tuple[dict[str, object] | None, ...]", parts)
        for name, value in (part or {}).items()
        if not (name[0] == name[-1] == "_")
    }
