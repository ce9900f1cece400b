"""How something is made again of the values that it was taken apart into.

Knows: rows of values, and what each kind of thing is made of.  Must never know: what may be taken
apart (`rows`), or how rows are sent (`columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, TypeAlias, cast

from conveyor.items.record_classes import keeps_a_dict, setters, stores_plainly
from conveyor.items.sealed import Sealed, Take

__all__ = ["ANY_DICT", "LIST", "SET", "SINGLE", "Form", "Key", "Row", "form_of"]

# What is made, and of what: the names of its values, or how many there are, or any number.
Key: TypeAlias = tuple[type[object], tuple[str, ...] | int | None]
Build: TypeAlias = Callable[..., object]


class Row(tuple[object, ...], Sealed):
    """The values of something that was taken apart: constants, and rows of what is inside.

    Its class tells its form.  It is no item that a job could give, and nothing can change it.
    """

    __slots__ = ()
    form: ClassVar[Form]

    @property
    def size(self) -> int:
        """About how many bytes the values take."""
        return sum(map(size_of, self))

    def __reduce__(self) -> Any:
        return Sealed.__reduce__(self)


def size_of(part: object) -> int:
    if isinstance(part, TEXTS):
        return 8 + len(part)
    return part.size if isinstance(part, Row) else 8


TEXTS: Final = (str, bytes)  # to make `str | bytes` at each call takes longer than all else


class Form:
    """One way of making things: `flat` and `nested` are the classes of its rows, without and with
    rows inside of them.

    `has_width` says that each row has as many values as any other.
    """

    __slots__ = ("build", "flat", "has_width", "key", "nested")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.has_width = key[1] is not None
        self.build = build = builder(*key)

        def open_nested(row: Row, take: Take = bytearray) -> object:
            return build([part.open() if isinstance(part, Row) else part for part in row])

        self.flat = self.rows("Row", build)
        self.nested = self.rows("NestedRow", open_nested)

    def rows(self, name: str, opens: Build) -> type[Row]:
        return type(
            name, (Row,), {"__slots__": (), "form": self, "open": opens, "__module__": __name__}
        )


def builder(kind: type[object], shape: tuple[str, ...] | int | None) -> Build:
    """What makes a thing of its values; it ignores a second argument, so that it can be the method
    `open` of a row."""
    if kind is object and not isinstance(shape, tuple):  # the only value is the thing itself
        return the_only_one
    if kind is dict and shape is None:
        return any_dict
    known: dict[str, object] = {"kind": kind, "new": object.__new__}
    if not isinstance(shape, tuple):
        new = cast("object", vars(tuple)["__new__"])
        if issubclass(kind, tuple) and kind is not tuple:
            return compiled("values, take=None", ["return new(kind, values)"], known | {"new": new})
        return compiled("values, take=None", ["return kind(values)"], known)
    variables = [f"v{number}" for number in range(len(shape))]
    pairs = [*zip(shape, variables, strict=True)]
    first = f"{', '.join(variables)}, = values" if variables else "pass"
    if kind is dict:
        display = ", ".join(f"{name!r}: {variable}" for name, variable in pairs)
        return compiled("values, take=None", [first, f"return {{{display}}}"], {})
    if stores_plainly(kind, shape):
        body = [f"made.{name} = {variable}" for name, variable in pairs]
    elif keeps_a_dict(kind):  # past whatever its class does when an attribute is set
        stores = [f"state[{name!r}] = {variable}" for name, variable in pairs]
        body = ["state = made.__dict__", *stores]
    else:
        body = [f"set_{variable}(made, {variable})" for variable in variables]
        known |= {
            f"set_{name}": set_ for name, set_ in zip(variables, setters(kind, shape), strict=True)
        }
    lines = [first, "made = new(kind)", *body, "return made"]
    return compiled("values, take=None", lines, known)


def compiled(parameters: str, body: Iterable[str], known: dict[str, object]) -> Build:
    """A function of its own: the interpreter remembers with the code what is done there, and does
    it without another look as long as it stays the same (PEP 659)."""
    source = f"def made({parameters}):\n" + "".join(f"    {line}\n" for line in body)
    names = dict(known)
    exec(source, names)
    return cast("Build", names["made"])


def the_only_one(values: Sequence[object], take: object = None) -> object:
    return values[0]


def any_dict(values: Sequence[object], take: object = None) -> object:
    """A dict of its keys and, behind them, their values."""
    half = len(values) // 2
    return dict(zip(values[:half], values[half:], strict=True))


MOST_FORMS: Final = 1024
FORMS: Final[dict[Key, Form]] = {}


def form_of(key: Key) -> Form:
    """The form with that key: there is one at a time."""
    form = FORMS.get(key)
    if form is None:
        if len(FORMS) >= MOST_FORMS:  # classes come and go; rows that are under way keep theirs
            FORMS.clear()
        form = FORMS[key] = Form(key)
    return form


SINGLE: Final = Form((object, 1))
LIST: Final = Form((list, None))
SET: Final = Form((set, None))
ANY_DICT: Final = Form((dict, None))
