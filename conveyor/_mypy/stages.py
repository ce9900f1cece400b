"""The arguments of `add`, read as stages: what each does with lanes, and what is known of it
without its lane.

Knows: mypy's types, and the protocols in `signatures`.  Must never know: what a row makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mypy.checker import TypeChecker
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type_bare
from mypy.nodes import ARG_POS, ARG_STAR, CallExpr, Expression, TempNode
from mypy.subtypes import find_member
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    LiteralType,
    NoneType,
    ProperType,
    TupleType,
    Type,
    UninhabitedType,
    UnionType,
    get_proper_type,
)

from conveyor._mypy.rows import Lanes, PipelineTypes, Row
from conveyor._mypy.types import ANYTHING, PIPELINES, STAGE, class_of, is_plain

__all__ = ["SELECTS", "Kind", "Stage", "StageReader"]


class Kind(Enum):
    """What a stage does with lanes."""

    ONE = "takes one, gives one"
    FORK = "takes one, gives several"
    JOIN = "takes several, gives one of any of their types"
    ZIP = "takes several, gives one of tuples"
    PART = "is another pipeline: takes one, gives those that it has open"
    FOREIGN = "is no stage"
    ANY = "cannot be told"


SELECTS: Final = "conveyor.signatures.SelectsLanes"
INTO: Final = "conveyor.signatures.Into"

WIDE_STAGES: Final = {
    SELECTS: Kind.FORK,
    "conveyor.signatures.OpensLanes": Kind.FORK,
    "conveyor.signatures.ClosesLanes": Kind.JOIN,
    "conveyor.signatures.ZipsLanes": Kind.ZIP,
}


@dataclass(frozen=True)
class Stage:
    """One argument of `add`."""

    expr: Expression
    kind: Kind
    type: ProperType
    width: int | None = 1  # None: not known before it runs
    adapts: bool = False
    selects: Type | None = None  # what a fork takes that looks at its items
    first: Type | None = None  # what is known of the items in its first lane
    opening: Type | None = None  # how it says what lanes it opens, if it looks at its items
    is_sound: bool = True  # the expression by itself is without error
    repeats: bool = False  # it stands for as many as there is room for: `add(*stages)`
    row: Row | None = None  # of a pipeline


class StageReader:
    """Reads arguments of `add`, with the help of the checker of one file."""

    def __init__(self, checker: TypeChecker, types: PipelineTypes) -> None:
        self.checker = checker
        self.types = types

    def stages(self, call: CallExpr) -> list[Stage] | None:
        """The arguments of `add`; None where they cannot be told."""
        found: list[Stage] = []
        for expr, kind in zip(call.args, call.arg_kinds, strict=True):
            if kind is ARG_POS:
                found.append(self.stage(expr))
            elif kind is ARG_STAR:
                several = self.several(expr)
                if several is None:
                    return None
                found += several
            else:
                return None
        return found

    def several(self, expr: Expression) -> list[Stage] | None:
        """What `*expr` stands for: the elements of a tuple, or any number of one kind."""
        with self.checker.msg.filter_errors(), self.checker.local_type_map:
            kind = get_proper_type(self.checker.expr_checker.accept(expr))
        if isinstance(kind, TupleType):
            return [self.stage(TempNode(item, context=expr)) for item in kind.items]
        iterable = self.checker.named_generic_type("typing.Iterable", [ANYTHING]).type
        if not isinstance(kind, Instance) or not kind.type.has_base(iterable.fullname):
            return None
        (element,) = map_instance_to_supertype(kind, iterable).args
        return [replace(self.stage(TempNode(element, context=expr)), repeats=True)]

    def filled(self, row: Row, stages: list[Stage]) -> list[Stage] | None:
        """The stages with what repeats written out, as often as there are lanes for it; None where
        that cannot be told."""
        repeating = [stage for stage in stages if stage.repeats]
        if not repeating or row.kind in (Lanes.WIDE, Lanes.ADAPTIVE):
            return stages
        if len(repeating) > 1 or repeating[0].kind not in (Kind.ONE, Kind.FORK):
            return None
        others = sum(map(lanes_taken, stages)) - 1
        times = max(0, max(1, len(row.lanes)) - others)
        return [one for stage in stages for one in [stage] * (times if stage.repeats else 1)]

    def stage(self, expr: Expression) -> Stage:
        """Reads an argument by itself, without knowing its lane."""
        with self.checker.msg.filter_errors() as errors, self.checker.local_type_map:
            kind = get_proper_type(self.checker.expr_checker.accept(expr))
        stage = self.classed(expr, kind)
        return replace(stage, is_sound=not errors.has_new_errors())

    def classed(self, expr: Expression, kind: ProperType) -> Stage:
        if isinstance(kind, AnyType | UninhabitedType):
            return Stage(expr, Kind.ANY, kind)
        if isinstance(kind, UnionType):
            parts = [self.classed(expr, get_proper_type(item)) for item in kind.items]
            if all(part.kind is Kind.ONE for part in parts):
                return Stage(expr, Kind.ONE, kind)
            return Stage(expr, Kind.ANY, kind)
        if not isinstance(kind, Instance):
            return Stage(expr, Kind.FOREIGN, kind)
        if any(kind.type.has_base(name) for name in PIPELINES):
            row = self.types.row(kind)
            known = row.kind is Lanes.EXACT
            return Stage(expr, Kind.PART if known else Kind.ANY, kind, row=row)
        if kind.type.get("_lane_") is not None:
            return Stage(expr, Kind.ONE, kind)
        for name, what in WIDE_STAGES.items():
            if kind.type.has_base(name):
                args = map_instance_to_supertype(kind, class_of(self.checker, name)).args
                width = get_proper_type(args[-1])
                if name == SELECTS:
                    return self.selecting(expr, kind, args[0], width)
                if isinstance(width, LiteralType) and isinstance(width.value, int):
                    return Stage(expr, what, kind, width.value)
                return Stage(expr, what, kind, None, adapts=isinstance(width, NoneType))
        is_stage = kind.type.has_base(STAGE) or kind.type.fallback_to_any
        return Stage(expr, Kind.ANY if is_stage else Kind.FOREIGN, kind)

    def selecting(
        self, expr: Expression, kind: Instance, takes: Type, opening: ProperType
    ) -> Stage:
        if isinstance(opening, LiteralType) and isinstance(opening.value, int):
            return Stage(expr, Kind.FORK, kind, opening.value, selects=takes, opening=opening)
        if isinstance(opening, Instance) and opening.type.fullname == INTO:
            return Stage(
                expr, Kind.FORK, kind, 2, selects=takes, first=opening.args[0], opening=opening
            )
        adapts = isinstance(opening, NoneType)
        return Stage(expr, Kind.FORK, kind, None, adapts=adapts, selects=takes)

    def takes(self, stage: Stage) -> ProperType | None:
        """What a stage takes, as far as it is known without its lane."""
        if not isinstance(stage.type, Instance):
            return None
        lane = get_proper_type(find_member("_lane_", stage.type, stage.type))
        return (
            get_proper_type(lane.arg_types[0])
            if isinstance(lane, CallableType) and lane.arg_types
            else None
        )

    def first_takes(self, stage: Stage) -> Type:
        if stage.row is not None:
            return stage.row.takes or ANYTHING
        takes = self.takes(stage) if stage.kind is Kind.ONE else None
        return takes if takes is not None and is_plain(takes) else ANYTHING

    def no_stage(self, stage: Stage) -> str:
        if isinstance(stage.type, FunctionLike):
            if stage.type.is_type_obj() and stage.type.type_object().has_base(STAGE):
                return "is a class, not a stage: call it"
            return "is a function, not a stage: write Processor(...) around it"
        return f"is of type {format_type_bare(stage.type, self.checker.options)}, which is no stage"


def lanes_taken(stage: Stage) -> int:
    """How many lanes a stage of known width takes."""
    return stage.width or 0 if stage.kind in (Kind.JOIN, Kind.ZIP) else 1
