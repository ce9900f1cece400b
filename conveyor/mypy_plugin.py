"""The plugin for mypy: checks `pl.add(...)` on one variable as strictly as a chain of `add`s, and says what is wrong in words.

Knows: mypy's types and its binder, and the shapes in `signatures`.  Must never know: anything that happens at run time.
mypy is imported here and nowhere else in the library; importing `conveyor` never imports this.

How it works.  The overloads of `add` are taken away, and a plain `add` is left.  At each call the hook works out which lanes
are open, gives mypy the exact signature of this one row, and remembers the new row in mypy's binder under a name of its own,
`pl.<row>`: so branches, loops, `try` and early returns are mypy's business, and an assignment to `pl` forgets the row.
`mypy_names` says how far a variable can be followed; where it cannot, nothing is claimed and nothing is reported.

A fault in here must not become the user's: every hook falls back to what is accepted unchecked; `mypy --show-traceback`
shows it.
"""

from __future__ import annotations

import tokenize
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mypy.checker import TypeChecker
from mypy.errorcodes import ErrorCode
from mypy.expandtype import expand_type
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type_bare
from mypy.nodes import (
    ARG_POS,
    CallExpr,
    Context,
    Decorator,
    Expression,
    FuncDef,
    LambdaExpr,
    MemberExpr,
    MypyFile,
    NameExpr,
    OverloadedFuncDef,
    RefExpr,
    TypeInfo,
)
from mypy.plugin import ClassDefContext, FunctionContext, MethodSigContext, Plugin
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
    TypeGuardedType,
    TypeOfAny,
    TypeVarId,
    TypeVarType,
    UninhabitedType,
    UnionType,
    UnpackType,
    get_proper_type,
)

from conveyor.mypy_names import RETURNS_ITSELF, Names, Trust, Use, read

__all__ = ["ConveyorPlugin", "plugin"]

CODE: Final = ErrorCode("conveyor", "Stages fit the lanes that are open", "Conveyor")

ANYTHING: Final = AnyType(TypeOfAny.special_form)

PIPELINE: Final = "conveyor.pipeline.Pipeline"
STATEMENT: Final = "conveyor.pipeline.StatementPipeline"
WIDE: Final = "conveyor.pipeline.WidePipeline"
ADAPTIVE: Final = "conveyor.pipeline.AdaptivePipeline"
PIPELINES: Final = frozenset({PIPELINE, STATEMENT, WIDE, ADAPTIVE})
UNDECLARED: Final = "conveyor.signatures.Undeclared"
STAGE: Final = "conveyor.stages.Stage"
PROCESSOR: Final = "conveyor.stages.Processor"

RUNS: Final = frozenset({"run", "stream", "simulate", "explore", "replay", "count"})
PASSES_OF_A_LOOP: Final = 6  # a row that still changes after so many is not followed any further


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
    "conveyor.stages.ReplicatingFork": Kind.FORK,
    "conveyor.stages.BalancingFork": Kind.FORK,
    "conveyor.stages.Join": Kind.JOIN,
    "conveyor.stages.Zip": Kind.ZIP,
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


def plugin(version: str) -> type[Plugin]:
    """mypy's way in."""
    return ConveyorPlugin


class ConveyorPlugin(Plugin):
    """The hooks; what they find out is kept in `File`, for one file at a time."""

    _file: File | None = None

    def get_customize_class_mro_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return plain_add if fullname in PIPELINES else None

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        owner, _, name = fullname.rpartition(".")
        if owner not in PIPELINES:
            return None
        return self._add if name == "add" else self._run if name in RUNS else None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        return self._new if fullname == PIPELINE else None

    def _new(self, ctx: FunctionContext) -> Type:
        """`Pipeline()` has no lanes, also where mypy takes the default of the class's parameter for them."""
        new = get_proper_type(ctx.default_return_type)
        if isinstance(new, Instance) and new.type.fullname == PIPELINE and has_any_lanes(new):
            return new.copy_modified(args=new.args[:1])
        return new

    def _add(self, ctx: MethodSigContext) -> FunctionLike:
        return self._guarded(File.add, ctx, ctx.default_signature.copy_modified(ret_type=ANYTHING))

    def _run(self, ctx: MethodSigContext) -> FunctionLike:
        return self._guarded(File.run, ctx, ctx.default_signature)

    def _guarded(
        self, work: Callable[[File, MethodSigContext], FunctionLike], ctx: MethodSigContext, otherwise: FunctionLike
    ) -> FunctionLike:
        callee = ctx.context.callee if isinstance(ctx.context, CallExpr) else None
        if not isinstance(callee, MemberExpr) or (isinstance(callee.expr, RefExpr) and isinstance(callee.expr.node, TypeInfo)):
            return otherwise  # Pipeline.add(pl, ...) and super().add(...)
        try:
            return work(self._of(ctx), ctx)
        except Exception:  # another release of mypy, or a fault of ours
            if self.options.show_traceback:
                raise
            return otherwise

    def _of(self, ctx: MethodSigContext) -> File:
        checker = ctx.api
        assert isinstance(checker, TypeChecker)
        if self._file is None or self._file.checker is not checker:
            self._file = File(checker)
        return self._file


