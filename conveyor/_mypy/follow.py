"""Which variables the mypy plugin may follow, and how far.

Knows: Python's scopes, names and loops.  Must never know: mypy, or what a pipeline is made of.

The plugin remembers what was added to a variable.  That is only right while every `add` goes
through that variable.  A variable is *spoiled* where something else may add to the same pipeline:
it is handed to a function, stored, given a second name, or used by a function that may be called at
any time.  From there on, and before it in the same loop, its row is lost, and nothing is said about
it, until the variable is bound anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

__all__ = ["Names", "Place", "Position", "Trust", "Use", "read"]

Position = tuple[
    int, int, int, int
]  # first line and column, last line and column, as both ast and mypy count them
Place = str  # a variable: "pl", or with dots: "self.pl"

RETURNS_ITSELF: Final = frozenset({"add", "open", "__enter__"})
KEEPS_NO_REFERENCE: Final = frozenset(
    {"reveal_type", "assert_type", "print", "isinstance", "repr", "str", "id", "type", "bool"}
)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Trust(Enum):
    """What may be believed of the variable at the root of a call."""

    FOLLOWED = "its row is known, and whoever reads it may see that"
    HIDDEN = (
        "its row is known up to here; but others are handed it, and they take it as it was declared"
    )
    DECLARED = "it is as its declaration says: nothing in this file adds to it"
    LOST = "something unseen may have added to it"


class Kind(Enum):
    BIND = "bound to something new"
    ALIAS = "bound to what another variable holds too"
    ADD = "stages are added"
    CALL = "another method is called"
    READ = "read, by someone who keeps nothing"
    ESCAPE = "handed on to someone who may add"
    SHARED = "the result of an `add` got a name of its own, and is the same pipeline"


@dataclass(frozen=True)
class Event:
    place: Place
    kind: Kind
    at: tuple[int, int]
    loops: tuple[int, ...]
    blocks: tuple[int, ...]
    call: Position | None = None
    others: tuple[
        Place, ...
    ] = ()  # names of the same pipeline, by `this = other.add(...)`: good while nobody adds to those


@dataclass
class Scope:
    node: ast.AST
    parent: Scope | None
    at: tuple[int, int] = (0, 0)
    bound: set[str] = field(default_factory=set[str])
    elsewhere: set[str] = field(default_factory=set[str])  # declared global or nonlocal
    events: list[Event] = field(default_factory=list[Event])
    captures: set[Place] = field(
        default_factory=set[Place]
    )  # what an inner function may add to, whenever it is called
    values: list[tuple[str, Position]] = field(
        default_factory=list[tuple[str, Position]]
    )  # what variables are bound to
    rebound: set[str] = field(default_factory=set[str])  # by `this = this.add(...)`
    itself: str | None = None  # a method's first parameter


@dataclass(frozen=True)
class Use:
    """A method call on a variable; `is_first`: nothing was added since the variable was bound, on
    any way to here."""

    trust: Trust
    is_first: bool


class Names:
    """All variables of a file."""

    def __init__(self, scopes: list[Scope]) -> None:
        self._added = {
            event.place for scope in scopes for event in scope.events if event.kind is Kind.ADD
        }
        self._calls = {
            event.call: (scope, event)
            for scope in scopes
            for event in scope.events
            if event.call is not None
        }
        self._rebound = {
            position for scope in scopes for name, position in scope.values if name in scope.rebound
        }
        for scope in scopes:
            note_captures(scope)

    def use(self, call: Position, place: Place) -> Use:
        """What is known of the variable of a method call; of one that was not found, nothing."""
        found = [self._calls[call]] if call in self._calls else self._near(call)
        uses = {
            Use(trust(scope, event, self._added), is_first(scope, event))
            for scope, event in found
            if event.place == place
        }
        return uses.pop() if len(uses) == 1 else Use(Trust.LOST, False)

    def is_rebound(self, value: Position) -> bool:
        """Is this what a variable is first bound to, to which stages are then added by `this =
        this.add(...)`?"""
        return value in self._rebound

    def _near(self, call: Position) -> list[tuple[Scope, Event]]:
        """The calls on the same lines: where a line is not ASCII, mypy 2.4 counts its columns in a
        way of its own."""
        return [
            found
            for position, found in self._calls.items()
            if position[0] == call[0] and position[2] == call[2]
        ]


def read(source: bytes | str) -> Names:
    """Reads a file; raises `SyntaxError` for what is no Python."""
    return Names(Reader(ast.parse(source)).scopes)


def place_of(node: ast.AST) -> Place | None:
    """The variable that an expression names: only names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = place_of(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def root_of(node: ast.AST) -> Place | None:
    """The variable at the beginning of a chain of calls that all give the pipeline itself."""
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in RETURNS_ITSELF
    ):
        node = node.func.value
    return place_of(node)


