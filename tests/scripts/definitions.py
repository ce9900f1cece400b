"""What a script may define at its top, in jobs, items and results: each is the same here and in the
workers.

Run with the names of groups; prints one line for each that is not right, and "done" behind each
group.
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import functools
import http.client
import os
import pickle
import sys
import threading
import traceback
import typing
import weakref
import xml.dom.minidom
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, member
from typing import (
    Any,
    Generic,
    NamedTuple,
    NewType,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    TypeVarTuple,
)

from typing_extensions import TypeAliasType

from conveyor import FlatMap, Pipe, Pipeline, Processor

T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
UserId = NewType("UserId", int)
Number = TypeAliasType("Number", int | float)
LOCK = threading.Lock()
AGAIN = threading.RLock()
LOCAL = threading.local()
LEVEL = contextvars.ContextVar("LEVEL", default=3)
DEPTH: contextvars.ContextVar[int] = contextvars.ContextVar("DEPTH")
DEPTH.set(7)
CONSTANT = 5


# -------------------------------------------------------------------------------------------- slots


class Plain:
    __slots__ = ("a",)

    def __init__(self, a: int) -> None:
        self.a = a


class Weak(Plain):
    __slots__ = ("__weakref__", "b")

    def __init__(self, a: int) -> None:
        super().__init__(a)
        self.b = a


class Single:
    __slots__ = "a"

    def __init__(self, a: int) -> None:
        self.a = a


class Private:
    __slots__ = ("__a",)

    def __init__(self, a: int) -> None:
        self.__a = a

    @property
    def a(self) -> int:
        return self.__a


class Open(Plain):
    """Has a `__dict__` again."""

    def __init__(self, a: int) -> None:
        super().__init__(a)
        self.more = a


class WithDict:
    __slots__ = ("__dict__", "a")

    def __init__(self, a: int) -> None:
        self.a = self.more = a


@dataclass(slots=True)
class Data:
    a: int


@dataclass(slots=True, frozen=True, weakref_slot=True)
class Frozen:
    a: int


@dataclass(slots=True)
class Derived(Data):
    b: int = 2


class Box(Generic[T]):
    __slots__ = ("a",)

    def __init__(self, a: T) -> None:
        self.a = a


class Pair(NamedTuple):
    a: int
    b: int = 2


SLOTTED: tuple[Any, ...] = (
    Plain,
    Weak,
    Single,
    Private,
    Open,
    WithDict,
    Data,
    Frozen,
    Derived,
    Box,
    Pair,
)


def same(item: Any) -> Any:
    return item


def a_of(item: Any) -> tuple[str, int]:
    return type(item).__name__, item.a


def kind_of(item: Any) -> Any:
    return item.__class__


def slots(check: Callable[[str, object, object], None]) -> None:
    items = [kind(at) for at, kind in enumerate(SLOTTED)]
    there = Pipeline[Any]().add(Processor(same)).add(Processor(same)).run(items)
    check("types", [kind_of(each) for each in there], list(SLOTTED))
    check("attributes", [each.a for each in there], list(range(len(SLOTTED))))
    check(
        "dicts",
        [hasattr(each, "__dict__") for each in there],
        [hasattr(each, "__dict__") for each in items],
    )
    check(
        "read",
        Pipeline[Any]().add(Processor(a_of)).run(items),
        [(type(each).__name__, each.a) for each in items],
    )

    def made(at: int) -> Any:
        item = SLOTTED[at](at)
        fixed = not hasattr(item, "__dict__")
        return item, fixed

    results = Pipeline[int]().add(Processor(made)).run(range(len(SLOTTED)))
    check(
        "made",
        [(kind_of(item), item.a, fixed) for item, fixed in results],
        [made(n) and (SLOTTED[n], n, made(n)[1]) for n in range(len(SLOTTED))],
    )


# ----------------------------------------------------------------------------------------- wrappers


@functools.lru_cache(maxsize=7)
def squared(number: int) -> int:
    return number * number


@functools.cache
def fibonacci(number: int) -> int:
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


@functools.singledispatch
def kind(value: object) -> str:
    return "?"


@kind.register
def _(value: int) -> str:
    return "int"


@kind.register(list)
def _(value: list[Any]) -> str:
    return f"list of {kind(value[0])}"


class Methods:
    cache: typing.ClassVar[weakref.WeakValueDictionary[str, Weak]] = weakref.WeakValueDictionary()
    lock = threading.Lock()
    local = threading.local()

    def __init__(self, base: int) -> None:
        self.base = base

    @functools.cached_property
    def double(self) -> int:
        with self.lock, AGAIN:
            return 2 * self.base

    @functools.lru_cache  # noqa: B019  # as is often written
    def added(self, number: int) -> int:
        return self.base + number

    @functools.singledispatchmethod
    def told(self, value: object) -> str:
        return "?"

    @told.register
    def _(self, value: int) -> str:
        return "int"

    @functools.partialmethod
    def part(self) -> int:
        return self.base


def decorated(function: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return wrapper


@decorated
def tripled(number: int) -> int:
    return 3 * number


@contextlib.contextmanager
def at_level(level: int) -> Generator[None]:
    before = LEVEL.set(level)
    try:
        yield
    finally:
        LEVEL.reset(before)


@at_level(9)
def levelled(number: int) -> tuple[int, int]:
    return number, LEVEL.get()


class Missing:
    def __reduce__(self) -> str:
        return "MISSING"


MISSING = Missing()


def wrappers(check: Callable[[str, object, object], None]) -> None:
    def use(number: int) -> tuple[object, ...]:
        with LOCK:
            LOCAL.value = Methods.local.value = number
            methods = Methods(number)
            told = methods.told(number), methods.double, methods.added(1), methods.part()
            return (
                squared(number),
                fibonacci(20),
                kind([number]),
                told,
                LEVEL.get(),
                DEPTH.get(),
                LOCAL.value,
                tripled(number),
            )

    check("run", Pipeline[int]().add(Processor(use)).run([2]), [use(2)])
    check("job", Pipeline[int]().add(Processor(squared)).run([3]), [9])
    check(
        "empty",
        Pipeline[int]().add(Processor(lambda _: squared.cache_info().currsize)).run([3]),
        [0],
    )
    for how in ("run", "simulate"):
        found = list(getattr(Pipeline[int]().add(Processor(levelled)), how)([1, 2]))
        check(f"in a context, {how}", found, [(1, 9), (2, 9)])
    check("method", Pipeline[int]().add(Processor(Methods(1).added)).run([3]), [4])
    check(
        "item",
        [each.double for each in Pipeline[Methods]().add(Processor(same)).run([Methods(3)])],
        [6],
    )


def annotated(number: Number) -> UserId:
    return UserId(int(number))


def spread(number: int, *more: *Ts) -> tuple[*Ts]:
    return more


def names(check: Callable[[str, object, object], None]) -> None:
    check(
        "annotations",
        Pipeline[int]().add(Processor(annotated)).add(Processor(spread)).run([1]),
        [()],
    )
    by_name = (
        UserId,
        T,
        P,
        Ts,
        Number,
        squared,
        tripled,
        Missing,
        Data,
        Colour,
        Colour.RED,
        MISSING,
    )
    for value in by_name:
        check(
            f"{value} as an item",
            Pipeline[Any]().add(Processor(same)).run([value])[0] is value,
            True,
        )
        check(
            f"{value} as a result",
            Pipeline[int]().add(Processor(functools.partial(value_of, value))).run([1])[0] is value,
            True,
        )
    check("a default", Pipeline[Any]().add(Processor(is_missing)).run([MISSING, 1]), [True, False])


def value_of(value: Any, _: int) -> Any:
    return value


def is_missing(item: Any) -> bool:
    return item is MISSING


# ------------------------------------------------------------------------------------------ classes


class Colour(Enum):
    RED = (1, "#f00")
    BLUE = (2, "#00f")
    ALSO_RED = (1, "#f00")  # noqa: PIE796  # an alias

    def __init__(self, number: int, code: str) -> None:
        self.number = number
        self.code = code

    @property
    def told(self) -> str:
        return f"{self.name} {self.code}"


class Meta(type):
    known: typing.ClassVar[list[str]] = []

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Meta:
        if name in cls.known:
            raise TypeError(f"there is a {name}")
        cls.known.append(name)
        return super().__new__(cls, name, bases, names)


class Registered(metaclass=Meta):
    def __init__(self, a: int) -> None:
        self.a = a


class Base:
    known: typing.ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, *, key: str) -> None:
        Base.known[key] = cls

    def __init__(self, a: int) -> None:
        self.a = a


class Child(Base, key="child"):
    pass


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Square(Shape):
    def __init__(self, a: int) -> None:
        self.a = a

    def area(self) -> int:
        return self.a**2


class Sized(Protocol):
    a: int


class Told(TypedDict):
    a: int


class Outer:
    class Inner:
        def __init__(self, a: int) -> None:
            self.a = a


class Counter:
    """Counts what is made of it: state of a class, which each worker has of its own."""

    made = 0

    def __init__(self, a: int) -> None:
        self.a = a
        Counter.made += 1


class Proxy:
    """Says that it is what it stands for, as those of many libraries do."""

    def __init__(self, target: object) -> None:
        self.target = target

    @property  # type: ignore[misc]  # mypy wants a setter, too
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # so does pyright
        return Proxy if self.target is None else type(self.target)


def is_taken_for_an_int(item: object) -> bool:
    return isinstance(Proxy(item), int)


def classes(check: Callable[[str, object, object], None]) -> None:
    kinds: tuple[Any, ...] = (Registered, Child, Square, Outer.Inner)
    items = [kind(at) for at, kind in enumerate(kinds)]
    check(
        "types",
        [kind_of(each) for each in Pipeline[Any]().add(Processor(same)).run(items)],
        list(kinds),
    )
    check(
        "results",
        [
            kind_of(each)
            for each in Pipeline[int]().add(Processor(lambda at: kinds[at](at))).run(range(4))
        ],
        list(kinds),
    )

    def use(number: int) -> tuple[object, ...]:
        class Local:
            constant = CONSTANT

        told: Told = {"a": number}
        is_shape = issubclass(type(same(Square(number))), Shape)
        return (
            sorted(Base.known),
            Meta.known,
            Colour.BLUE.told,
            Colour.RED.number,
            is_shape,
            told,
            Local.constant,
        )

    check("use", Pipeline[int]().add(Processor(use)).run([1]), [use(1)])
    check(
        "told",
        Pipeline[Colour]().add(Processor(lambda colour: colour.told)).run([Colour.ALSO_RED]),
        ["RED #f00"],
    )
    counted = (
        Pipeline[Any]()
        .add(Processor(lambda item: (Counter(item.a), Counter.made)[1]))
        .run([Counter(1), Counter(2)])
    )
    check("a class is filled once", counted, [3, 4])
    check("and here it is what it was", Counter.made, 2)
    proxied = Pipeline[Any]().add(Processor(is_taken_for_an_int)).run([1, "1", None])
    check("a proxy", proxied, [True, False, False])


# -------------------------------------------------------------------------------- hints, subclasses


# Most of these are recipes of the standard library's own how-to on enumerations.


class Coordinate(bytes, Enum):
    """Its content is neither its value nor what it was written as."""

    label: str

    def __new__(cls, value: int, label: str) -> Coordinate:
        made = bytes.__new__(cls, [value])
        made._value_ = value
        made.label = label
        return made

    X = (0, "across")
    Y = (1, "up")


class Numbered(Enum):
    def __new__(cls) -> Numbered:
        made = object.__new__(cls)
        made._value_ = len(cls.__members__) + 1
        return made


class Step(Numbered):
    FIRST = ()
    SECOND = ()


@dataclass(frozen=True)
class Animal:
    legs: int
    tail: bool = True


class Creature(Animal, Enum):
    BEETLE = 6, False
    DOG = 4


class Mass(Data, Enum):
    """With slots mixed in."""

    EARTH = 5
    MARS = 2


class Period(timedelta, Enum):
    DAY = 1
    WEEK = 7


class Point(Pair, Enum):
    ORIGIN = (0, 0)
    ONE = (1, 3)


class Base8(int, Enum):
    TEN = "12", 8


class Known(Enum):
    """A member that is found by more than its value."""

    def __new__(cls, value: str, *more: str) -> Known:
        made = object.__new__(cls)
        made._value_ = value
        for each in more:
            cls._value2member_map_[each] = made
        return made

    BYTE = "int8", "i1"


def plus(one: int, other: int) -> int:
    return one + other


class Operator(Enum):
    ADD = member(plus)

    def __call__(self, one: int, other: int) -> int:
        return self.value(one, other)


class Marked(Enum):
    """A base that counts what it has made."""

    def __init__(self, *_: int) -> None:
        MARKED.append(self.name)


MARKED: list[str] = []


class Mark(Marked):
    ONE = 1
    UNO = 1


def of(value: Any) -> Any:
    """What checkers take for something else than enumerations make of it."""
    return value


def in_a_list(job: Callable[[int], object], item: int) -> list[object]:
    return [job(item)]


def enumerations(check: Callable[[str, object, object], None]) -> None:
    jobs: list[Callable[[int], object]] = [
        lambda _: (Coordinate.Y + b"", Coordinate.Y.label, of(Coordinate)(1) is Coordinate.Y),
        lambda _: [(each.value, each.name) for each in Step],
        lambda _: (of(Step)(2) is Step.SECOND, Step.SECOND in Step, len(Step)),
        lambda _: (Creature.DOG.legs, Creature.DOG.tail, Creature.BEETLE.tail),
        lambda _: (type(Creature.DOG.value).__name__, of(Creature.BEETLE).value.legs),
        lambda _: (Mass.EARTH.a, Mass.MARS.a),
        lambda _: (Period.WEEK.days, Period.WEEK.value, of(Period)(timedelta(1)) is Period.DAY),
        lambda _: (Point.ONE[0], Point.ONE[1], len(Point.ORIGIN), Point.ONE.value),
        lambda _: (Base8.TEN + 1, Base8.TEN.value),
        lambda _: (Known("i1") is Known.BYTE, Known("int8").name),
        lambda _: (Operator.ADD(1, 2), len(Operator)),
        lambda _: (MARKED, of(Mark.UNO) is Mark.ONE, [*Mark.__members__]),
    ]
    for number, job in enumerate(jobs):
        for how in ("run", "simulate"):
            stage: FlatMap[int, object] = FlatMap(functools.partial(in_a_list, job))
            pl = Pipeline[int]().add(stage)
            check(f"{number}, {how}", list(getattr(pl, how)([1])), [job(1)])
    for items in ([*Coordinate], [*Step], [*Creature], [*Period], [*Point], [*Base8], [*Known]):
        here = Pipeline[Any]().add(Processor(same)).add(Pipe()).add(Processor(same)).run(items)
        check(type(items[0]).__name__, [id(each) for each in here], [id(each) for each in items])


class Leaf:
    pass


@dataclass
class Hinted:
    leaf: Leaf
    leaves: list[Leaf | None]
    node: typing.Optional[Hinted] = None  # noqa: UP045  # its name is looked up in a module
    more: Any = None

    def told(self, leaf: Leaf) -> Hinted:
        return self


class Unsendable:
    def rows(self) -> object:
        return TABLE.rows


def names_it(leaf: Leaf, other: Unsendable) -> Hinted:
    raise NotImplementedError


class Plugin:
    pass


class First(Plugin):
    pass


class Second(Plugin):
    pass


class Deeper(Second):
    pass


def below(of: type[object]) -> list[str]:
    return [name for each in of.__subclasses__() for name in (each.__name__, *below(each))]


def hinting(_: int) -> list[str]:
    return sorted(
        map(
            repr,
            (*typing.get_type_hints(Hinted).items(), *typing.get_type_hints(Hinted.told).items()),
        )
    )


def hints(check: Callable[[str, object, object], None]) -> None:
    check("of a class", Pipeline[int]().add(Processor(hinting)).run([1]), [hinting(1)])
    kinds = (
        Pipeline[Any]()
        .add(Processor(lambda item: repr(typing.get_type_hints(kind_of(item)))))
        .run([Hinted(Leaf(), [])])
    )
    check("of an item's class", kinds, [repr(typing.get_type_hints(Hinted))])
    leaf = Pipeline[int]().add(Processor(lambda _: names_it.__globals__["Leaf"] is Leaf)).run([1])
    check("of a function, one of whose hints cannot be sent", leaf, [True])


def subclasses(check: Callable[[str, object, object], None]) -> None:
    check(
        "subclasses",
        Pipeline[int]().add(Processor(lambda _: below(Plugin))).run([1]),
        [["First", "Second", "Deeper"]],
    )
    of_item = (
        Pipeline[Any]().add(Processor(lambda item: sorted(below(kind_of(item))))).run([Plugin()])
    )
    check("of an item's class", of_item, [["Deeper", "First", "Second"]])


# --------------------------------------------------------------------------------- pickled in a job


def pickled(number: int) -> tuple[bool, int]:
    copy = pickle.loads(pickle.dumps((tripled, squared, Data(number), pickled)))
    return copy[0] is tripled and copy[3] is pickled, copy[2].a


def pickles_itself(number: int) -> int:
    copy = pickle.loads(pickle.dumps(tripled))
    assert copy is tripled
    return number


def in_a_pool(number: int) -> int:
    import multiprocessing

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(tripled, number).result()


def pickles(check: Callable[[str, object, object], None]) -> None:
    check("pickled", Pipeline[int]().add(Processor(pickled)).run([4]), [(True, 4)])
    chain: Any = Pipeline[int]()
    for at in range(5):  # more than there are cores: some share a worker
        chain.add(Processor(pickles_itself, name=f"stage {at}"))
    check("in workers that several share", chain.run([4, 5]), [4, 5])
    check("in a pool", Pipeline[int]().add(Processor(in_a_pool)).run([4]), [12])


# -------------------------------------------------------------------------------------- what cannot


class Table:
    def __init__(self) -> None:
        self.rows = [{"lock": threading.Lock()}]


TABLE = Table()


class Holder:
    """A class that no worker can have."""

    def __init__(self, a: int) -> None:
        self.a = a

    def rows(self) -> object:
        return TABLE.rows


def looked_up(number: int) -> object:
    return TABLE.rows[number]


def told_by(pl: Any, items: Any) -> str:
    try:
        return repr(pl.run(items))
    except Exception as error:
        return "".join(traceback.format_exception(error))


def reasons(check: Callable[[str, object, object], None]) -> None:
    way = (
        "global 'TABLE' -> attribute 'rows' -> [0] -> ['lock']: cannot pickle '_thread.lock' object"
    )
    told = told_by(Pipeline[int]().add(Processor(looked_up)), [1])
    check("a job", f"stage 'looked_up' -> {way}" in told, True)
    told = told_by(Pipeline[Any]().add(Processor(same)), [Holder(1)])
    why = f"'Holder' of the script could not be sent to the worker: attribute 'rows' -> {way}"
    check(
        "an item", why in told or os.environ["CONVEYOR_START_METHOD"] == "fork", True
    )  # a fork has it
    told = told_by(Pipeline[Any]().add(Processor(same)), [[TABLE]])
    check(
        "inside of an item",
        "[0] -> attribute 'rows' -> [0] -> ['lock']: cannot pickle '_thread.lock' object" in told,
        True,
    )
    told = told_by(Pipeline[int]().add(Processor(lambda number: {"table": TABLE})), [1])
    check("a stage of a lambda", f"stage 'lambda' -> {way}" in told, True)


class Line:
    def ports(self) -> list[int]:
        return sorted(http.client.HTTP_PORT + at for at in range(2))


def submodules(check: Callable[[str, object, object], None]) -> None:
    """A module behind a dot is there also where only code inside of a job names it."""
    wsgiref: Any = __import__("wsgiref.util")  # a variable of this function

    def in_lambda(_: int) -> object:
        return (lambda: http.client.HTTP_PORT)()

    def in_function(_: int) -> object:
        def inner() -> int:
            return xml.dom.minidom.Node.TEXT_NODE

        return inner()

    def in_generator(_: int) -> object:
        return next(xml.dom.minidom.Node.TEXT_NODE for _ in range(1))

    def in_method(_: int) -> object:
        return Line().ports()

    def in_closure(_: int) -> object:
        return (lambda: wsgiref.util.__name__)()

    for job in (in_lambda, in_function, in_generator, in_method, in_closure):
        check(job.__name__, Pipeline[int]().add(Processor(job)).run([1]), [job(1)])


def fails(number: int) -> float:
    return 1 / number


def tracebacks(check: Callable[[str, object, object], None]) -> None:
    told = told_by(Pipeline[int]().add(Processor(fails)), [0])
    check("file", f'{__file__}", line ' in told and "return 1 / number" in told, True)


def main(group: str) -> None:
    def check(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            print(f"{group}, {what}: {found!r} instead of {wanted!r}")

    globals()[group](check)
    print("done")


if __name__ == "__main__":
    for group in sys.argv[1:]:
        main(group)