def plain_add(ctx: ClassDefContext) -> None:
    """Takes the overloads of `add` out of the class before mypy reads them, and leaves the function itself."""
    body = ctx.cls.defs.body
    for index, statement in enumerate(body):
        if isinstance(statement, OverloadedFuncDef) and statement.items and name_of(statement.items[0]) == "add":
            function = statement.impl or statement.items[-1]
            if isinstance(function, FuncDef) and isinstance(function.type, CallableType):
                for kind in {id(function.type): function.type, id(function.unanalyzed_type): function.unanalyzed_type}.values():
                    if isinstance(kind, CallableType):
                        kind.ret_type = ANYTHING
                body[index] = function


def name_of(item: Decorator | FuncDef) -> str:
    return item.func.name if isinstance(item, Decorator) else item.name


class File:
    """What is known while mypy checks one file."""

    def __init__(self, checker: TypeChecker) -> None:
        self.checker = checker
        self.names = names_in(checker.tree)
        self.made_by: dict[int, tuple[Type, CallExpr, Type]] = {}  # a row's id: the row, the call that made it, and from what
        self.passes: dict[CallExpr, set[str]] = {}

    # --- the two hooks -------------------------------------------------------------------------------------------------

    def add(self, ctx: MethodSigContext) -> FunctionLike:
        call = ctx.context
        assert isinstance(call, CallExpr)
        root, use = self.root(call)
        trust = use.trust
        before = self.before(call, ctx.type, root, use)
        rows = self.rows(before)
        if trust is Trust.LOST:
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows[:1]]
        stages = None if any(kind is not ARG_POS for kind in call.arg_kinds) else [self.stage(arg) for arg in call.args]
        seen = self.passes.setdefault(call, set())
        seen.add(str(before))
        unknown = Added(replace(rows[0], kind=Lanes.UNKNOWN, lanes=()))
        if stages is None or any(row.kind is Lanes.UNKNOWN for row in rows) or len(seen) > PASSES_OF_A_LOOP:
            rows = [unknown.row]
        made = [unknown if stages is None else self.made(row, stages) for row in rows]
        if is_first(self.checker, call, ctx.type):
            for sentence in {added.mistake: None for added in made if added.mistake is not None}:
                self.checker.fail(sentence.sentence, sentence.where, code=CODE)
        if any(added.mistake is not None for added in made):
            made = [unknown]
        after = make_simplified_union([self.type_of(added.row) for added in made])
        if root is not None:
            self.remember(root, before, after, call, trust)
        first = made[0]
        if not first.formals:
            return ctx.default_signature.copy_modified(ret_type=after)
        return ctx.default_signature.copy_modified(
            arg_types=list(first.formals),
            arg_kinds=[ARG_POS] * len(first.formals),
            arg_names=[None] * len(first.formals),
            variables=list(first.variables),
            ret_type=after,
        )

    def run(self, ctx: MethodSigContext) -> FunctionLike:
        call = ctx.context
        assert isinstance(call, CallExpr)
        assert isinstance(call.callee, MemberExpr)
        root, use = self.root(call)
        trust = use.trust
        rows = self.rows(self.before(call, ctx.type, root, use))
        if trust is Trust.LOST or (trust is Trust.DECLARED and any(row.kind is Lanes.NOTHING for row in rows)):
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows]
        if not all(row.kind is Lanes.NOTHING for row in rows):
            rows = [row for row in rows if row.kind is not Lanes.NOTHING]  # a loop that may add nothing: only the run can tell
        name = call.callee.name
        sentence = next((found for row in rows if (found := cannot_run(row, name)) is not None), None)
        signature = self.run_signature(rows, name, ctx.default_signature)
        if sentence is None and call.args and call.arg_kinds[0] is ARG_POS:
            sentence = self.wrong_input(rows, name, signature, call.args[0])
        if sentence is None:
            return signature
        if is_first(self.checker, call, ctx.type):
            self.checker.fail(sentence, call.args[0] if call.args else call, code=CODE)
        return signature.copy_modified(arg_types=[AnyType(TypeOfAny.from_error), *signature.arg_types[1:]])

    def info(self, fullname: str) -> TypeInfo:
        """A class of the library; a module is not always known to its package, so mypy's own way does not find it."""
        module, _, name = fullname.rpartition(".")
        info = self.checker.modules[module].names[name].node
        assert isinstance(info, TypeInfo)
        return info

    # --- what is known before a call -----------------------------------------------------------------------------------

    def root(self, call: CallExpr) -> tuple[NameExpr | MemberExpr | None, Use]:
        """The variable that the chain of this call begins with, and how far it can be believed."""
        assert isinstance(call.callee, MemberExpr)
        owner = call.callee.expr
        while isinstance(owner, CallExpr) and isinstance(owner.callee, MemberExpr) and owner.callee.name in RETURNS_ITSELF:
            owner = owner.callee.expr
        if isinstance(owner, CallExpr):
            return None, Use(Trust.FOLLOWED, True)
        if isinstance(owner, NameExpr | MemberExpr):
            position = (call.line, call.column, call.end_line or 0, call.end_column or 0)
            return owner, Use(Trust.LOST, False) if self.names is None else self.names.use(position, text_of(owner))
        return None, Use(Trust.LOST if call.callee.name == "add" else Trust.DECLARED, False)

    def before(self, call: CallExpr, receiver: Type, root: NameExpr | MemberExpr | None, use: Use) -> Type:
        """The type of the pipeline when the call begins."""
        assert isinstance(call.callee, MemberExpr)
        owner = call.callee.expr
        whole = self.checker.lookup_type_or_none(owner) or receiver
        if root is None or owner is not root or use.trust in (Trust.DECLARED, Trust.LOST):
            return whole
        known = None if use.is_first else self.checker.binder.get(row_name(root))
        if known is None:
            # Nothing was added on any way here: this holds for the branches not taken, too, so it belongs below all frames.
            # In a loop mypy still has what was added to the pipeline that the variable held the last time.
            self.checker.binder.cleanse(row_name(root))
            whole = make_simplified_union([self.type_of(row) for row in self.rows(whole)])
            self.put(row_name(root), whole, at_the_bottom=True)
            return whole
        # mypy may look at one call several times: then it has already been counted.
        step, from_ = self.made_by.get(id(known)), known
        for _ in range(len(self.made_by)):
            if step is None:
                return known
            _, maker, from_ = step
            if maker is call:
                return from_
            step = self.made_by.get(id(from_))
        return known

    def remember(self, root: NameExpr | MemberExpr, before: Type, after: Type, call: CallExpr, trust: Trust) -> None:
        if trust in (Trust.FOLLOWED, Trust.HIDDEN, Trust.LOST):
            self.made_by[id(after)] = (after, call, before)
            self.put(row_name(root), after)
        if trust is Trust.FOLLOWED:
            rows = self.rows(after)
            # A row that is not known reads as what `with` gives: before 2.4 mypy lets nothing else with any lanes be run.
            any_lanes = [Instance(self.info(STATEMENT), [row.takes or ANYTHING]) for row in rows if row.kind is Lanes.UNKNOWN]
            self.put(root, TypeGuardedType(any_lanes[0] if any_lanes else after))

    def put(self, name: Expression, kind: Type, *, at_the_bottom: bool = False) -> None:
        binder = self.checker.binder
        if at_the_bottom:
            frames = binder.frames[1:]
            del binder.frames[1:]
            try:
                binder.put(name, kind)
            finally:
                binder.frames.extend(frames)
            return
        binder.put(name, kind)
        for frame in sorted(binder.try_frames):
            binder.allow_jump(frame)

    def rows(self, kind: Type) -> list[Row]:
        """What a type says of the lanes; lanes of branches that opened the same number are united."""
        proper = get_proper_type(kind)
        items = [get_proper_type(item) for item in proper.items] if isinstance(proper, UnionType) else [proper]
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
        for name, known in ((STATEMENT, Lanes.NOTHING), (WIDE, Lanes.WIDE), (ADAPTIVE, Lanes.ADAPTIVE)):
            if kind.type.has_base(name):
                args = map_instance_to_supertype(kind, self.info(name)).args
                # `with Pipeline() as pl` takes anything for a checker, which is why nobody said what it takes.
                takes = None if isinstance(get_proper_type(args[0]), AnyType) else declared(args[0])
                return Row(takes, known, tuple(args[1:]))
        if not kind.type.has_base(PIPELINE):
            return Row(None, Lanes.UNKNOWN)
        args = map_instance_to_supertype(kind, self.info(PIPELINE)).args
        lanes = tuple(args[1:])
        if has_any_lanes(kind):
            return Row(declared(args[0]), Lanes.UNKNOWN)
        return Row(declared(args[0]), Lanes.EXACT if lanes else Lanes.NOTHING, lanes)

    def type_of(self, row: Row) -> Type:
        takes = row.takes or Instance(self.info(UNDECLARED), [])
        name = {Lanes.WIDE: WIDE, Lanes.ADAPTIVE: ADAPTIVE}.get(row.kind, PIPELINE)
        lanes: list[Type] = list(row.lanes)
        if row.kind is Lanes.UNKNOWN:
            lanes = [UnpackType(self.checker.named_generic_type("builtins.tuple", [ANYTHING]))]
        return Instance(self.info(name), [takes, *lanes])

    # --- one row on one pipeline ---------------------------------------------------------------------------------------

    def made(self, row: Row, stages: list[Stage]) -> Added:
        """What becomes of `row` when these stages are added."""
        unknown = Added(replace(row, kind=Lanes.UNKNOWN, lanes=()))
        for number, stage in enumerate(stages, 1):
            if stage.kind is Kind.FOREIGN:
                return replace(unknown, mistake=Mistake(f"stage {number} of this row {self.no_stage(stage)}", stage.expr))
        if row.kind is Lanes.UNKNOWN or not stages or any(stage.kind is Kind.ANY for stage in stages):
            return unknown
        if row.kind in (Lanes.WIDE, Lanes.ADAPTIVE):
            return self.made_of_many(row, stages, unknown)
        lanes = row.lanes
        if row.kind is Lanes.NOTHING:
            if stages[0].kind in (Kind.JOIN, Kind.ZIP):
                return replace(unknown, mistake=Mistake("a pipeline cannot begin with a Join or a Zip", stages[0].expr))
            row = replace(row, takes=row.takes or self.first_takes(stages[0]))
            lanes = (row.takes or ANYTHING,)
        for stage in stages:
            if stage.kind in (Kind.JOIN, Kind.ZIP) and stage.adapts:
                sentence = f"Join() closes what a BalancingFork() opened; with {count(lanes)} open, say how many it joins"
                return replace(unknown, mistake=Mistake(sentence, stage.expr))
        if any(stage.width is None or stage.adapts for stage in stages):
            return self.made_of_unknown_width(row, lanes, stages, unknown)
        taken = sum(stage.width or 0 if stage.kind in (Kind.JOIN, Kind.ZIP) else 1 for stage in stages)
        if taken != len(lanes):
            sentence = f"this row takes {count(taken)}, but {count(lanes)} {'is' if len(lanes) == 1 else 'are'} open"
            return replace(unknown, mistake=Mistake(sentence, stages[0].expr))
        formals, variables, given, left = list[Type](), list[TypeVarType](), list[Type](), list(lanes)
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
        """Behind a fork whose width is not known: stages are checked against the one type that all lanes carry."""
        lane, adapts = row.lanes[0], row.kind is Lanes.ADAPTIVE
        first = stages[0]
        if len(stages) == 1 and first.kind in (Kind.JOIN, Kind.ZIP):
            if adapts and not (first.kind is Kind.JOIN and first.adapts):
                return unknown
            given = lane if first.kind is Kind.JOIN else self.checker.named_generic_type("builtins.tuple", [lane])
            return Added(Row(row.takes, Lanes.EXACT, (given,)))
        if any(stage.kind is not Kind.ONE for stage in stages) or (adapts and len(stages) > 1):
            return unknown
        fits = [self.fit(stage, lane, number) for number, stage in enumerate(stages, 1)]
        mistake = next((fit.mistake for fit in fits if fit.mistake is not None), None)
        if mistake is not None:
            return replace(unknown, mistake=mistake)
        given = make_simplified_union([out for fit in fits for out in fit.row.lanes])
        formals = tuple(formal for fit in fits for formal in fit.formals)
        return Added(Row(row.takes, row.kind, (given,)), formals, tuple(v for fit in fits for v in fit.variables))

    def made_of_unknown_width(self, row: Row, lanes: tuple[Type, ...], stages: list[Stage], unknown: Added) -> Added:
        if len(stages) > 1:
            return unknown
        (stage,) = stages
        if stage.kind is not Kind.FORK:
            return Added(Row(row.takes, Lanes.EXACT, (self.closed(stage, list(lanes)),)))
        if len(lanes) > 1:
            return replace(unknown, mistake=Mistake(f"this row takes 1 lane, but {count(lanes)} are open", stage.expr))
        return Added(Row(row.takes, Lanes.ADAPTIVE if stage.adapts else Lanes.WIDE, lanes))

    def closed(self, stage: Stage, lanes: list[Type]) -> Type:
        if stage.kind is Kind.JOIN:
            return make_simplified_union(lanes)
        if stage.width is None:
            return self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)])
        return TupleType(lanes, self.checker.named_generic_type("builtins.tuple", [make_simplified_union(lanes)]))

    # --- one stage -----------------------------------------------------------------------------------------------------

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
        # It gives the stage, not the lane: what is wanted of the whole call, outside, must not be read into this lane.
        function = self.checker.named_type("builtins.function")
        signature = CallableType([formal], [ARG_POS], [None], formal, function, variables=[given])
        with self.checker.msg.filter_errors() as errors, self.checker.local_type_map:
            result, _ = self.checker.expr_checker.check_call(signature, [stage.expr], [ARG_POS], stage.expr)
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
        if takes is not None and is_plain(takes):
            wants = format_type_bare(takes, self.checker.options)
            sentence = f"stage {number} of this row takes {wants}, but its lane carries {carries}"
        return Added(anything, mistake=Mistake(sentence, stage.expr))

    def takes(self, stage: Stage) -> ProperType | None:
        """What a stage takes, as far as it is known without its lane."""
        if not isinstance(stage.type, Instance):
            return None
        lane = get_proper_type(find_member("_lane_", stage.type, stage.type))
        return get_proper_type(lane.arg_types[0]) if isinstance(lane, CallableType) and lane.arg_types else None

    def first_takes(self, stage: Stage) -> Type:
        takes = self.takes(stage) if stage.kind is Kind.ONE else None
        return takes if takes is not None and is_plain(takes) else ANYTHING

    def no_stage(self, stage: Stage) -> str:
        if isinstance(stage.type, FunctionLike):
            if stage.type.is_type_obj() and stage.type.type_object().has_base(STAGE):
                return "is a class, not a stage: call it"
            return "is a function, not a stage: write Processor(...) around it"
        return f"is of type {format_type_bare(stage.type, self.checker.options)}, which is no stage"

    # --- runs ----------------------------------------------------------------------------------------------------------

    def run_signature(self, rows: list[Row], name: str, otherwise: CallableType) -> CallableType:
        """The signature of `run` and its like on a pipeline with one open lane, with the types of this one filled in."""
        found = self.info(PIPELINE).get(name)
        kind = get_proper_type(found.type) if found is not None and found.type is not None else None
        kind = kind.items[0] if isinstance(kind, Overloaded) else kind
        if not isinstance(kind, CallableType) or not kind.arg_types:
            return otherwise
        itself = get_proper_type(kind.arg_types[0])
        if not isinstance(itself, Instance) or not all(isinstance(get_proper_type(arg), TypeVarType) for arg in itself.args):
            return otherwise
        takes = rows[0].takes if len({str(row.takes) for row in rows}) == 1 else None
        gives = [row.lanes[0] if row.kind is Lanes.EXACT and len(row.lanes) == 1 else ANYTHING for row in rows]
        filled: dict[TypeVarId, Type] = {}
        for variable, value in zip(itself.args, (takes or ANYTHING, make_simplified_union(gives)), strict=False):
            variable = get_proper_type(variable)
            assert isinstance(variable, TypeVarType)
            filled[variable.id] = value
        bound = kind.copy_modified(
            arg_types=kind.arg_types[1:],
            arg_kinds=kind.arg_kinds[1:],
            arg_names=kind.arg_names[1:],
            variables=[variable for variable in kind.variables if variable.id not in filled],
        )
        expanded = expand_type(bound, filled)
        return expanded if isinstance(expanded, CallableType) else otherwise

    def wrong_input(self, rows: list[Row], name: str, signature: CallableType, items: Expression) -> str | None:
        """The sentence for items that the pipeline does not take."""
        takes = rows[0].takes
        if takes is None or not signature.arg_types:
            return None
        with self.checker.msg.filter_errors() as own, self.checker.local_type_map:
            given = self.checker.expr_checker.accept(items)
        probe = CallableType(
            [signature.arg_types[0]], [ARG_POS], [None], NoneType(), self.checker.named_type("builtins.function")
        )
        with self.checker.msg.filter_errors() as errors, self.checker.local_type_map:
            self.checker.expr_checker.check_call(probe, [items], [ARG_POS], items)
        if own.has_new_errors() or not errors.has_new_errors():
            return None
        wants, has = (format_type_bare(kind, self.checker.options) for kind in (takes, given))
        return f"this pipeline takes items of type {wants}, but {name}() is given {has}"


