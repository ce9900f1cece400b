"""Is the type that a lane carries assignable to what a stage takes?  Yes, no, or cannot tell.

Knows: how a type checker relates two types.  Must never know: stages, lanes, values.

Rule 1.  Only what is certainly wrong is a no: an answer that a checker would contradict is worse
         than none.  Whatever cannot be read, or is not understood, is "cannot tell".
Rule 2.  A checker is right.  Where the interpreter and mypy disagree (promotions, registered
         classes), mypy's answer counts, and in doubt there is none.
Rule 3.  `Any` stands for what is not known: as what is taken it accepts everything, as what is
         carried it tells nothing.
"""

from __future__ import annotations

import collections.abc as abc
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from types import FunctionType
from typing import (
    Any,
    Final,
    Literal,
    LiteralString,
    Never,
    NewType,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
)

from typing_extensions import is_typeddict

from conveyor.typecheck.answers import Assignability, all_of, any_of, doubted
from conveyor.typecheck.builtin_types import STRUCTURAL
from conveyor.typecheck.class_relations import is_protocol, members_of, module_of, unrelated
from conveyor.typecheck.members import (
    CallableType,
    Field,
    attribute,
    callable_type_of,
    callable_type_of_method,
    fields_of,
    has_any_attribute,
    is_callable,
    names_in,
    read_as,
)
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    args_as,
    elements_of_tuple,
    has_any_length,
    is_alias,
    is_bare_tuple,
    is_readable,
    members,
    origin_of,
    plain,
    value_of_alias,
    variances,
)

__all__ = ["assignability"]


PROMOTIONS: Final[Mapping[object, tuple[type, ...]]] = {float: (int,), complex: (int, float)}

DEEPEST, MOST = 30, 300  # a type that unfolds deeper, or more often, than this is not followed


def assignability(carried: object, taken: object) -> Assignability:
    """Says whether a value of type `carried` can be given to what takes `taken`; raises nothing.

    >>> assignability(bool, float), assignability(list[int], list[str])
    (<Assignability.YES: 'yes'>, <Assignability.NO: 'no'>)
    >>> assignability("Missing", int)
    <Assignability.UNSURE: 'cannot tell'>
    """
    try:
        return _Relation().fits(carried, taken)
    except Exception:  # an annotation is any object, and may raise anything when it is looked at
        return Assignability.UNSURE


