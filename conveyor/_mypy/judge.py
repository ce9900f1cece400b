"""What a row of stages makes of the open lanes, in mypy's types; and what is wrong with it, in
words.

Knows: mypy's types, and the protocols in `signatures`.  Must never know: which variable holds the
pipeline, and where it was used before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mypy.checker import TypeChecker
from mypy.messages import format_type_bare
from mypy.nodes import ARG_POS, CallExpr, Context, Expression, LambdaExpr
from mypy.subtypes import is_subtype
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    Instance,
    TupleType,
    Type,
    TypeOfAny,
    TypeVarId,
    TypeVarType,
    UninhabitedType,
    get_proper_type,
)

from conveyor._mypy.rows import Lanes, Row, count
from conveyor._mypy.stages import SELECTS, Kind, Stage, StageReader, lanes_taken
from conveyor._mypy.types import (
    ANYTHING,
    class_of,
    is_of_a_partial,
    is_plain,
    is_processor,
    without_none,
)

__all__ = ["Added", "Judge", "Mistake"]


@dataclass(frozen=True)
class Mistake:
    sentence: str
    where: Context


@dataclass(frozen=True)
class Added:
    """What one row makes of one pipeline; without formals mypy has nothing to check."""

    row: Row
    formals: tuple[Type, ...] = ()
    variables: tuple[TypeVarType, ...] = ()
    mistake: Mistake | None = None


class Judge:
    """Says what a row of stages makes of the open lanes, with the checker of one file."""

    def __init__(self, checker: TypeChecker, reader: StageReader) -> None:
        self.checker = checker
        self.reader = reader

    def made(self, row: Row, stages: list[Stage]) -> Added:
        """Says what becomes of `row` when these stages are added."""
        unknown = Added(replace(row, kind=Lanes.UNKNOWN, lanes=()))
        filled = self.reader.filled(row, stages)
        if filled is None:
            return unknown
        for number, stage in enumerate(filled, 1):
            if stage.kind is Kind.FOREIGN:
                sentence = f"stage {number} of this row {self.reader.no_stage(stage)}"
                return replace(unknown, mistake=Mistake(sentence, stage.expr))
        if row.kind is Lanes.UNKNOWN or not filled or any(s.kind is Kind.ANY for s in filled):
            return unknown
        if row.kind in (Lanes.WIDE, Lanes.ADAPTIVE):
            return self.made_of_many(row, filled, unknown)
        if row.kind is Lanes.NOTHING:
            if filled[0].kind in (Kind.JOIN, Kind.ZIP):
                sentence = "a pipeline cannot begin with a Join or a Zip"
                return replace(unknown, mistake=Mistake(sentence, filled[0].expr))
            takes = row.takes or self.reader.first_takes(filled[0])
            row = replace(row, takes=takes, lanes=(takes,))
        return self.made_of_known(row, filled, unknown)

    def made_of_known(self, row: Row, stages: list[Stage], unknown: Added) -> Added:
        """Says what becomes of so many lanes of these types."""
        lanes = row.lanes
        if len(stages) > 1:
            # Beside other stages what a fork without a number opens is written as one lane.
            stages = [replace(stage, width=1) if stage.adapts else stage for stage in stages]
        elif stages[0].adapts and stages[0].kind in (Kind.JOIN, Kind.ZIP):
            sentence = (
                f"Join() closes what a BalancingFork() opened; with {count(lanes)} open, "
                "say how many it joins"
            )
            return replace(unknown, mistake=Mistake(sentence, stages[0].expr))
        if any(stage.width is None for stage in stages):
            return self.made_of_unknown_width(row, lanes, stages, unknown)
        taken = sum(lanes_taken(stage) for stage in stages)
        if taken != len(lanes):
            are = "is" if len(lanes) == 1 else "are"
            sentence = f"this row takes {count(taken)}, but {count(lanes)} {are} open"
            return replace(unknown, mistake=Mistake(sentence, stages[0].expr))
        return self.matched(row, stages, unknown)

    def matched(self, row: Row, stages: list[Stage], unknown: Added) -> Added:
        """Gives each stage its lanes, left to right."""
        formals, variables = list[Type](), list[TypeVarType]()
        given, left = list[Type](), list(row.lanes)
        for number, stage in enumerate(stages, 1):
            if stage.kind in (Kind.ONE, Kind.PART):
                out = self.fit(stage, left.pop(0), number)
                if out.mistake is not None:
                    return replace(unknown, mistake=out.mistake)
                given.extend(out.row.lanes)
                formals.extend(out.formals)
                variables.extend(out.variables)
                continue
            width = stage.width or 0
            formals.append(ANYTHING)
            if stage.kind is Kind.FORK:
                lane = left.pop(0)
                if stage.opening is not None:  # so that a lambda knows its item
                    selects = class_of(self.checker, SELECTS)
                    formals[-1] = Instance(selects, [lane, stage.opening])
                if (mistake := self.fork_misfit(stage, lane, number)) is not None:
                    return replace(unknown, mistake=mistake)
                given.extend([lane if stage.first is None else stage.first, *[lane] * (width - 1)])
            else:
                given.append(self.closed(stage, left[:width]))
                del left[:width]
        return Added(Row(row.takes, Lanes.EXACT, tuple(given)), tuple(formals), tuple(variables))

    def made_of_many(self, row: Row, stages: list[Stage], unknown: Added) -> Added:
        """Behind a fork whose width is not known: stages are checked against the one type that all
        lanes carry."""
        lane, adapts = row.lanes[0], row.kind is Lanes.ADAPTIVE
        first = stages[0]
        if len(stages) == 1 and first.kind in (Kind.JOIN, Kind.ZIP):
            if adapts and not (first.kind is Kind.JOIN and first.adapts):
                return replace(
                    unknown,
                    mistake=Mistake(
                        "what a BalancingFork() opened is closed by Join()", first.expr
                    ),
                )
            given = (
                lane
                if first.kind is Kind.JOIN
                else self.checker.named_generic_type("builtins.tuple", [lane])
            )
            return Added(Row(row.takes, Lanes.EXACT, (given,)))
        if not all(map(gives_one, stages)) or (adapts and len(stages) > 1):
            return unknown
        fits = [self.fit(stage, lane, number) for number, stage in enumerate(stages, 1)]
        mistake = next((fit.mistake for fit in fits if fit.mistake is not None), None)
        if mistake is not None:
            return replace(unknown, mistake=mistake)
        given = make_simplified_union([out for fit in fits for out in fit.row.lanes])
        formals = tuple(formal for fit in fits for formal in fit.formals)
        return Added(
            Row(row.takes, row.kind, (given,)),
            formals,
            tuple(v for fit in fits for v in fit.variables),
        )

    def made_of_unknown_width(
        self, row: Row, lanes: tuple[Type, ...], stages: list[Stage], unknown: Added
    ) -> Added:
        if len(stages) > 1:
            return unknown
        (stage,) = stages
        if stage.kind is not Kind.FORK:
            return Added(Row(row.takes, Lanes.EXACT, (self.closed(stage, list(lanes)),)))
        if (mistake := self.fork_misfit(stage, lanes[0], 1)) is not None:
            return replace(unknown, mistake=mistake)
        if len(lanes) > 1:
            return replace(
                unknown,
                mistake=Mistake(f"this row takes 1 lane, but {count(lanes)} are open", stage.expr),
            )
        return Added(Row(row.takes, Lanes.ADAPTIVE if stage.adapts else Lanes.WIDE, lanes))

    def fork_misfit(self, stage: Stage, lane: Type, number: int) -> Mistake | None:
        """What is wrong with a fork whose function cannot take what its lane carries."""
        takes = get_proper_type(stage.selects)
        if takes is None or not is_plain(takes) or is_subtype(lane, takes):
            return None
        return self.misfit(stage, lane, takes, number)

    def closed(self, stage: Stage, lanes: list[Type]) -> Type:
        if stage.kind is Kind.JOIN:
            return make_simplified_union(lanes)
        if stage.width is None:
            return self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)])
        return TupleType(
            lanes, self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)])
        )

    def fit(self, stage: Stage, lane: Type, number: int) -> Added:
        """One stage that takes one lane, on a lane of this type."""
        if stage.row is not None:
            takes = stage.row.takes or ANYTHING
            if is_subtype(lane, takes):
                return Added(replace(stage.row, takes=None), (ANYTHING,))
            return Added(stage.row, mistake=self.misfit(stage, lane, takes, number))
        given = TypeVarType(
            f"B{number}",
            f"conveyor.B{number}",
            TypeVarId(-number),
            [],
            self.checker.named_type("builtins.object"),
            UninhabitedType(),
        )
        formal = Instance(class_of(self.checker, "conveyor.signatures.Stage"), [lane, given])
        # It gives the stage, not the lane: what is wanted of the whole call, outside, must not be
        # read into this lane.
        function = self.checker.named_type("builtins.function")
        signature = CallableType([formal], [ARG_POS], [None], formal, function, variables=[given])
        with self.checker.msg.filter_errors() as errors, self.checker.local_type_map:
            result, _ = self.checker.expr_checker.check_call(
                signature, [stage.expr], [ARG_POS], stage.expr
            )
        fitted = get_proper_type(result)
        if not errors.has_new_errors() and isinstance(fitted, Instance):
            gives = without_none(fitted.args[1]) if is_processor(stage.type) else fitted.args[1]
            return Added(Row(None, Lanes.EXACT, (gives,)), (formal,), (given,))
        anything = Row(None, Lanes.EXACT, (AnyType(TypeOfAny.from_error),))
        if not stage.is_sound:
            return Added(anything, (AnyType(TypeOfAny.from_error),))
        wanted = self.reader.takes(stage)
        if isinstance(wanted, AnyType) or has_lambda(stage.expr):
            return Added(anything, (formal,), (given,))  # what is wrong in a lambda, mypy says best
        return Added(anything, mistake=self.misfit(stage, lane, wanted, number))

    def misfit(self, stage: Stage, lane: Type, takes: Type | None, number: int) -> Mistake:
        carries = format_type_bare(lane, self.checker.options)
        sentence = f"stage {number} of this row cannot take what its lane carries: {carries}"
        takes = None if takes is None else get_proper_type(takes)
        if takes is not None and is_plain(takes) and not is_of_a_partial(takes):
            wants = format_type_bare(takes, self.checker.options)
            sentence = f"stage {number} of this row takes {wants}, but its lane carries {carries}"
        return Mistake(sentence, stage.expr)


def gives_one(stage: Stage) -> bool:
    return stage.kind is Kind.ONE or (stage.row is not None and len(stage.row.lanes) == 1)


def has_lambda(expr: Expression) -> bool:
    return isinstance(expr, CallExpr) and any(isinstance(arg, LambdaExpr) for arg in expr.args)