def position_of(node: ast.expr) -> Position:
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0


def may_be(node: ast.AST) -> Iterator[Place]:
    """The variables whose very object an expression may give."""
    if isinstance(node, ast.IfExp):
        yield from may_be(node.body)
        yield from may_be(node.orelse)
    elif isinstance(node, ast.BoolOp | ast.Tuple | ast.List):
        for value in node.values if isinstance(node, ast.BoolOp) else node.elts:
            yield from may_be(value)
    elif isinstance(node, ast.NamedExpr):
        yield from may_be(node.target)
    elif (place := root_of(node)) is not None:
        yield place


class Reader:
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

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.bind(ast.Name(node.name), node)
                self.visit_all(node.decorator_list)
                self.function(node, node.body)
            case ast.Lambda():
                self.function(node, [ast.Expr(node.body)])
            case ast.ClassDef():
                self.bind(ast.Name(node.name), node)
                self.visit_all(
                    [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
                )
                self.inside(Scope(node, self.scope, (node.lineno, node.col_offset)), node.body)
            case ast.Global() | ast.Nonlocal():
                self.scope.elsewhere.update(node.names)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self.bind(ast.Name(alias.asname or alias.name.partition(".")[0]), node)
            case ast.Assign(targets=targets, value=value):
                self.assign(targets, value)
            case ast.NamedExpr():
                self.assign([node.target], node.value)
            case ast.AnnAssign():
                if node.value is not None:
                    self.assign([node.target], node.value)
            case ast.AugAssign():
                self.visit(node.value)
                self.bind(node.target, node)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.bind(target, node)
            case ast.For() | ast.AsyncFor():
                self.visit(node.iter)
                loops, blocks = self.loops, self.blocks
                self.loops, self.blocks = (*loops, id(node)), (*blocks, id(node.body))
                self.bind(node.target, node.target)
                self.loops, self.blocks = loops, blocks
                self.block(node.body, node)
                self.block(node.orelse)
            case ast.While():
                self.loops = (*self.loops, id(node))
                self.visit(node.test)
                self.loops = self.loops[:-1]
                self.block(node.body, node)
                self.block(node.orelse)
            case ast.If():
                self.visit(node.test)
                self.block(node.body)
                self.block(node.orelse)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.with_item(item)
                self.block(node.body)
            case ast.Try() | ast.TryStar():
                self.block(node.body)
                for handler in node.handlers:
                    if handler.name is not None:
                        self.bind(ast.Name(handler.name), handler)
                    self.block(handler.body)
                self.block(node.orelse)
                self.block(node.finalbody)
            case ast.Match():
                self.visit(node.subject)
                for case in node.cases:
                    self.pattern(case.pattern)
                    if case.guard is not None:
                        self.visit(case.guard)
                    self.block(case.body)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self.comprehension(node)
            case ast.Call():
                self.call(node)
            case ast.Name() | ast.Attribute():
                self.named(node, Kind.ESCAPE)
            case ast.Return(value=ast.Name() | ast.Attribute() as value):
                self.named(value, Kind.READ)
            case ast.Compare():
                for operand in [node.left, *node.comparators]:
                    self.read(operand)
            case ast.Expr(value=ast.Name() | ast.Attribute() as value):
                self.named(value, Kind.READ)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.visit(child)

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

    def call(self, node: ast.Call) -> None:
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

    def comprehension(
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


def owner_of(scope: Scope, place: Place) -> Scope | None:
    """The scope whose variable it is, seen from `scope`: Python's rule, by which methods do not see
    their class's names."""
    name, seen = place.partition(".")[0], scope
    while name not in seen.bound or name in seen.elsewhere:
        if seen.parent is None:
            return None
        seen = seen.parent
        while isinstance(seen.node, ast.ClassDef) and seen.parent is not None:
            seen = seen.parent
    return seen


def note_captures(scope: Scope) -> None:
    """An inner function may run at any time: what it adds to, hands on or binds is never known
    outside."""
    for event in scope.events:
        owner = owner_of(scope, event.place)
        if owner is not None and owner is not scope and event.kind not in (Kind.CALL, Kind.READ):
            owner.captures.add(event.place)


def trust(scope: Scope, use: Event, added: set[Place]) -> Trust:
    """How far the variable of one call can be believed."""
    place = use.place
    binds = [e for e in scope.events if e.place == place and e.kind in (Kind.BIND, Kind.ALIAS)]
    is_attribute = "." in place
    if is_attribute:
        # Only `self.x`, and only behind an assignment in the same method.
        followed = (
            place.count(".") == 1
            and place.partition(".")[0] == scope.itself
            and any(b.at < use.at for b in binds)
        )
    else:
        followed = owner_of(scope, place) is scope
    if not followed:
        return Trust.LOST if place in added else Trust.DECLARED
    if place in scope.captures or (is_attribute and place.partition(".")[0] in scope.captures):
        return Trust.LOST
    bind = latest(binds, use)
    spoils = [e for e in scope.events if spoils_of(place, e) and not (e is bind and e.others)]
    named_twice = [
        e for e in scope.events if e is bind or (e.place == place and e.kind is Kind.SHARED)
    ]
    for named in named_twice:
        if not all(
            "." not in other and owner_of(scope, other) is scope and other not in scope.captures
            for other in named.others
        ):
            return Trust.LOST
        # Who has another name may not change what both hold; what became of the names at `named`
        # itself is how it came about.
        spoils += [
            e for e in scope.events if e.place in named.others and e.at != named.at and changes(e)
        ]
    if any(reaches(spoil, use, bind) for spoil in spoils):
        return Trust.LOST
    is_handed_on = any(e.place == place and e.kind is Kind.ESCAPE for e in scope.events)
    return Trust.HIDDEN if is_handed_on else Trust.FOLLOWED


def is_first(scope: Scope, use: Event) -> bool:
    binds = [e for e in scope.events if e.place == use.place and e.kind in (Kind.BIND, Kind.ALIAS)]
    adds = (e for e in scope.events if e.place == use.place and e.kind is Kind.ADD)
    return not any(
        reaches(add, use, latest(binds, use)) for add in adds if add is not use or add.loops
    )


def changes(event: Event) -> bool:
    return event.kind in (Kind.ADD, Kind.ESCAPE, Kind.ALIAS)


def latest(binds: list[Event], use: Event) -> Event | None:
    """What the variable was last bound to on every way to `use`, if that is one place."""
    before = [b for b in binds if b.at < use.at and use.blocks[: len(b.blocks)] == b.blocks]
    return max(before, key=lambda b: b.at, default=None)


def spoils_of(place: Place, event: Event) -> bool:
    if event.place == place:
        return event.kind in (Kind.ESCAPE, Kind.ALIAS)
    owner, dot, _ = place.partition(".")
    if not dot:
        return False
    # Whoever has `self` has `self.pl`: a method of it, or of its base class, or whoever it is
    # handed to.
    return event.place in (owner, "super()") and event.kind is not Kind.READ


def reaches(spoil: Event, use: Event, bind: Event | None) -> bool:
    """Can the program come from `spoil` to `use` without passing `bind`?"""
    if (
        bind is not None
        and spoil.at < bind.at
        and not set(spoil.loops) & set(use.loops) - set(bind.loops)
    ):
        return False
    if spoil.at < use.at:
        return True
    return bool(set(spoil.loops) & set(use.loops) - set(bind.loops if bind is not None else ()))
