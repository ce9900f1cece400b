"""mypy's types, taken apart and changed; and the names of the library's classes as mypy knows them.

Knows: mypy's types.  Must never know: what a row is, or which variable holds the pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mypy.checker import TypeChecker
from mypy.nodes import ArgKind, TypeInfo
from mypy.types import (
    AnyType,
    CallableType,
    Instance,
    NoneType,
    ProperType,
    Type,
    TypeOfAny,
    TypeVarLikeType,
    TypeVarType,
    UninhabitedType,
    UnionType,
    UnpackType,
    get_proper_type,
)

__all__ = [
    "ANYTHING",
    "ADAPTIVE",
    "FILTER",
    "PIPELINE",
    "PIPELINES",
    "ROWS",
    "PROCESSOR",
    "STAGE",
    "STATEMENT",
    "UNCHECKED",
    "UNDECLARED",
    "WIDE",
    "any_lane",
    "changed",
    "class_of",
    "given_by",
    "giving",
    "has_any_lanes",
    "is_object",
    "is_of_a_partial",
    "is_plain",
    "is_processor",
    "without_none",
]

ANYTHING: Final = AnyType(TypeOfAny.special_form)

PIPELINE: Final = "conveyor.pipeline.Pipeline"
ROWS: Final = "conveyor._rows.Rows"
STATEMENT: Final = "conveyor.pipeline.StatementPipeline"
UNCHECKED: Final = "conveyor.pipeline.UncheckedPipeline"
WIDE: Final = "conveyor.pipeline.WidePipeline"
ADAPTIVE: Final = "conveyor.pipeline.AdaptivePipeline"
PIPELINES: Final = frozenset({PIPELINE, STATEMENT, UNCHECKED, WIDE, ADAPTIVE})
UNDECLARED: Final = "conveyor.signatures.Undeclared"
STAGE: Final = "conveyor.stages.stage.Stage"
PROCESSOR: Final = "conveyor.stages.jobs.Processor"
FILTER: Final = "conveyor.stages.jobs.Filter"


def class_of(checker: TypeChecker, fullname: str) -> TypeInfo:
    """Gives a class of the library; a module is not always known to its package, so mypy's own way
    does not find it."""
    module, _, name = fullname.rpartition(".")
    info = checker.modules[module].names[name].node
    assert isinstance(info, TypeInfo)
    return info


def has_any_lanes(kind: Instance) -> bool:
    return any(isinstance(get_proper_type(arg), UnpackType) for arg in kind.args)


def any_lane(kind: Instance) -> Type | None:
    """The type of the lanes of a pipeline with any number of them."""
    for arg in map(get_proper_type, kind.args):
        if isinstance(arg, UnpackType) and isinstance(lanes := get_proper_type(arg.type), Instance):
            return get_proper_type(lanes.args[0])
    return None


def is_plain(kind: ProperType) -> bool:
    return not isinstance(kind, AnyType | UninhabitedType | TypeVarType)


def is_of_a_partial(takes: ProperType) -> bool:
    """Does this stand for a partial that cannot be called with what the lane carries, whatever else
    it takes?"""
    return (
        isinstance(takes, Instance)
        and takes.type.fullname == "conveyor.signatures.WhatThePartialLeavesOpen"
    )


def is_processor(kind: ProperType) -> bool:
    """A None that a processor returns is no item; from anything else it is one."""
    items = kind.items if isinstance(kind, UnionType) else [kind]
    return any(
        isinstance(item, Instance) and item.type.has_base(PROCESSOR)
        for item in map(get_proper_type, items)
    )


def without_none(kind: Type) -> Type:
    proper = get_proper_type(kind)
    if isinstance(proper, NoneType):
        return UninhabitedType()
    if isinstance(proper, UnionType):
        return UnionType.make_union(
            [item for item in proper.items if not isinstance(get_proper_type(item), NoneType)]
        )
    return kind


def changed(
    signature: CallableType,
    arg_types: Sequence[Type],
    arg_kinds: Sequence[ArgKind],
    arg_names: Sequence[str | None],
    variables: Sequence[TypeVarLikeType],
    ret_type: Type,
) -> CallableType:
    """A copy of a function with another signature."""
    return signature.copy_modified(  # pyright: ignore[reportUnknownMemberType]  # mypy leaves these parameters without a type
        arg_types=list(arg_types),
        arg_kinds=list(arg_kinds),
        arg_names=list(arg_names),
        variables=list(variables),
        ret_type=ret_type,
    )


def giving(signature: CallableType, ret_type: Type) -> CallableType:
    return changed(
        signature,
        signature.arg_types,
        signature.arg_kinds,
        signature.arg_names,
        signature.variables,
        ret_type,
    )


def given_by(function: Type) -> ProperType | None:
    """What a function, or what a `functools.partial` has left open of one, gives."""
    proper = get_proper_type(function)
    if isinstance(proper, Instance) and proper.extra_attrs is not None:
        proper = get_proper_type(proper.extra_attrs.attrs.get("__mypy_partial", proper))
    if not isinstance(proper, CallableType) or proper.variables:
        return None
    return get_proper_type(proper.ret_type)


def is_object(kind: Type) -> bool:
    proper = get_proper_type(kind)
    return isinstance(proper, Instance) and proper.type.fullname == "builtins.object"
