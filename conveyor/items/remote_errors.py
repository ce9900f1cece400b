"""How an exception travels: out of a worker, real or simulated, to the caller, with its type, text,
arguments and traceback.

Knows: what exceptions carry, and how they are shown.  Must never know: stages, policies, processes.

Rule 1.  It travels by its own pickle if that gives an equal one: of the same type, with the same
         text, arguments and native attributes.
Rule 2.  Else its parts travel, and no constructor is called: many classes take other arguments than
         they keep.
Rule 3.  If that does not bring it back, either, its text and traceback arrive, in a `JobRaised`.
Rule 4.  What is shown is bounded: an argument of megabytes goes along, but is not written out.
"""

from __future__ import annotations

import io
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, cast

from conveyor.errors import JobRaised
from conveyor.items.failures import OWN_FAILURES
from conveyor.items.sealing import PROTOCOL
from conveyor.items.short_repr import ShortRepr

__all__ = ["SentError", "WorkerTraceback", "add_note", "sent", "set_cause"]

SHOWN: Final = 10_000  # characters that are shown of an argument
SHOWN_IN_ALL: Final = 200_000  # ... and of a traceback
DEEP: Final = 20
ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
BOUNDED: Final = ShortRepr()
BOUNDED.maxlevel = DEEP
BOUNDED.maxlist = BOUNDED.maxtuple = BOUNDED.maxset = BOUNDED.maxfrozenset = BOUNDED.maxdict = 100
BOUNDED.maxstring = BOUNDED.maxother = BOUNDED.maxlong = 1000