class _Relation:
    """One question, with the pairs of types that are under comparison: a type may contain
    itself."""

    __slots__ = ("pending", "unfolded")

    def __init__(self) -> None:
        self.pending: list[tuple[object, object]] = []
        self.unfolded = 0

    def fits(self, carried: object, taken: object) -> Assignability:
        if is_alias(carried) or is_alias(taken):
            return self.once(carried, taken, self.unfold)
        carried, taken = plain(carried), plain(taken)
        if taken is Any or taken is object:
            return Assignability.YES
        if type(carried) is type is type(taken) and Any not in getattr(carried, "__mro__", ()):
            return self.nominal(carried, taken)  # the rules are for others
        if carried is Any or not is_readable(carried) or not is_readable(taken):
            return Assignability.UNSURE
        if carried is Never or carried is NoReturn or carried == taken:
            return Assignability.YES
        for rule in (
            self.loose,
            self.variable,
            self.choice,
            self.literal,
            self.new_type,
            self.of_class,
            self.call,
            self.structure,
        ):
            answer = rule(carried, taken)
            if answer is not None:
                return answer
        return self.nominal(carried, taken)

    def once(
        self, carried: object, taken: object, compare: Callable[[object, object], Assignability]
    ) -> Assignability:
        """Compares types that may contain themselves: met again inside, they fit unless something
        else does not."""
        pair = (carried, taken)
        if pair in self.pending:
            return Assignability.YES
        self.unfolded += 1
        if self.unfolded > MOST or len(self.pending) >= DEEPEST:
            return Assignability.UNSURE
        self.pending.append(pair)
        answer = compare(carried, taken)
        self.pending.pop()
        return answer

    def unfold(self, carried: object, taken: object) -> Assignability:
        mine = value_of_alias(carried) if is_alias(carried) else carried
        return self.fits(mine, value_of_alias(taken) if is_alias(taken) else taken)

    def same(self, a: object, b: object) -> Assignability:
        """Each fits the other."""
        return Assignability.YES if b is Any else all_of([self.fits(a, b), self.fits(b, a)])

    # Each of the rules answers for some forms of types, and gives None for others, which are left
    # to the rules after it.

    def loose(self, carried: object, taken: object) -> Assignability | None:
        """A class that inherits from Any: it may have every other base as well."""
        if Any not in getattr(origin_of(carried), "__mro__", ()):
            return None
        return (
            Assignability.YES
            if origin_of(taken) in getattr(origin_of(carried), "__mro__", ())
            and not get_args(taken)
            else Assignability.UNSURE
        )

    def variable(self, carried: object, taken: object) -> Assignability | None:
        if isinstance(carried, TypeVar):
            return Assignability.UNSURE  # it was bound where that cannot be seen
        if not isinstance(taken, TypeVar):
            return None
        if taken.__constraints__:
            return any_of(self.fits(carried, constraint) for constraint in taken.__constraints__)
        return Assignability.YES if taken.__bound__ is None else self.fits(carried, taken.__bound__)

    def choice(self, carried: object, taken: object) -> Assignability | None:
        """Unions, and Literals of several values: all of one in any of the other."""
        if len(members(carried)) > 1:
            return all_of(self.fits(member, taken) for member in members(carried))
        if len(members(taken)) == 1:
            return None
        answer = any_of(self.fits(carried, member) for member in members(taken))
        return self.every_value(carried, taken) if answer is Assignability.NO else answer

    def every_value(self, carried: object, taken: object) -> Assignability:
        """Does each of the few values fit that some types have?"""
        if carried is bool:
            return all_of(self.fits(value, taken) for value in (Literal[True], Literal[False]))
        if (
            not isinstance(carried, type)
            or not issubclass(carried, Enum)
            or issubclass(carried, Flag)
        ):
            return Assignability.NO
        answer = all_of(self.fits(Literal[member], taken) for member in carried)
        return answer if len(carried) > 1 else doubted(answer)

    def literal(self, carried: object, taken: object) -> Assignability | None:
        if taken is LiteralString:  # for mypy another name of str, for others something narrower
            return (
                Assignability.NO
                if self.fits(carried, str) is Assignability.NO
                else Assignability.UNSURE
            )
        if carried is LiteralString:
            return self.fits(str, taken)
        if get_origin(carried) is Literal:
            value: object = get_args(carried)[0]
            return (
                Assignability.NO if get_origin(taken) is Literal else self.fits(type(value), taken)
            )
        return self.every_value(carried, taken) if get_origin(taken) is Literal else None

    def new_type(self, carried: object, taken: object) -> Assignability | None:
        if isinstance(carried, NewType):
            return self.fits(carried.__supertype__, taken)
        return Assignability.NO if isinstance(taken, NewType) else None

    def of_class(self, carried: object, taken: object) -> Assignability | None:
        """Classes as values: `type[X]`."""
        if get_origin(taken) is type:
            if get_origin(carried) is type:
                return self.fits(get_args(carried)[0], get_args(taken)[0])
            return (
                Assignability.UNSURE
                if isinstance(carried, type) and type in carried.__mro__
                else Assignability.NO
            )
        if get_origin(carried) is not type:
            return None
        (cls,) = get_args(carried)
        if cls is Any or not isinstance(cls, type) or is_callable(taken) or is_protocol(taken):
            return Assignability.UNSURE  # the methods of its metaclass, and its constructor
        return self.fits(type(cls), taken)

    def call(self, carried: object, taken: object) -> Assignability | None:
        """Anything that can be called."""
        if is_callable(taken):
            cls = origin_of(carried)
            _, member = attribute(cls, "__call__") if isinstance(cls, type) else (None, ...)
            if not is_callable(carried) and member is None:
                return Assignability.NO
            return self.callables(callable_type_of(carried), callable_type_of(taken))
        if not is_callable(carried):
            return None
        if is_protocol(taken):
            alone = members_of(origin_of(taken)) == ["__call__"]
            return (
                doubted(self.callables(callable_type_of(carried), callable_type_of(taken)))
                if alone
                else Assignability.UNSURE
            )
        return (
            Assignability.UNSURE
            if origin_of(taken) is abc.Hashable or module_of(taken) in ("types", "typing")
            else Assignability.NO
        )

    def callables(self, have: CallableType | None, want: CallableType | None) -> Assignability:
        """May the one be called as the other?  Parameters are compared the other way round."""
        if have is None or want is None:
            return Assignability.UNSURE
        gives = self.fits(have.gives, want.gives)
        if have.params is None or want.params is None:
            return gives
        if not have.needed <= len(want.params) <= len(have.params):
            return Assignability.NO
        return all_of([gives, *map(self.fits, want.params, have.params)])

    def structure(self, carried: object, taken: object) -> Assignability | None:
        """Tuples, TypedDicts and Protocols: compared part by part."""
        have, want = origin_of(carried), origin_of(taken)
        if is_typeddict(want):
            return (
                self.once(carried, taken, self.typed_dicts)
                if is_typeddict(have)
                else Assignability.NO
            )
        if is_protocol(taken) and want not in getattr(have, "__mro__", ()):
            return self.once(carried, taken, self.protocol)
        if is_typeddict(have) and args_as(carried, want) is None:
            return Assignability.UNSURE if want in STRUCTURAL else Assignability.NO
        if want is tuple and not is_bare_tuple(taken):
            args = get_args(carried) if have is tuple else args_as(carried, tuple)
            return (
                None
                if args is None
                else self.tuples(carried if have is tuple else tuple_of(args), taken)
            )
        return None

    def tuples(self, carried: object, taken: object) -> Assignability:
        have, want = elements_of_tuple(carried), elements_of_tuple(taken)
        if has_any_length(taken):
            return all_of(self.fits(element, want[0]) for element in have)
        if any(
            getattr(element, "__unpacked__", False) or not is_readable(plain(element))
            for element in (*have, *want)
        ):
            return Assignability.UNSURE
        if has_any_length(carried):
            return Assignability.UNSURE if have[0] is Any else Assignability.NO
        return all_of(map(self.fits, have, want)) if len(have) == len(want) else Assignability.NO

    def typed_dicts(self, carried: object, taken: object) -> Assignability:
        have, want = fields_of(carried), fields_of(taken)
        return all_of(self.field(have.get(name), field) for name, field in want.items())

    def field(self, have: Field | None, want: Field) -> Assignability:
        if have is None:
            return Assignability.UNSURE if want.read_only else Assignability.NO
        if have.read_only or want.read_only:
            return doubted(self.fits(have.hint, want.hint))
        return (
            self.same(have.hint, want.hint) if have.required == want.required else Assignability.NO
        )

    def protocol(self, carried: object, taken: object) -> Assignability:
        cls, wanted = origin_of(carried), origin_of(taken)
        if not isinstance(cls, type) or not isinstance(wanted, type) or is_typeddict(cls):
            return Assignability.UNSURE
        return all_of(self.member(name, carried, cls, taken, wanted) for name in members_of(wanted))

    def member(
        self, name: str, carried: object, cls: type, taken: object, wanted: type
    ) -> Assignability:
        """Does one member of a class do for a protocol?"""
        (mine, have), (theirs, want) = attribute(cls, name), attribute(wanted, name)
        if mine is None or theirs is None or have is None:
            unseen = module_of(cls) == "numpy" or name in names_in(cls) or has_any_attribute(cls)
            return Assignability.UNSURE if unseen else Assignability.NO
        if isinstance(have, FunctionType) and isinstance(want, FunctionType):
            answer = self.callables(
                callable_type_of_method(have, 1, carried, mine),
                callable_type_of_method(want, 1, taken, theirs),
            )
            # There a checker compares the names as well
            return doubted(answer) if name == "__call__" else answer
        if not (have is ... or isinstance(have, property)) or not (
            want is ... or isinstance(want, property)
        ):
            return Assignability.UNSURE
        found, expected = read_as(have, name, carried, mine), read_as(want, name, taken, theirs)
        if isinstance(want, property):
            return self.fits(found, expected)
        return (
            Assignability.UNSURE
            if isinstance(have, property)
            else doubted(self.same(found, expected))
        )

    def nominal(self, carried: object, taken: object) -> Assignability:
        """By the bases of the class."""
        if taken is Never or taken is NoReturn:
            return Assignability.NO
        have: Any = origin_of(carried)  # classes both, as all that is readable and came here
        want: Any = origin_of(taken)
        if issubclass(have, PROMOTIONS.get(want, ())):
            return Assignability.YES
        args, wanted = args_as(carried, want), get_args(taken)
        if args is None:
            return unrelated(have, want, bool(wanted))
        known = args if len(args) == len(wanted) else (UNKNOWN,) * len(wanted)
        return all_of(map(self.argument, variances(want, len(wanted)), known, wanted))

    def argument(self, sign: str, have: object, want: object) -> Assignability:
        match sign:
            case "+":
                return self.fits(have, want)
            case "-":
                return self.fits(want, have)
            case "=":
                return self.same(have, want)
            case _:  # how it varies is not declared: refused if no way would do
                ways = [self.fits(have, want), self.fits(want, have)]
                return (
                    Assignability.YES
                    if want is Any or all_of(ways) is Assignability.YES
                    else doubted(any_of(ways))
                )


def tuple_of(args: tuple[object, ...]) -> object:
    return tuple[args] if args else tuple  # type: ignore[valid-type]  # made at run time
