"""What the names in an annotation stand for: it is read as if where it was written.

Knows: Python's scopes, as functions and classes remember them.  Must never know: what a type is, or
fits.

Rule 1.  A name stands for what is bound nearest to the annotation: in its class, in the functions
         around, then in its module.
Rule 2.  What a function binds is gone when it has returned, but for what is captured.  A name that
         was bound there stands for nothing that is known, even if the module has another thing of
         this name.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final, ForwardRef, cast, get_args, get_origin, get_type_hints

from typing_extensions import get_original_bases, is_typeddict

from conveyor.items.forward_references import annotations_of, same_hint

__all__ = [
    "Scope",
    "annotation_in",
    "fields_in",
    "hint_in",
    "hints_in",
    "scope_of_alias",
    "scope_of_function",
]


class AllButBuiltins(Container[str]):
    """The names that may be bound in scopes of which nothing is known."""

    def __contains__(self, name: object) -> bool:
        return not hasattr(builtins, str(name))


ANY_NAME: Final = AllButBuiltins()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an annotation stands: its module's names, those bound nearer, and those whose nearer
    meaning is not known."""

    module: dict[str, Any]
    near: Mapping[str, object]
    hidden: Container[str] = ()

    def evaluate(self, hint: object) -> object:
        """The annotation with the names in it looked up; raises `NameError` where one is missing or
        hidden."""
        if isinstance(hint, type):
            return hint
        for name in names_in(hint):
            if name in self.hidden and name not in self.near:
                raise NameError(name)
        holder = type("Holder", (), {"__annotations__": {"hint": hint}})
        read: object = get_type_hints(holder, self.module, dict(self.near), include_extras=True)[
            "hint"
        ]
        return read


def names_in(hint: object) -> Iterator[str]:
    """The names in the strings of an annotation."""
    text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    if not isinstance(text, str):
        # A list: of parameters
        parts = cast("list[object]", hint) if isinstance(hint, list) else get_args(hint)
        for part in parts:
            yield from names_in(part)
        return
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:  # of a Literal
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from names_in(node.value)


# ----------------------------------------------------------------------------------------------
# where things are


def scope_of_function(function: FunctionType) -> Scope:
    """Where the annotations of a function stand."""
    own = type_parameters_of(function)
    around = scope_around(function.__qualname__, function.__globals__, captured_by(function))
    return Scope(around.module, {**around.near, **own}, around.hidden)


def captured_by(function: FunctionType) -> dict[str, object]:
    """What a function uses of the functions around it."""
    known: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # nothing is in it yet
            known[name] = cell.cell_contents
    return known


def scope_of_class(cls: type) -> Scope:
    """Where the annotations in the body of a class stand."""
    around = scope_around(f"{cls.__qualname__}.", vars(sys.modules[cls.__module__]), {})
    return Scope(around.module, {**around.near, **names_of(cls)}, around.hidden)


def scope_of_alias(alias: Any) -> Scope:
    """Where the value of a type alias stands, if it is a string: known only of one that its module
    has."""
    module = vars(sys.modules[alias.__module__])
    return Scope(module, {}, () if module.get(alias.__name__) is alias else ANY_NAME)


def scope_around(qualname: str, module: dict[str, Any], captured: Mapping[str, object]) -> Scope:
    """The scope in which something of this name was written."""
    path = qualname.split(".")[:-1]
    near, hidden = dict(captured), set[str]()
    names: Mapping[str, object] = module
    # Of what is around; none at the top of a module, and in its classes.
    codes: Sequence[CodeType] = ()
    for at, part in enumerate(path):
        if part == "<locals>":
            continue
        where, is_last = ".".join(path[: at + 1]), at == len(path) - 1
        thing = None if codes else names.get(part)
        if path[at + 1 : at + 2] == ["<locals>"]:
            codes = nested(codes, part) if codes else code_of(thing, where)
            if not codes:
                return Scope(module, near, ANY_NAME)
            near.update(type_parameters_of(thing))
            hidden.update(name for code in codes for name in (*code.co_varnames, *code.co_cellvars))
        elif codes:
            codes = nested(codes, part)
            hidden.update(
                bound := {name for code in codes for name in bound_by(code)} if is_last else ()
            )
            near = {name: value for name, value in near.items() if name not in bound}
        elif isinstance(thing, type) and thing.__qualname__ == where:
            names = vars(thing)
            near.update(names_of(thing) if is_last else ())
        else:
            return Scope(module, near, ANY_NAME)
    return Scope(module, near, hidden)


def names_of(cls: type) -> dict[str, object]:
    """What is bound in the body of a class."""
    return {**type_parameters_of(cls), **vars(cls)}


def type_parameters_of(thing: object) -> dict[str, object]:
    return {parameter.__name__: parameter for parameter in getattr(thing, "__type_params__", ())}


def code_of(thing: object, qualname: str) -> Sequence[CodeType]:
    """The code of a function, also where a decorator has wrapped it; empty if that is not what has
    this name."""
    for function in (thing, getattr(thing, "__func__", None), getattr(thing, "fget", None)):
        inner = inspect.unwrap(function) if callable(function) else None
        if isinstance(inner, FunctionType) and inner.__qualname__ == qualname:
            return [inner.__code__]
    return ()


def nested(codes: Sequence[CodeType], name: str) -> list[CodeType]:
    """The code of the functions and classes of this name that are written inside others."""
    inner = [each for code in codes for each in code.co_consts if isinstance(each, CodeType)]
    generic = [code for code in inner if code.co_name.startswith("<generic parameters of")]
    return [code for code in inner if code.co_name == name] + (
        nested(generic, name) if generic else []
    )


def bound_by(code: CodeType) -> set[str]:
    """What is bound in the body of a class."""
    return {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("STORE_NAME", "STORE_GLOBAL")
    }


# ----------------------------------------------------------------------------------------------
# in a class


def hint_in(cls: type, name: str) -> object:
    """What an annotation in the body of a class, or of one of its bases, says; raises `NameError`
    as above."""
    definer, hint = annotation_in(cls, name)
    return scope_of_class(definer).evaluate(hint)


def fields_in(cls: type) -> set[str]:
    """The names that have an annotation in the body of a class, or of one of its bases."""
    return {name for base in cls.__mro__ for name in annotations_of(base)}


def hints_in(cls: type) -> dict[str, object]:
    """What all the annotations of a TypedDict or a NamedTuple say."""
    return {name: hint_in(cls, name) for name in annotations_of(cls)}


def annotation_in(cls: type, name: str) -> tuple[type, object]:
    """Which class has the annotation, and what it is: a TypedDict has those of its bases as its
    own."""
    if is_typeddict(cls):
        hint = annotations_of(cls)[name]
        for base in (get_origin(each) or each for each in get_original_bases(cls)):
            if (
                isinstance(base, type)
                and is_typeddict(base)
                and same_hint(annotations_of(base).get(name), hint)
            ):
                return annotation_in(base, name)
        return cls, hint
    for base in cls.__mro__:
        if name in annotations_of(base):
            return base, annotations_of(base)[name]
    raise NameError(name)