class WorkerTraceback(Exception):
    """The traceback of an exception, as it was printed in the worker; the exception's cause."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


@dataclass(frozen=True, slots=True)
class SentError:
    """An exception as it travels: pickled, if that brings it back, and as text."""

    pickled: bytes | None
    text: str
    trace: str

    def original(self) -> BaseException | None:
        """The exception itself; None if it cannot be had here."""
        try:
            error: object = pickle.loads(self.pickled) if self.pickled is not None else None
        except OWN_FAILURES:
            return None  # its class is not known here; it is then told as text
        return error if isinstance(error, BaseException) else None

    def arrived(self, note: str = "") -> BaseException:
        """The exception as the caller gets it: its cause is the worker's traceback, its note says
        where it was raised."""
        cause = WorkerTraceback(self.trace)
        original = self.original()
        if (
            original is not None
            and set_cause(original, cause)
            and (not note or add_note(original, note))
        ):
            return original
        raised = JobRaised(f"{self.text}\n{self.trace}")
        raised.__cause__ = cause
        if note:
            raised.add_note(note)
        return raised


def sent(error: BaseException) -> SentError:
    """`error` as it travels.

    >>> class Odd(Exception):
    ...     def __init__(self, code):
    ...         super().__init__(f"failed with {code}")
    >>> import __main__; __main__.Odd = Odd  # as in a script
    >>> Odd.__module__, Odd.__qualname__ = "__main__", "Odd"
    >>> sent(Odd(7)).arrived()
    Odd('failed with 7')
    """
    shown = shortened(error)
    try:
        text = "".join(traceback.format_exception_only(shown))
        trace = "".join(traceback.format_exception(shown))
    except Exception as failed:  # what it is asked for when it is shown may raise as well
        text = f"{type(error).__qualname__}, which cannot be shown: {type(failed).__name__}"
        trace = "".join([*traceback.format_tb(error.__traceback__), text])
    return SentError(pickled(error), cut(text.strip(), SHOWN), cut(trace, SHOWN_IN_ALL))


def cut(text: str, most: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n... {len(text) - most} characters ...\n{text[-most // 2 :]}"


# ----------------------------------------------------------------------------------------------
# as something to load


def pickled(error: BaseException) -> bytes | None:
    """`error` in the first way that brings it back as what it is."""
    for dumped in (by_itself, by_parts, by_parts_and_class):
        try:
            data = dumped(error)
            copy: object = pickle.loads(data)
        except OWN_FAILURES:
            continue
        if isinstance(copy, BaseException) and is_like(copy, error):
            return data
    return None


def by_itself(error: BaseException) -> bytes:
    return pickle.dumps(error, PROTOCOL)


def by_parts(error: BaseException) -> bytes:
    """`error`, and all exceptions in it, so that no constructor is called when they are loaded."""
    with io.BytesIO() as file:
        ByParts(file, PROTOCOL).dump(error)
        return file.getvalue()


def by_parts_and_class(error: BaseException) -> bytes:
    """The same, with a class that has no name by which it could be found: one of a function."""
    from conveyor.items.pickling import dumped  # with cloudpickle, which is slow to import

    return dumped(error, parts_of)


class ByParts(pickle.Pickler):
    """Reduces every exception to its class, its arguments and its attributes."""

    def reducer_override(self, obj: object) -> Any:
        return parts_of(obj)


def parts_of(obj: object) -> Any:
    """An exception, as a pickler takes it."""
    if not isinstance(obj, BaseException):
        return NotImplemented
    error: BaseException = obj
    base = next(each for each in type(error).__mro__ if each.__module__ == "builtins")
    reduce = cast("Callable[[BaseException], tuple[Any, ...]]", base.__reduce__)
    kind, args, *rest = reduce(error)
    state: dict[str, object] = {**((rest[0] if rest else None) or {}), "args": arguments(error)}
    state.update(natives(error))
    own: object = object.__getstate__(error)
    parts: object = own if issubclass(type(own), tuple) else (own,)  # the second are its slots
    for part in cast("tuple[dict[str, object] | None, ...]", parts):
        state.update(part or {})
    return rebuilt, (base, kind, group_of(error) or args), state, None, None, set_attributes


def natives(error: BaseException) -> dict[str, object]:
    """What a builtin class keeps of an exception outside of its `__dict__`, as the `filename` of an
    `OSError` and the `name` of a `NameError`, and what another one keeps in slots: pickles have
    them only if they were arguments.

    The `obj` of an `AttributeError` is not looked at: it may be anything, and any size.
    """
    found: dict[str, object] = {}
    for base in type(error).__mro__:
        if issubclass(BaseException, base):
            continue
        if base is BaseExceptionGroup:  # it is made with what it keeps
            continue
        builtin = base.__module__ == "builtins"
        kept = (MemberDescriptorType, GetSetDescriptorType) if builtin else MemberDescriptorType
        for name, slot in vars(base).items():
            if isinstance(slot, kept) and not (builtin and name == "obj"):
                with suppress(AttributeError):  # that is how some say that they are not set
                    found[name] = slot.__get__(error)
    return {name: value for name, value in found.items() if value is not None}


def same_natives(copy: BaseException, error: BaseException) -> bool:
    """Have both, and those inside of them if they are groups, the same `natives`?"""
    inside, wanted = ((group_of(each) or ("", ()))[1] for each in (copy, error))
    return alike(natives(copy), natives(error)) and all(map(same_natives, inside, wanted))


def group_of(error: BaseException) -> tuple[str, tuple[BaseException, ...]] | None:
    """The message and the exceptions of a group, whose class may have been called with something
    else."""
    if not isinstance(error, BaseExceptionGroup):
        return None
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group.message, group.exceptions


def rebuilt(base: type[object], kind: type[object], args: tuple[object, ...]) -> object:
    """An exception of `kind`, made as its builtin `base` makes one."""
    error = cast("Callable[..., object]", base.__new__)(kind, *args)
    cast("Callable[..., None]", base.__init__)(error, *args)
    return error


def set_attributes(error: object, state: dict[str, object]) -> None:
    for name, value in state.items():
        object.__setattr__(error, name, value)  # its class may forbid it to others


def is_like(copy: BaseException, error: BaseException) -> bool:
    """Would `copy` be taken for `error`?"""
    if type(copy) is not type(error) or not alike(arguments(copy), arguments(error)):
        return False
    if not same_natives(copy, error):
        return False
    return writes_arguments(error) or plain_text(copy) == plain_text(error)


def arguments(error: BaseException) -> tuple[object, ...]:
    return cast("tuple[object, ...]", BaseException.__dict__["args"].__get__(error))


def alike(one: object, other: object) -> bool:
    try:
        if one == other:
            return True
    except Exception:  # arrays, and whatever else compares as it likes
        pass
    try:
        return pickle.dumps(one, PROTOCOL) == pickle.dumps(other, PROTOCOL)
    except Exception:  # a function, say: it has come by value, and is another one
        return False


def plain_text(error: BaseException) -> str:
    try:
        return ADDRESS.sub("", str(error))
    except Exception as failed:
        return f"<{type(failed).__name__}>"


# ----------------------------------------------------------------------------------------------
# as something to read


def shortened(error: BaseException) -> BaseException:
    """The error as it is shown: itself, or, if an argument of it or of one behind it is large, one
    with less to write."""
    if not any(is_weighty(each) for each in family(error)):
        return error
    return shadow(error, {})


def family(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that would be shown with it."""
    found: dict[int, BaseException] = {}
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += relatives(each)
            yield each


