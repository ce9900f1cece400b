"""The plugin for mypy: checks `pl.add(...)` on one variable as strictly as a chain of `add`s, and
says what is wrong in words.

Knows: mypy's hooks.  Must never know: what fits what, which is the business of `_mypy`, and
anything that happens at run time.  mypy is imported here and in `_mypy`, and nowhere else in the
library, which never imports these.

How it works.  The overloads of `add` are taken away, and a plain `add` is left.  At each call the
hook works out which lanes are open, gives mypy the exact signature of this one row, and remembers
the new row in mypy's binder under a name of its own, `pl.<row>`: so branches, loops, `try` and
early returns are mypy's business, and an assignment to `pl` forgets the row. `_mypy.follow` says
how far a variable can be followed; where it cannot, nothing is claimed and nothing is reported.

A fault in here must not become the user's: every hook falls back to what is accepted unchecked;
`mypy --show-traceback` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from mypy.checker import TypeChecker
from mypy.nodes import CallExpr, MemberExpr, OverloadedFuncDef, RefExpr, TypeInfo
from mypy.plugin import ClassDefContext, FunctionContext, MethodContext, MethodSigContext, Plugin
from mypy.types import CallableType, FunctionLike, Instance, Type, UnionType, get_proper_type

from conveyor._mypy.file import File
from conveyor._mypy.types import (
    ANYTHING,
    FILTER,
    PIPELINE,
    PIPELINES,
    PROCESSOR,
    ROWS,
    given_by,
    giving,
    has_any_lanes,
    is_object,
    without_none,
)

__all__ = ["ConveyorPlugin", "plugin"]

# mypy keeps what it found with this and the digest of this file, and looks again where either has
# changed; most of what it found is from `_mypy`, of which it knows nothing.
__version__: Final = sha256(
    b"".join(path.read_bytes() for path in sorted((Path(__file__).parent / "_mypy").glob("*.py")))
).hexdigest()

RUNS: Final = frozenset(
    {"run", "stream", "arun", "astream", "drain", "simulate", "explore", "replay", "count"}
)


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
