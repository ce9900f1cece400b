"""What a row of stages makes of the open lanes, in mypy's types; and what is wrong with it, in
words.

Knows: mypy's types, and the shapes in `signatures`.  Must never know: which variable holds the
pipeline, and where it was used before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mypy.checker import TypeChecker
from mypy.expandtype import expand_type
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type_bare
from mypy.nodes import (
    ARG_POS,
    ARG_STAR,
    CallExpr,
    Context,
    Expression,
    LambdaExpr,
    TempNode,
    TypeInfo,
)
from mypy.subtypes import find_member
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    LiteralType,
    NoneType,
    Overloaded,
    ProperType,
    TupleType,
    Type,
    TypeOfAny,
    TypeVarId,
    TypeVarType,
    UninhabitedType,
    UnionType,
    UnpackType,
    get_proper_type,
)

from conveyor._mypy.types import (
    ADAPTIVE,
    ANYTHING,
    PIPELINE,
    STAGE,
    STATEMENT,
    UNCHECKED,
    UNDECLARED,
    WIDE,
    any_lane,
    changed,
    has_any_lanes,
    is_of_a_partial,
    is_plain,
    is_processor,
    without_none,
)

__all__ = [
    "Added",
    "Judge",
    "Lanes",
    "Row",
    "Stage",
    "cannot_run",
]


class Lanes(Enum):
    """What is known of the open lanes."""

    NOTHING = "no stage was added yet"
    EXACT = "so many, of these types"
    WIDE = "several of one type, nobody knows how many"
    ADAPTIVE = "as many as a BalancingFork() decides, of one type"
    UNKNOWN = "anything"


@dataclass(frozen=True)
class Row:
    """What a pipeline takes (None: nobody said), and its open lanes from left to right."""

    takes: Type | None
    kind: Lanes
    lanes: tuple[Type, ...] = ()


class Kind(Enum):
    """What a stage does with lanes."""

    ONE = "takes one, gives one"
    FORK = "takes one, gives several"
    JOIN = "takes several, gives one of any of their types"
    ZIP = "takes several, gives one of tuples"
    FOREIGN = "is no stage"
    ANY = "cannot be told"


WIDE_STAGES: Final = {
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
    is_sound: bool = True  # the expression by itself is without error
    repeats: bool = False  # it stands for as many as there is room for: `add(*stages)`


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
    """Reads and makes the types of pipelines, with the help of the checker of one file."""

    def __init__(self, checker: TypeChecker) -> None:
        self.checker = checker
        self.any_lanes: dict[
            int, tuple[AnyType, Row]
        ] = {}  # the Any in a type that takes any pipeline, and which it is

    def info(self, fullname: str) -> TypeInfo:
        """A class of the library; a module is not always known to its package, so mypy's own way
        does not find it."""
        module, _, name = fullname.rpartition(".")
        info = self.checker.modules[module].names[name].node
        assert isinstance(info, TypeInfo)
        return info

    # --- a pipeline as rows
    # --------------------------------------------------------------------------------------------

    def rows(self, kind: Type) -> list[Row]:
        """What a type says of the lanes; lanes of branches that opened the same number are
        united."""
        proper = get_proper_type(kind)
        items = (
            [get_proper_type(item) for item in proper.items]
            if isinstance(proper, UnionType)
            else [proper]
        )
        united: dict[tuple[Lanes, int], Row] = {}
        for item in items:
            row = self.row(item)
            key = (row.kind, len(row.lanes))
            other = united.get(key)
            united[key] = row if other is None else unite(row, other)
        return list(united.values())

    def row(self, kind: ProperType) -> Row:
        if not isinstance(kind, Instance):
            return Row(None, Lanes.UNKNOWN)
        for name, known in (
            (UNCHECKED, Lanes.UNKNOWN),
            (STATEMENT, Lanes.NOTHING),
            (WIDE, Lanes.WIDE),
            (ADAPTIVE, Lanes.ADAPTIVE),
        ):
            if kind.type.has_base(name):
                args = map_instance_to_supertype(kind, self.info(name)).args
                # `with Pipeline() as pl` takes anything for a checker, which is why nobody said
                # what it takes.
                takes = None if isinstance(get_proper_type(args[0]), AnyType) else declared(args[0])
                return Row(takes, known, tuple(args[1:]))
        if not kind.type.has_base(PIPELINE):
            return Row(None, Lanes.UNKNOWN)
        args = map_instance_to_supertype(kind, self.info(PIPELINE)).args
        lanes = tuple(args[1:])
        if has_any_lanes(kind):
            _, remembered = self.any_lanes.get(
                id(any_lane(kind)), (None, Row(declared(args[0]), Lanes.UNKNOWN))
            )
            return remembered
        return Row(declared(args[0]), Lanes.EXACT if lanes else Lanes.NOTHING, lanes)

    def type_of(self, row: Row) -> Type:
        takes = row.takes or Instance(self.info(UNDECLARED), [])
        if row.kind is Lanes.UNKNOWN:
            takes = row.takes or ANYTHING
        name = {Lanes.WIDE: WIDE, Lanes.ADAPTIVE: ADAPTIVE, Lanes.UNKNOWN: UNCHECKED}.get(
            row.kind, PIPELINE
        )
        return Instance(self.info(name), [takes, *row.lanes])

    def type_that_takes_any(self, row: Row) -> Type:
        """The type for a variable to which other rows will be assigned; which row it is now is
        remembered."""
        lane = AnyType(TypeOfAny.special_form)
        self.any_lanes[id(lane)] = (lane, row)
        lanes = UnpackType(self.checker.named_generic_type("builtins.tuple", [lane]))
        return Instance(self.info(PIPELINE), [row.takes or ANYTHING, lanes])

    # --- one row on one pipeline
    # ---------------------------------------------------------------------------------------

    def made(self, row: Row, stages: list[Stage]) -> Added:
        """What becomes of `row` when these stages are added."""
        unknown = Added(replace(row, kind=Lanes.UNKNOWN, lanes=()))
        filled = self.filled(row, stages)
        if filled is None:
            return unknown
        stages = filled
        for number, stage in enumerate(stages, 1):
            if stage.kind is Kind.FOREIGN:
                return replace(
                    unknown,
                    mistake=Mistake(
                        f"stage {number} of this row {self.no_stage(stage)}", stage.expr
                    ),
                )
        if (
            row.kind is Lanes.UNKNOWN
            or not stages
            or any(stage.kind is Kind.ANY for stage in stages)
        ):
            return unknown
        if row.kind in (Lanes.WIDE, Lanes.ADAPTIVE):
            return self.made_of_many(row, stages, unknown)
        lanes = row.lanes
        if row.kind is Lanes.NOTHING:
            if stages[0].kind in (Kind.JOIN, Kind.ZIP):
                return replace(
                    unknown,
                    mistake=Mistake("a pipeline cannot begin with a Join or a Zip", stages[0].expr),
                )
            row = replace(row, takes=row.takes or self.first_takes(stages[0]))
            lanes = (row.takes or ANYTHING,)
        if (
            len(stages) > 1
        ):  # beside other stages what a BalancingFork() opens is written as one lane
            stages = [replace(stage, width=1) if stage.adapts else stage for stage in stages]
        for stage in stages[:1] if len(stages) == 1 else ():
            if stage.kind in (Kind.JOIN, Kind.ZIP) and stage.adapts:
                sentence = f"Join() closes what a BalancingFork() opened; with {count(lanes)} open, say how many it joins"
                return replace(unknown, mistake=Mistake(sentence, stage.expr))
        if any(stage.width is None for stage in stages):
            return self.made_of_unknown_width(row, lanes, stages, unknown)
        taken = sum(
            stage.width or 0 if stage.kind in (Kind.JOIN, Kind.ZIP) else 1 for stage in stages
        )
        if taken != len(lanes):
            sentence = f"this row takes {count(taken)}, but {count(lanes)} {'is' if len(lanes) == 1 else 'are'} open"
            return replace(unknown, mistake=Mistake(sentence, stages[0].expr))
        formals, variables, given, left = (
            list[Type](),
            list[TypeVarType](),
            list[Type](),
            list(lanes),
        )
        for number, stage in enumerate(stages, 1):
            width = stage.width or 0
            if stage.kind is Kind.ONE:
                out = self.fit(stage, left.pop(0), number)
                if out.mistake is not None:
                    return replace(unknown, mistake=out.mistake)
                given.extend(out.row.lanes)
                formals.extend(out.formals)
                variables.extend(out.variables)
                continue
            formals.append(ANYTHING)
            if stage.kind is Kind.FORK:
                given.extend([left.pop(0)] * width)
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
        if any(stage.kind is not Kind.ONE for stage in stages) or (adapts and len(stages) > 1):
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
        if len(lanes) > 1:
            return replace(
                unknown,
                mistake=Mistake(f"this row takes 1 lane, but {count(lanes)} are open", stage.expr),
            )
        return Added(Row(row.takes, Lanes.ADAPTIVE if stage.adapts else Lanes.WIDE, lanes))

    def closed(self, stage: Stage, lanes: list[Type]) -> Type:
        if stage.kind is Kind.JOIN:
            return make_simplified_union(lanes)
        if stage.width is None:
            return self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)])
        return TupleType(
            lanes, self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)])
        )

    # --- the stages of a row
    # ----------------------------------------------------------------------------------------------

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
        nobody can tell."""
        repeating = [stage for stage in stages if stage.repeats]
        if not repeating or row.kind in (Lanes.WIDE, Lanes.ADAPTIVE):
            return stages
        if len(repeating) > 1 or repeating[0].kind not in (Kind.ONE, Kind.FORK):
            return None
        others = (
            sum(
                (stage.width or 0) if stage.kind in (Kind.JOIN, Kind.ZIP) else 1 for stage in stages
            )
            - 1
        )
        times = max(0, max(1, len(row.lanes)) - others)
        return [one for stage in stages for one in [stage] * (times if stage.repeats else 1)]

    # --- one stage
    # -----------------------------------------------------------------------------------------------------

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
        if kind.type.get("_lane_") is not None:
            return Stage(expr, Kind.ONE, kind)
        for name, what in WIDE_STAGES.items():
            if kind.type.has_base(name):
                width = get_proper_type(map_instance_to_supertype(kind, self.info(name)).args[0])
                if isinstance(width, LiteralType) and isinstance(width.value, int):
                    return Stage(expr, what, kind, width.value)
                return Stage(expr, what, kind, None, adapts=isinstance(width, NoneType))
        is_stage = kind.type.has_base(STAGE) or kind.type.fallback_to_any
        return Stage(expr, Kind.ANY if is_stage else Kind.FOREIGN, kind)

    def fit(self, stage: Stage, lane: Type, number: int) -> Added:
        """One stage that takes one lane and gives one, on a lane of this type."""
        given = TypeVarType(
            f"B{number}",
            f"conveyor.B{number}",
            TypeVarId(-number),
            [],
            self.checker.named_type("builtins.object"),
            UninhabitedType(),
        )
        formal = Instance(self.info("conveyor.signatures.Stage"), [lane, given])
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
        takes = self.takes(stage)
        if isinstance(takes, AnyType) or has_lambda(stage.expr):
            return Added(anything, (formal,), (given,))  # what is wrong in a lambda, mypy says best
        carries = format_type_bare(lane, self.checker.options)
        sentence = f"stage {number} of this row cannot take what its lane carries: {carries}"
        if takes is not None and is_plain(takes) and not is_of_a_partial(takes):
            wants = format_type_bare(takes, self.checker.options)
            sentence = f"stage {number} of this row takes {wants}, but its lane carries {carries}"
        return Added(anything, mistake=Mistake(sentence, stage.expr))

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
        takes = self.takes(stage) if stage.kind is Kind.ONE else None
        return takes if takes is not None and is_plain(takes) else ANYTHING

    def no_stage(self, stage: Stage) -> str:
        if isinstance(stage.type, FunctionLike):
            if stage.type.is_type_obj() and stage.type.type_object().has_base(STAGE):
                return "is a class, not a stage: call it"
            return "is a function, not a stage: write Processor(...) around it"
        return f"is of type {format_type_bare(stage.type, self.checker.options)}, which is no stage"

    # --- runs
    # ----------------------------------------------------------------------------------------------------------

    def run_signature(self, rows: list[Row], name: str, otherwise: CallableType) -> CallableType:
        """The signature of `run` and its like on a pipeline with one open lane, with the types of
        this one filled in."""
        found = self.info(PIPELINE).get(name)
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
        self, rows: list[Row], name: str, signature: CallableType, items: Expression
    ) -> str | None:
        """The sentence for items that the pipeline does not take."""
        takes = rows[0].takes
        if takes is None or not signature.arg_types:
            return None
        with self.checker.msg.filter_errors() as own, self.checker.local_type_map:
            given = self.checker.expr_checker.accept(items)
        probe = CallableType(
            [signature.arg_types[0]],
            [ARG_POS],
            [None],
            NoneType(),
            self.checker.named_type("builtins.function"),
        )
        with self.checker.msg.filter_errors() as errors, self.checker.local_type_map:
            self.checker.expr_checker.check_call(probe, [items], [ARG_POS], items)
        if own.has_new_errors() or not errors.has_new_errors():
            return None
        wants, has = (format_type_bare(kind, self.checker.options) for kind in (takes, given))
        return f"this pipeline takes items of type {wants}, but {name}() is given {has}"


