"""The plugin for mypy: checks `pl.add(...)` on one variable as strictly as a chain of `add`s, and
says what is wrong in words.

Knows: mypy's hooks and its binder.  Must never know: what fits what, which is `mypy_rows`'
business, and anything that happens at run time.  mypy is imported here, in `mypy_rows` and in
`mypy_types`, and nowhere else in the library, which never imports these.

How it works.  The overloads of `add` are taken away, and a plain `add` is left.  At each call the
hook works out which lanes are open, gives mypy the exact signature of this one row, and remembers
the new row in mypy's binder under a name of its own, `pl.<row>`: so branches, loops, `try` and
early returns are mypy's business, and an assignment to `pl` forgets the row. `mypy_names` says how
far a variable can be followed; where it cannot, nothing is claimed and nothing is reported.

A fault in here must not become the user's: every hook falls back to what is accepted unchecked;
`mypy --show-traceback` shows it.
"""

from __future__ import annotations

import tokenize
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from mypy.checker import TypeChecker
from mypy.errorcodes import ErrorCode
from mypy.nodes import (
    ARG_POS,
    CallExpr,
    Context,
    Expression,
    MemberExpr,
    MypyFile,
    NameExpr,
    OverloadedFuncDef,
    RefExpr,
    TypeInfo,
)
from mypy.plugin import ClassDefContext, FunctionContext, MethodContext, MethodSigContext, Plugin
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    Type,
    TypeGuardedType,
    TypeOfAny,
    UnionType,
    get_proper_type,
)

from conveyor._mypy.follow import RETURNS_ITSELF, Names, Trust, Use, read
from conveyor._mypy.rows import Added, Judge, Lanes, cannot_run
from conveyor._mypy.types import (
    ANYTHING,
    FILTER,
    PIPELINE,
    PIPELINES,
    PROCESSOR,
    ROWS,
    changed,
    given_by,
    giving,
    has_any_lanes,
    is_object,
    without_none,
)

__all__ = ["ConveyorPlugin", "plugin"]

CODE: Final = ErrorCode("conveyor", "Stages fit the lanes that are open", "Conveyor")
RUNS: Final = frozenset({"run", "stream", "simulate", "explore", "replay", "count"})
PASSES_OF_A_LOOP: Final = 6  # a row that still changes after so many is not followed any further


def plugin(version: str) -> type[Plugin]:
    """mypy's way in."""
    return ConveyorPlugin


class ConveyorPlugin(Plugin):
    """The hooks; what they find out is kept in `File`, for one file at a time."""

    _file: File | None = None

    def get_customize_class_mro_hook(
        self, fullname: str
    ) -> Callable[[ClassDefContext], None] | None:
        return without_overloads if fullname == ROWS else None

    def get_method_signature_hook(
        self, fullname: str
    ) -> Callable[[MethodSigContext], FunctionLike] | None:
        owner, _, name = fullname.rpartition(".")
        if owner not in PIPELINES:
            return None
        return self._add if name == "add" else self._run if name in RUNS else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        return self._entered if owner in PIPELINES and name == "__enter__" else None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        return {PIPELINE: self._new, PROCESSOR: self._processor, FILTER: self._filter}.get(fullname)

    def _new(self, ctx: FunctionContext) -> Type:
        """`Pipeline()` has no lanes, also where mypy takes the default of the class's parameter for
        them."""
        new = get_proper_type(ctx.default_return_type)
        if isinstance(new, Instance) and new.type.fullname == PIPELINE and has_any_lanes(new):
            new = Instance(new.type, new.args[:1])
        return self._made(ctx, new)

    def _entered(self, ctx: MethodContext) -> Type:
        return self._made(ctx, get_proper_type(ctx.default_return_type))

    def _made(self, ctx: FunctionContext | MethodContext, new: Type) -> Type:
        """A variable to which other rows are assigned is of a type that takes them all."""
        try:
            return self._of(ctx).new(ctx.context, new) if isinstance(new, Instance) else new
        except Exception:  # as below
            if self.options.show_traceback:
                raise
            return new

    def _processor(self, ctx: FunctionContext) -> Type:
        """Where mypy takes a `None` off a union it makes `object` of what is left."""
        made = get_proper_type(ctx.default_return_type)
        given = given_by(ctx.arg_types[0][0]) if ctx.arg_types and ctx.arg_types[0] else None
        if isinstance(made, Instance) and isinstance(given, UnionType) and is_object(made.args[-1]):
            return Instance(made.type, [*made.args[:-1], without_none(given)])
        return made

    def _filter(self, ctx: FunctionContext) -> Type:
        """Behind a predicate that is a guard items are of the type that it tells."""
        made = get_proper_type(ctx.default_return_type)
        predicate = (
            get_proper_type(ctx.arg_types[0][0]) if ctx.arg_types and ctx.arg_types[0] else None
        )
        if not isinstance(made, Instance) or not isinstance(predicate, CallableType):
            return made
        kept = predicate.type_guard or predicate.type_is
        return (
            made
            if kept is None or predicate.variables
            else Instance(made.type, [made.args[0], kept])
        )

    def _add(self, ctx: MethodSigContext) -> FunctionLike:
        return self._guarded(File.add, ctx, giving(ctx.default_signature, ANYTHING))

    def _run(self, ctx: MethodSigContext) -> FunctionLike:
        return self._guarded(File.run, ctx, ctx.default_signature)

    def _guarded(
        self,
        work: Callable[[File, MethodSigContext], FunctionLike],
        ctx: MethodSigContext,
        otherwise: FunctionLike,
    ) -> FunctionLike:
        callee = ctx.context.callee if isinstance(ctx.context, CallExpr) else None
        if not isinstance(callee, MemberExpr) or (
            isinstance(callee.expr, RefExpr) and isinstance(callee.expr.node, TypeInfo)
        ):
            return otherwise  # Pipeline.add(pl, ...) and super().add(...)
        try:
            return work(self._of(ctx), ctx)
        except Exception:  # another release of mypy, or a fault of ours
            if self.options.show_traceback:
                raise
            return otherwise

    def _of(self, ctx: MethodSigContext | FunctionContext | MethodContext) -> File:
        checker = ctx.api
        assert isinstance(checker, TypeChecker)
        if (
            self._file is None
            or self._file.checker is not checker
            or self._file.tree is not checker.tree
        ):
            self._file = File(checker)
        return self._file


