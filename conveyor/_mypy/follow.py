"""Which variables the mypy plugin may follow, and how far.

Knows: what a file does with its variables (`uses`).  Must never know: mypy, or what a pipeline is
made of.

The plugin remembers what was added to a variable.  That is only right while every `add` goes
through that variable.  A variable is *spoiled* where something else may add to the same pipeline:
it is handed to a function, stored, given a second name, or used by a function that may be called at
any time.  From there on, and before it in the same loop, its row is lost, and nothing is said about
it, until the variable is bound anew.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum

from conveyor._mypy.scopes import Event, Kind, Place, Position, Scope
from conveyor._mypy.uses import Reader

__all__ = ["Names", "Trust", "Use", "read"]


class Trust(Enum):
    """What may be believed of the variable at the root of a call."""

    FOLLOWED = "its row is known, and what reads it may see that"
    HIDDEN = "its row is known up to here; but it is handed on, and is taken there as declared"
    DECLARED = "it is as its declaration says: nothing in this file adds to it"
    LOST = "something unseen may have added to it"


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
    """Says how far the variable of one call can be believed.

    Only a variable of the scope itself is followed, or `self.x` behind an assignment in the same
    method: what else binds it, may be anywhere.  What was added since is known only if every event
    from its last binding to `use`, on every way there, is an `add` by this name; so each event that
    spoils it, and that can be reached between the two, makes it lost.  The same goes for every
    other name of the same pipeline, from where it got that name on.
    """
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
        # By another name nothing may be changed that both hold; the event at `named` itself is how
        # the second name came about, and changes nothing.
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
    # What has `self` has `self.pl`: a method of it, or of its base class, or a function that it is
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