def declared(takes: Type) -> Type | None:
    proper = get_proper_type(takes)
    return None if isinstance(proper, Instance) and proper.type.fullname == UNDECLARED else takes


def unite(one: Row, other: Row) -> Row:
    takes = one.takes if str(one.takes) == str(other.takes) else ANYTHING
    lanes = zip(one.lanes, other.lanes, strict=True)
    return Row(
        takes, one.kind, tuple(make_simplified_union([right, left]) for left, right in lanes)
    )


def cannot_run(row: Row, name: str) -> str | None:
    match row.kind:
        case Lanes.NOTHING:
            return f"{name}() needs a stage, and nothing was added to this pipeline"
        case Lanes.EXACT if len(row.lanes) > 1:
            return f"{name}() needs one open lane, but {count(row.lanes)} are open: add a Join or a Zip"
        case Lanes.WIDE | Lanes.ADAPTIVE:
            return f"{name}() needs one open lane, but those of a fork are open: add a Join"
        case _:
            return None


def count(lanes: tuple[Type, ...] | int) -> str:
    number = lanes if isinstance(lanes, int) else len(lanes)
    return f"{number} lane{'' if number == 1 else 's'}"


def has_lambda(expr: Expression) -> bool:
    return isinstance(expr, CallExpr) and any(isinstance(arg, LambdaExpr) for arg in expr.args)