def without_overloads(ctx: ClassDefContext) -> None:
    """Takes the overloads of `add` out of the class before mypy reads them: the `add` of its base
    takes whatever row, and the hooks say what comes of it."""
    ctx.cls.defs.body = [
        statement
        for statement in ctx.cls.defs.body
        if not isinstance(statement, OverloadedFuncDef) or statement.name != "add"
    ]


class File:
    """What is known while mypy checks one file."""

    def __init__(self, checker: TypeChecker) -> None:
        self.checker = checker
        self.tree = checker.tree
        self.judge = Judge(checker)
        self.names = names_in(checker.tree)
        self.made_by: dict[
            int, tuple[Type, CallExpr, Type]
        ] = {}  # a row's id: the row, the call that made it, and from what
        self.passes: dict[CallExpr, set[str]] = {}

    # --- the two hooks
    # -------------------------------------------------------------------------------------------------

    def add(self, ctx: MethodSigContext) -> FunctionLike:
        call = ctx.context
        assert isinstance(call, CallExpr)
        root, use = self.root(call)
        trust = use.trust
        before = self.before(call, ctx.type, root, use)
        rows = self.judge.rows(before)
        if trust is Trust.LOST:
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows[:1]]
        stages = self.judge.stages(call)
        seen = self.passes.setdefault(call, set())
        seen.add(str(before))
        unknown = Added(replace(rows[0], kind=Lanes.UNKNOWN, lanes=()))
        if (
            stages is None
            or any(row.kind is Lanes.UNKNOWN for row in rows)
            or len(seen) > PASSES_OF_A_LOOP
        ):
            rows = [unknown.row]
        made = [unknown if stages is None else self.judge.made(row, stages) for row in rows]
        if not call.args:
            self.checker.fail("add() needs a stage for each open lane", call, code=CODE)
        if is_first(self.checker, call, ctx.type):
            for sentence in {added.mistake: None for added in made if added.mistake is not None}:
                self.checker.fail(sentence.sentence, sentence.where, code=CODE)
        if any(added.mistake is not None for added in made):
            made = [unknown]
        after = make_simplified_union([self.judge.type_of(added.row) for added in made])
        if root is not None:
            self.remember(root, before, after, call, trust)
        first = made[0]
        gives = (
            self.judge.type_that_takes_any(first.row)
            if len(made) == 1 and self.is_rebound(call)
            else after
        )
        if not first.formals:
            return giving(ctx.default_signature, gives)
        width = len(first.formals)
        return changed(
            ctx.default_signature,
            first.formals,
            [ARG_POS] * width,
            [None] * width,
            first.variables,
            gives,
        )

    def run(self, ctx: MethodSigContext) -> FunctionLike:
        call = ctx.context
        assert isinstance(call, CallExpr)
        assert isinstance(call.callee, MemberExpr)
        root, use = self.root(call)
        trust = use.trust
        rows = self.judge.rows(self.before(call, ctx.type, root, use))
        if trust is Trust.LOST or (
            trust is Trust.DECLARED and any(row.kind is Lanes.NOTHING for row in rows)
        ):
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows]
        if not all(row.kind is Lanes.NOTHING for row in rows):
            rows = [
                row for row in rows if row.kind is not Lanes.NOTHING
            ]  # a loop that may add nothing: only the run can tell
        name = call.callee.name
        sentence = next(
            (found for row in rows if (found := cannot_run(row, name)) is not None), None
        )
        signature = self.judge.run_signature(rows, name, ctx.default_signature)
        if sentence is None and call.args and call.arg_kinds[0] is ARG_POS:
            sentence = self.judge.wrong_input(rows, name, signature, call.args[0])
        if sentence is None:
            return signature
        if is_first(self.checker, call, ctx.type):
            self.checker.fail(sentence, call.args[0] if call.args else call, code=CODE)
        accepting = [AnyType(TypeOfAny.from_error), *signature.arg_types[1:]]
        return changed(
            signature,
            accepting,
            signature.arg_kinds,
            signature.arg_names,
            signature.variables,
            signature.ret_type,
        )

    def new(self, context: Context, made: Instance) -> Type:
        """What `Pipeline()` gives, or a `with` statement."""
        return (
            self.judge.type_that_takes_any(self.judge.row(made))
            if self.is_rebound(context)
            else made
        )

    def is_rebound(self, value: Context) -> bool:
        position = (value.line, value.column, value.end_line or 0, value.end_column or 0)
        return self.names is not None and self.names.is_rebound(position)

    # --- what is known before a call
    # -----------------------------------------------------------------------------------

    def root(self, call: CallExpr) -> tuple[NameExpr | MemberExpr | None, Use]:
        """The variable that the chain of this call begins with, and how far it can be believed."""
        assert isinstance(call.callee, MemberExpr)
        owner = call.callee.expr
        while (
            isinstance(owner, CallExpr)
            and isinstance(owner.callee, MemberExpr)
            and owner.callee.name in RETURNS_ITSELF
        ):
            owner = owner.callee.expr
        if isinstance(owner, CallExpr):
            return None, Use(Trust.FOLLOWED, True)
        if isinstance(owner, NameExpr | MemberExpr):
            position = (call.line, call.column, call.end_line or 0, call.end_column or 0)
            return owner, Use(Trust.LOST, False) if self.names is None else self.names.use(
                position, text_of(owner)
            )
        return None, Use(Trust.LOST if call.callee.name == "add" else Trust.DECLARED, False)

    def before(
        self, call: CallExpr, receiver: Type, root: NameExpr | MemberExpr | None, use: Use
    ) -> Type:
        """The type of the pipeline when the call begins."""
        assert isinstance(call.callee, MemberExpr)
        owner = call.callee.expr
        whole = self.checker.lookup_type_or_none(owner) or receiver
        if root is None or owner is not root or use.trust in (Trust.DECLARED, Trust.LOST):
            return whole
        known = None if use.is_first else self.checker.binder.get(row_name(root))
        if known is None:
            # Nothing was added on any way here: this holds for the branches not taken, too, so it
            # belongs below all frames. In a loop mypy still has what was added to the pipeline that
            # the variable held the last time.
            self.checker.binder.cleanse(row_name(root))
            whole = make_simplified_union(
                [self.judge.type_of(row) for row in self.judge.rows(whole)]
            )
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

    def remember(
        self, root: NameExpr | MemberExpr, before: Type, after: Type, call: CallExpr, trust: Trust
    ) -> None:
        if trust in (Trust.FOLLOWED, Trust.HIDDEN, Trust.LOST):
            self.made_by[id(after)] = (after, call, before)
            self.put(row_name(root), after)
        if trust is Trust.FOLLOWED:
            unknown = [row for row in self.judge.rows(after) if row.kind is Lanes.UNKNOWN]
            self.put(root, TypeGuardedType(self.judge.type_of(unknown[0]) if unknown else after))

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
    """What the binder keeps a variable's row under: an attribute that nobody can write, forgotten
    with the variable."""
    return MemberExpr(root, "<row>")


def is_first(checker: TypeChecker, call: CallExpr, receiver: Type) -> bool:
    """mypy asks once for each type in a union; one answer is enough."""
    assert isinstance(call.callee, MemberExpr)
    whole = get_proper_type(checker.lookup_type_or_none(call.callee.expr) or receiver)
    return not isinstance(whole, UnionType) or str(get_proper_type(whole.items[0])) == str(
        get_proper_type(receiver)
    )
