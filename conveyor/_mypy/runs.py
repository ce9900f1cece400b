"""What mypy is told of `run` and its like, on a pipeline whose open lanes are known.

Knows: mypy's types.  Must never know: which variable holds the pipeline.
"""

from __future__ import annotations

from mypy.checker import TypeChecker
from mypy.expandtype import expand_type
from mypy.messages import format_type_bare
from mypy.nodes import ARG_POS, Expression
from mypy.typeops import make_simplified_union
from mypy.types import (
    CallableType,
    Instance,
    NoneType,
    Overloaded,
    Type,
    TypeVarId,
    TypeVarType,
    get_proper_type,
)

from conveyor._mypy.rows import Lanes, Row
from conveyor._mypy.types import ANYTHING, PIPELINE, changed, class_of

__all__ = ["run_signature", "wrong_input"]


def run_signature(
    checker: TypeChecker, rows: list[Row], name: str, otherwise: CallableType
) -> CallableType:
    """The signature of `run` and its like on a pipeline with one open lane, with the types of
    this one filled in."""
    found = class_of(checker, PIPELINE).get(name)
    kind = get_proper_type(found.type) if found is not None and found.type is not None else None
    kind = kind.items[0] if isinstance(kind, Overloaded) else kind
    if not isinstance(kind, CallableType) or not kind.arg_types:
        return otherwise
    itself = get_proper_type(kind.arg_types[0])
    if not isinstance(itself, Instance) or not all(
        isinstance(get_proper_type(arg), TypeVarType) for arg in itself.args
    ):
        return otherwise
    takes = rows[0].takes if len({str(row.takes) for row in rows}) == 1 else None
    gives = [
        row.lanes[0] if row.kind is Lanes.EXACT and len(row.lanes) == 1 else ANYTHING
        for row in rows
    ]
    filled: dict[TypeVarId, Type] = {}
    for variable, value in zip(
        itself.args, (takes or ANYTHING, make_simplified_union(gives)), strict=False
    ):
        variable = get_proper_type(variable)
        assert isinstance(variable, TypeVarType)
        filled[variable.id] = value
    variables = [variable for variable in kind.variables if variable.id not in filled]
    bound = changed(
        kind,
        kind.arg_types[1:],
        kind.arg_kinds[1:],
        kind.arg_names[1:],
        variables,
        kind.ret_type,
    )
    return expand_type(bound, filled)


def wrong_input(
    checker: TypeChecker, rows: list[Row], name: str, signature: CallableType, items: Expression
) -> str | None:
    """The sentence for items that the pipeline does not take."""
    takes = rows[0].takes
    if takes is None or not signature.arg_types:
        return None
    with checker.msg.filter_errors() as own, checker.local_type_map:
        given = checker.expr_checker.accept(items)
    probe = CallableType(
        [signature.arg_types[0]],
        [ARG_POS],
        [None],
        NoneType(),
        checker.named_type("builtins.function"),
    )
    with checker.msg.filter_errors() as errors, checker.local_type_map:
        checker.expr_checker.check_call(probe, [items], [ARG_POS], items)
    if own.has_new_errors() or not errors.has_new_errors():
        return None
    wants, has = (format_type_bare(kind, checker.options) for kind in (takes, given))
    return f"this pipeline takes items of type {wants}, but {name}() is given {has}"
