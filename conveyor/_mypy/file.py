"""What is known while mypy checks one file: which row each variable holds, before and after a call.

Knows: mypy's checker and its binder.  Must never know: what fits what, which is `judge`'s business.
"""

from __future__ import annotations

import tokenize
from dataclasses import replace
from typing import Final

from mypy.checker import TypeChecker
from mypy.errorcodes import ErrorCode
from mypy.nodes import ARG_POS, CallExpr, Context, Expression, MemberExpr, MypyFile, NameExpr
from mypy.plugin import MethodSigContext
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    FunctionLike,
    Instance,
    Type,
    TypeGuardedType,
    TypeOfAny,
    UnionType,
    get_proper_type,
)

from conveyor._mypy.follow import Names, Trust, Use, read
from conveyor._mypy.judge import Added, Judge
from conveyor._mypy.rows import Lanes, PipelineTypes, cannot_run
from conveyor._mypy.runs import run_signature, wrong_input
from conveyor._mypy.scopes import RETURNS_ITSELF
from conveyor._mypy.stages import StageReader
from conveyor._mypy.types import changed, giving

__all__ = []


CODE: Final = ErrorCode("conveyor", "Stages fit the lanes that are open", "Conveyor")

PASSES_OF_A_LOOP: Final = 6  # a row that still changes after so many is not followed any further


class File:
    """What is known while mypy checks one file."""

    def __init__(self, checker: TypeChecker) -> None:
        self.checker = checker
        self.tree = checker.tree
        self.types = PipelineTypes(checker)
        self.reader = StageReader(checker, self.types)
        self.judge = Judge(checker, self.reader)
        self.names = names_in(checker.tree)
        # By a row's id: the row, the call that made it, and from what.
        self.made_by: dict[int, tuple[Type, CallExpr, Type]] = {}
        self.passes: dict[CallExpr, set[str]] = {}

    # ----------------------------------------------------------------------------------------------
    # the two hooks

    def add(self, ctx: MethodSigContext) -> FunctionLike:
        call = ctx.context
        assert isinstance(call, CallExpr)
        root, use = self.root(call)
        trust = use.trust
        before = self.before(call, ctx.type, root, use)
        rows = self.types.rows(before)
        if trust is Trust.LOST:
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows[:1]]
        stages = self.reader.stages(call)
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
        after = make_simplified_union([self.types.type_of(added.row) for added in made])
        if root is not None:
            self.remember(root, before, after, call, trust)
        first = made[0]
        gives = (
            self.types.type_that_takes_any(first.row)
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
        rows = self.types.rows(self.before(call, ctx.type, root, use))
        if trust is Trust.LOST or (
            trust is Trust.DECLARED and any(row.kind is Lanes.NOTHING for row in rows)
        ):
            rows = [replace(row, kind=Lanes.UNKNOWN, lanes=()) for row in rows]
        if not all(row.kind is Lanes.NOTHING for row in rows):
            # Of a loop that may add nothing, only the run can tell.
            rows = [row for row in rows if row.kind is not Lanes.NOTHING]
        name = call.callee.name
        sentence = next(
            (found for row in rows if (found := cannot_run(row, name)) is not None), None
        )
        signature = run_signature(self.checker, rows, name, ctx.default_signature)
        if sentence is None and call.args and call.arg_kinds[0] is ARG_POS:
            sentence = wrong_input(self.checker, rows, name, signature, call.args[0])
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
            self.types.type_that_takes_any(self.types.row(made))
            if self.is_rebound(context)
            else made
        )

    def is_rebound(self, value: Context) -> bool:
        position = (value.line, value.column, value.end_line or 0, value.end_column or 0)
        return self.names is not None and self.names.is_rebound(position)

    # ----------------------------------------------------------------------------------------------
    # what is known before a call

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
                [self.types.type_of(row) for row in self.types.rows(whole)]
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
            unknown = [row for row in self.types.rows(after) if row.kind is Lanes.UNKNOWN]
            self.put(root, TypeGuardedType(self.types.type_of(unknown[0]) if unknown else after))

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
    """A variable as it is written, where it is only names and dots.

    To mypy a variable that several `with` statements bind is a new one for each, whose names it
    tells apart by quotes behind them.
    """
    if isinstance(name, MemberExpr):
        return f"{text_of(name.expr)}.{name.name}"
    return name.name.rstrip("'") if isinstance(name, NameExpr) else "?"


def row_name(root: NameExpr | MemberExpr) -> MemberExpr:
    """What the binder keeps a variable's row under: an attribute that no program can write,
    forgotten with the variable."""
    return MemberExpr(root, "<row>")


def is_first(checker: TypeChecker, call: CallExpr, receiver: Type) -> bool:
    """mypy asks once for each type in a union; one answer is enough."""
    assert isinstance(call.callee, MemberExpr)
    whole = get_proper_type(checker.lookup_type_or_none(call.callee.expr) or receiver)
    return not isinstance(whole, UnionType) or str(get_proper_type(whole.items[0])) == str(
        get_proper_type(receiver)
    )