def relatives(error: BaseException) -> list[BaseException]:
    _, inside = group_of(error) or ("", ())
    return [each for each in (error.__cause__, error.__context__, *inside) if each is not None]


def shadow(error: BaseException, made: dict[int, BaseException]) -> BaseException:
    """Gives an exception that is shown as this one, with its large arguments cut short."""
    if id(error) in made:
        return made[id(error)]
    made[id(error)] = error
    if (group := group_of(error)) is not None:
        copy: BaseException = BaseExceptionGroup(
            cut(group[0], SHOWN), [shadow(each, made) for each in group[1]]
        )
    elif writes_arguments(error):
        copy = cast(
            "BaseException",
            rebuilt(BaseException, type(error), tuple(map(short, arguments(error)))),
        )
    else:
        return error
    made[id(error)] = copy
    set_attributes(copy, {"__notes__": getattr(error, "__notes__", [])})
    set_cause(copy, error.__cause__ and shadow(error.__cause__, made))
    copy.__context__ = error.__context__ and shadow(error.__context__, made)
    copy.__suppress_context__ = error.__suppress_context__
    return BaseException.with_traceback(copy, error.__traceback__)


def writes_arguments(error: BaseException) -> bool:
    """Is its text nothing but its arguments?"""
    return type(error).__str__ in (BaseException.__str__, KeyError.__str__)


def is_weighty(error: BaseException) -> bool:
    return writes_arguments(error) and weight(arguments(error)) > SHOWN


def weight(value: object, deep: int = 0) -> int:
    """About how many characters it takes to write a value of builtin types; counted no further than
    is shown."""
    match value:
        case str() | bytes() | bytearray():
            return len(value)
        case list() | tuple() | set() | frozenset():
            inside = iter(cast("list[object]", value))
        case dict():
            inside = (part for pair in cast("dict[object, object]", value).items() for part in pair)
        case _:
            return 1
    total = 2
    for each in inside if deep < DEEP else ():
        total += 1 + weight(each, deep + 1)
        if total > SHOWN:
            break
    return total


class Shown:
    """Stands for a value that is too large to be shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def short(value: object) -> object:
    if weight(value) <= SHOWN:
        return value
    return cut(value, SHOWN) if isinstance(value, str) else Shown(cut(BOUNDED.repr(value), SHOWN))


# ----------------------------------------------------------------------------------------------
# what is added


def add_note(error: BaseException, note: str) -> bool:
    """Adds a note, though the class may forbid attributes, or have notes of its own; False if
    it would not be shown."""
    notes: object = getattr(error, "__notes__", ())
    before = list(cast("list[str]", notes)) if isinstance(notes, list | tuple) else []
    try:
        object.__setattr__(error, "__notes__", [*before, note])
    except (AttributeError, TypeError):
        return False
    return getattr(error, "__notes__", None) == [*before, note]


def set_cause(error: BaseException, cause: BaseException | None) -> bool:
    """Sets the cause; False if the class shows another."""
    BaseException.__dict__["__cause__"].__set__(error, cause)
    return error.__cause__ is cause