def names_in(tree: MypyFile) -> Names | None:
    """None where the file cannot be read as mypy did: then no variable is followed."""
    try:
        with tokenize.open(tree.path) as file:
            return read(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def text_of(name: Expression) -> str:
    """A variable as it is written, where it is only names and dots."""
    if isinstance(name, MemberExpr):
        return f"{text_of(name.expr)}.{name.name}"
    return name.name if isinstance(name, NameExpr) else "?"


def row_name(root: NameExpr | MemberExpr) -> MemberExpr:
    """What the binder keeps a variable's row under: an attribute that nobody can write, forgotten with the variable."""
    return MemberExpr(root, "<row>")


def is_first(checker: TypeChecker, call: CallExpr, receiver: Type) -> bool:
    """mypy asks once for each type in a union; one answer is enough."""
    assert isinstance(call.callee, MemberExpr)
    whole = get_proper_type(checker.lookup_type_or_none(call.callee.expr) or receiver)
    return not isinstance(whole, UnionType) or str(get_proper_type(whole.items[0])) == str(get_proper_type(receiver))


def has_any_lanes(kind: Instance) -> bool:
    return any(isinstance(get_proper_type(arg), UnpackType) for arg in kind.args)


def declared(takes: Type) -> Type | None:
    proper = get_proper_type(takes)
    return None if isinstance(proper, Instance) and proper.type.fullname == UNDECLARED else takes


def unite(one: Row, other: Row) -> Row:
    takes = one.takes if str(one.takes) == str(other.takes) else ANYTHING
    lanes = zip(one.lanes, other.lanes, strict=True)
    return Row(takes, one.kind, tuple(make_simplified_union([right, left]) for left, right in lanes))


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


def is_plain(kind: ProperType) -> bool:
    return not isinstance(kind, AnyType | UninhabitedType | TypeVarType)


def is_processor(kind: ProperType) -> bool:
    """A None that a processor returns is no item; from anything else it is one."""
    items = kind.items if isinstance(kind, UnionType) else [kind]
    return any(isinstance(item, Instance) and item.type.has_base(PROCESSOR) for item in map(get_proper_type, items))


def without_none(kind: Type) -> Type:
    proper = get_proper_type(kind)
    if isinstance(proper, NoneType):
        return UninhabitedType()
    if isinstance(proper, UnionType):
        return UnionType.make_union([item for item in proper.items if not isinstance(get_proper_type(item), NoneType)])
    return kind


def has_lambda(expr: Expression) -> bool:
    return isinstance(expr, CallExpr) and any(isinstance(arg, LambdaExpr) for arg in expr.args)
