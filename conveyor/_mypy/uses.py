"""What a file does with each of its variables, written down scope by scope.

Knows: Python's syntax.  Must never know: mypy, what a pipeline is made of, or what follows from a
use.
"""

from __future__ import annotations

import ast
from typing import Final

from conveyor._mypy.scopes import (
    RETURNS_ITSELF,
    Event,
    Kind,
    Place,
    Position,
    Scope,
    may_be,
    place_of,
    position_of,
    root_of,
)

__all__ = []


KEEPS_NO_REFERENCE: Final = frozenset(
    {"reveal_type", "assert_type", "print", "isinstance", "repr", "str", "id", "type", "bool"}
)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Reader(ast.NodeVisitor):
    """Walks a file once and writes down, scope by scope, what becomes of each variable."""

    def __init__(self, tree: ast.Module) -> None:
        self.scope = Scope(tree, None)
        self.scopes = [self.scope]
        self.loops: tuple[int, ...] = ()
        self.blocks: tuple[int, ...] = ()
        self.visit_all(tree.body)

    def note(
        self,
        place: Place,
        kind: Kind,
        node: ast.AST,
        call: Position | None = None,
        others: tuple[Place, ...] = (),
    ) -> None:
        at = (getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
        self.scope.events.append(Event(place, kind, at, self.loops, self.blocks, call, others))

    def visit_all(self, nodes: list[ast.stmt] | list[ast.expr] | list[ast.excepthandler]) -> None:
        for node in nodes:
            self.visit(node)

    def block(self, nodes: list[ast.stmt], loop: ast.AST | None = None) -> None:
        loops, blocks = self.loops, self.blocks
        self.blocks = (*blocks, id(nodes))
        self.loops = loops if loop is None else (*loops, id(loop))
        self.visit_all(nodes)
        self.loops, self.blocks = loops, blocks

    # Definitions.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.bind(ast.Name(node.name), node)
        self.visit_all(node.decorator_list)
        self.function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.function(node, [ast.Expr(node.body)])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bind(ast.Name(node.name), node)
        self.visit_all([*node.decorator_list, *node.bases, *(k.value for k in node.keywords)])
        self.inside(Scope(node, self.scope, (node.lineno, node.col_offset)), node.body)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.elsewhere.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.bind(ast.Name(alias.asname or alias.name.partition(".")[0]), node)

    visit_ImportFrom = visit_Import

    # Statements and expressions that bind.

    def visit_Assign(self, node: ast.Assign) -> None:
        self.assign(node.targets, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.assign([node.target], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign([node.target], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self.bind(node.target, node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.bind(target, node)

    # Statements with blocks: what is bound in one may not be bound behind it.

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        loops, blocks = self.loops, self.blocks
        self.loops, self.blocks = (*loops, id(node)), (*blocks, id(node.body))
        self.bind(node.target, node.target)
        self.loops, self.blocks = loops, blocks
        self.block(node.body, node)
        self.block(node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.loops = (*self.loops, id(node))
        self.visit(node.test)
        self.loops = self.loops[:-1]
        self.block(node.body, node)
        self.block(node.orelse)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self.block(node.body)
        self.block(node.orelse)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.with_item(item)
        self.block(node.body)

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self.block(node.body)
        for handler in node.handlers:
            if handler.name is not None:
                self.bind(ast.Name(handler.name), handler)
            self.block(handler.body)
        self.block(node.orelse)
        self.block(node.finalbody)

    visit_TryStar = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self.pattern(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)
            self.block(case.body)

    # Expressions that read.

    def visit_Name(self, node: ast.Name | ast.Attribute) -> None:
        self.named(node, Kind.ESCAPE)

    visit_Attribute = visit_Name

    def visit_Return(self, node: ast.Return | ast.Expr) -> None:
        if isinstance(node.value, ast.Name | ast.Attribute):
            self.named(node.value, Kind.READ)
        else:
            self.generic_visit(node)

    visit_Expr = visit_Return

    def visit_Compare(self, node: ast.Compare) -> None:
        for operand in [node.left, *node.comparators]:
            self.read(operand)

    def read(self, node: ast.AST) -> None:
        if place_of(node) is not None:
            self.named(node, Kind.READ)
        else:
            self.visit(node)

    def named(self, node: ast.AST, kind: Kind) -> None:
        """A variable is read.  `pl.topology` takes something from `pl`; `pl.add` without a call is
        as good as `pl` itself."""
        place = place_of(node)
        if place is None:
            assert isinstance(node, ast.Attribute)
            self.visit(node.value)
            return
        self.note(place, kind, node)
        owner, _, name = place.rpartition(".")
        if owner and name in RETURNS_ITSELF:
            self.note(owner, Kind.ESCAPE, node)

    def visit_Call(self, node: ast.Call) -> None:
        kind = Kind.ESCAPE
        match node.func:
            case ast.Attribute(value=owner, attr=name):
                root = root_of(owner)
                if root is None:
                    self.visit(owner)
                    if (
                        isinstance(owner, ast.Call)
                        and isinstance(owner.func, ast.Name)
                        and owner.func.id == "super"
                    ):
                        self.note("super()", Kind.CALL, node)
                else:
                    if isinstance(owner, ast.Call):
                        self.visit(owner)
                    self.note(
                        root, Kind.ADD if name == "add" else Kind.CALL, node, position_of(node)
                    )
            case ast.Name(id=name) if name in KEEPS_NO_REFERENCE:
                kind = Kind.READ
            case ast.Name():
                pass
            case _:
                self.visit(node.func)
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self.read(argument) if kind is Kind.READ else self.visit(argument)

    def assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        if place_of(value) is None or (
            isinstance(value, ast.Attribute) and value.attr in RETURNS_ITSELF
        ):
            self.visit(value)
        held = set(may_be(value))
        if isinstance(value, ast.Call) and len(targets) == 1 and isinstance(targets[0], ast.Name):
            self.name_result(targets[0].id, value, held)
            return
        for target in targets:
            others = held - {place_of(target)}
            self.bind(
                target,
                value,
                Kind.ALIAS
                if others or len(targets) > 1 or place_of(value) is not None
                else Kind.BIND,
            )
        own = {place_of(target) for target in targets}
        for place in sorted(held - own):
            self.note(place, Kind.ESCAPE, value)

    def name_result(self, name: str, value: ast.expr, held: set[Place]) -> None:
        """The result of a call gets a name, or what a `with` statement gives: it may be a pipeline
        that has one."""
        self.scope.bound.add(name)
        if held == {name}:
            self.scope.rebound.add(name)
            return
        self.scope.values.append((name, position_of(value)))
        self.note(name, Kind.ALIAS if held else Kind.BIND, value, others=tuple(sorted(held)))
        for place in sorted(held):
            self.note(place, Kind.SHARED, value, others=(name,))

    def with_item(self, item: ast.withitem) -> None:
        held = set(may_be(item.context_expr))
        if place_of(item.context_expr) is None:
            self.visit(item.context_expr)
        if isinstance(item.optional_vars, ast.Name):
            self.name_result(item.optional_vars.id, item.context_expr, held)
        elif item.optional_vars is not None:
            self.bind(item.optional_vars, item.context_expr, Kind.ALIAS if held else Kind.BIND)
            for place in sorted(held):
                self.note(place, Kind.ESCAPE, item.context_expr)

    def bind(self, target: ast.expr, node: ast.AST, kind: Kind = Kind.BIND) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self.bind(part, node, kind)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, node, kind)
        elif (place := place_of(target)) is not None:
            if isinstance(target, ast.Name):
                self.scope.bound.add(target.id)
            self.note(place, kind, node)
        else:
            self.visit(target)

    def pattern(self, pattern: ast.pattern) -> None:
        for part in ast.walk(pattern):
            if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name is not None:
                self.bind(ast.Name(part.name), part, Kind.ALIAS)

    def visit_ListComp(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        loops, blocks = self.loops, self.blocks
        for generator in node.generators:
            self.visit(generator.iter)
            self.loops, self.blocks = (*self.loops, id(generator)), (*self.blocks, id(generator))
            self.bind(generator.target, generator.target)
            self.visit_all(generator.ifs)
        self.visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.loops, self.blocks = loops, blocks

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    def function(self, node: Function, body: list[ast.stmt]) -> None:
        arguments = node.args
        self.visit_all(
            [
                *arguments.defaults,
                *(default for default in arguments.kw_defaults if default is not None),
            ]
        )
        scope = Scope(node, self.scope, (node.lineno, node.col_offset))
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if isinstance(self.scope.node, ast.ClassDef) and parameters:
            scope.itself = parameters[0].arg
        scope.bound.update(parameter.arg for parameter in parameters)
        scope.bound.update(
            each.arg for each in (arguments.vararg, arguments.kwarg) if each is not None
        )
        self.inside(scope, body)

    def inside(self, scope: Scope, body: list[ast.stmt]) -> None:
        outer, loops, blocks = self.scope, self.loops, self.blocks
        self.scope, self.loops, self.blocks = scope, (), ()
        self.scopes.append(scope)
        self.visit_all(body)
        self.scope, self.loops, self.blocks = outer, loops, blocks
