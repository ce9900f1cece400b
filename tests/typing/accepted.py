"""Pipelines that mypy --strict accepts and that run: building and simulating them must not raise a StageTypeError.

Each function gives a pipeline, what goes in and what comes out.  Annotations are strings here, read when a stage is added.
"""

from __future__ import annotations

import argparse
import array
import collections
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import io
import math
import operator
import os
import pathlib
import re
import threading
import types
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence, Sized
from dataclasses import InitVar, dataclass, field
from typing import (
    IO,
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Concatenate,
    Final,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    NewType,
    NotRequired,
    ParamSpec,
    Protocol,
    Required,
    Self,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TypeAlias,
    TypedDict,
    TypeGuard,
    TypeVar,
    TypeVarTuple,
    Unpack,
    overload,
)

from typing_extensions import Buffer, ReadOnly, TypeAliasType, TypeIs, override
from typing_extensions import NamedTuple as GenericNamedTuple
from typing_extensions import TypedDict as GenericTypedDict
from typing_extensions import TypeVar as DefaultTypeVar

from conveyor import Filter, FlatMap, Pipe, Pipeline, Processor, ReplicatingFork, Zip

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Case: TypeAlias = tuple[Pipeline[Any, Any], Sequence[Any], Sequence[Any]]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")
N = TypeVar("N", bound=float)
S = TypeVar("S", str, bytes)
D = DefaultTypeVar("D", default=int)


# ------------------------------------------------------------------------------------------- descriptors and dataclasses


class Converted:
    """Takes what int() takes, and is an int when it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> int: ...
    @overload
    def __get__(self, instance: object, owner: type) -> int: ...
    def __get__(self, instance: Any, owner: type) -> int:
        return 7 if instance is None else instance.__dict__.get(self.name, 7)

    def __set__(self, instance: Any, value: int) -> None:
        instance.__dict__[self.name] = int(value)


@dataclass
class Stock:
    quantity: Converted = Converted()


@dataclass
class LaterStock(Stock):
    note: str = ""


class HasQuantity(Protocol):
    @property
    def quantity(self) -> int: ...


def quantity_of(stock: HasQuantity) -> int:
    return stock.quantity


def descriptor() -> Case:
    return Pipeline[int]().add(Processor(Stock)).add(Processor(lambda stock: stock.quantity + 1)), [1, 2], [2, 3]


def inherited_descriptor() -> Case:
    return Pipeline[int]().add(Processor(LaterStock)).add(Processor(quantity_of)), [1, 2], [1, 2]


@dataclass
class Early:
    number: InitVar[int]
    doubled: int = field(init=False)
    limit: ClassVar[int] = 3

    def __post_init__(self, number: int) -> None:
        self.doubled = 2 * number


def init_var() -> Case:
    return Pipeline[int]().add(Processor(Early)).add(Processor(lambda early: early.doubled)), [1], [2]


@dataclass(frozen=True)
class Box(Generic[T]):
    value: T

    def get(self) -> T:
        return self.value

    @classmethod
    def of(cls, value: T) -> Self:
        return cls(value)

    def with_value(self, other: R) -> Box[R]:
        return Box(other)


class IntBox(Box[int]):
    pass


def int_of(box: Box[int]) -> int:
    return box.value


def generic_dataclass() -> Case:
    return (
        Pipeline[int]().add(Processor(IntBox)).add(Processor(int_of)).add(Processor(Box[int])).add(Processor(int_of)),
        [1],
        [1],
    )


def method_of_a_generic_class() -> Case:
    return Pipeline[Box[int]]().add(Processor(Box.get)).add(Processor(abs)), [Box(-1)], [1]


class Lazy(Generic[T_co]):
    """A descriptor that works its value out when it is first asked for."""

    def __init__(self, function: Callable[[Any], T_co]) -> None:
        self.function = function

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T_co: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T_co:
        return self if instance is None else self.function(instance)


class Circle:
    def __init__(self, radius: int) -> None:
        self.radius = radius

    @Lazy
    def area(self) -> int:
        return 3 * self.radius**2

    @functools.cached_property
    def length(self) -> int:
        return 6 * self.radius


class HasArea(Protocol):
    @property
    def area(self) -> int: ...


class HasLength(Protocol):
    @property
    def length(self) -> int: ...


def area_of(shape: HasArea) -> int:
    return shape.area


def length_of(shape: HasLength) -> int:
    return shape.length


def lazy_descriptor() -> Case:
    return Pipeline[int]().add(Processor(Circle)).add(Processor(area_of)), [2], [12]


def cached_property() -> Case:
    return Pipeline[int]().add(Processor(Circle)).add(Processor(length_of)), [2], [12]


# ----------------------------------------------------------------------------------------- attributes of any name, Protocols


class HasName(Protocol):
    name: str


class Named(Protocol):
    @property
    def name(self) -> str: ...


def name_of(thing: Named) -> str:
    return thing.name


def settable_name_of(thing: HasName) -> str:
    return thing.name


class Dynamic:
    def __init__(self, name: str) -> None:
        self.fields = {"name": name}

    def __getattr__(self, name: str) -> Any:
        if name == "fields" or name.startswith("__"):
            raise AttributeError(name)
        return self.fields[name]


class DynamicByHand:
    def __getattribute__(self, name: str) -> Any:
        return "always" if name == "name" else object.__getattribute__(self, name)


def dynamic(name: str) -> Dynamic:
    return Dynamic(name)


def namespace(name: str) -> argparse.Namespace:
    return argparse.Namespace(name=name)


def simple(name: str) -> types.SimpleNamespace:
    return types.SimpleNamespace(name=name)


class Structure(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char)]


def structure(name: str) -> Structure:
    return Structure(name.encode())


def any_attribute() -> Case:
    return Pipeline[str]().add(Processor(dynamic)).add(Processor(name_of)), ["a"], ["a"]


def any_attribute_by_hand() -> Case:
    return Pipeline[DynamicByHand]().add(Processor(name_of)), [DynamicByHand()], ["always"]


def argparse_namespace() -> Case:
    return Pipeline[str]().add(Processor(namespace)).add(Processor(name_of)), ["a"], ["a"]


def simple_namespace() -> Case:
    return Pipeline[str]().add(Processor(simple)).add(Processor(settable_name_of)), ["a"], ["a"]


def module() -> Case:
    return Pipeline[int]().add(Processor(lambda n: n)).add(Processor(str)), [1], ["1"]


class Colored(Protocol):
    COLORS: ClassVar[tuple[str, ...]]

    def paint(self, times: int = 1) -> str: ...


class Wall:
    COLORS: ClassVar[tuple[str, ...]] = ("red",)

    def paint(self, times: int = 1, *, twice: bool = False) -> str:
        return self.COLORS[0] * times


def painted(thing: Colored) -> str:
    return thing.paint()


def protocol_with_class_variable() -> Case:
    return Pipeline[Wall]().add(Processor(painted)), [Wall()], ["red"]


class Made(type):
    made: int = 0

    def __call__(cls, number: int) -> str:
        return f"made {number}"

    @property
    def title(cls) -> str:
        return cls.__name__


class Product(metaclass=Made):
    def __init__(self, name: str) -> None: ...


def text_length(text: str) -> int:
    return len(text)


def metaclass_call() -> Case:
    return Pipeline[Any]().add(Processor(Product)).add(Processor(lambda made: str(made))), [1], ["made 1"]


class Titled(Protocol):
    @property
    def title(self) -> str: ...


def title_of(thing: Titled) -> str:
    return thing.title


def class_with_a_metaclass_property() -> Case:
    return Pipeline[type[Product]]().add(Processor(title_of)), [Product], ["Product"]


class Reader(Protocol):
    def __call__(self, item: str, /, times: int = ...) -> str: ...


def repeated(item: str, /, times: int = 2) -> str:
    return item * times


def use(reader: Reader) -> str:
    return reader("a")


def callback_protocol() -> Case:
    return Pipeline[Reader]().add(Processor(use)), [repeated], ["aa"]


class Comparable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


C = TypeVar("C", bound=Comparable)


def largest(items: Sequence[C]) -> C:
    return sorted(items)[-1]


def bound_by_a_protocol() -> Case:
    return Pipeline[list[int]]().add(Processor(largest)).add(Processor(str)), [[1, 3, 2]], ["3"]


class Node(Protocol):
    @property
    def children(self) -> Sequence[Node]: ...


@dataclass
class Tree:
    children: list[Tree] = field(default_factory=list)


def depth(node: Node) -> int:
    return 1 + max(map(depth, node.children), default=0)


def recursive_protocol() -> Case:
    return Pipeline[Tree]().add(Processor(depth)), [Tree([Tree()])], [2]


class Linked(Protocol[T_co]):
    def chain(self) -> Linked[T_co]: ...
    def last(self) -> T_co: ...


class Chain:
    def chain(self) -> Self:
        return self

    def last(self) -> int:
        return 1


def last_of(linked: Linked[int]) -> int:
    return linked.chain().last()


def protocol_that_gives_itself() -> Case:
    return Pipeline[Chain]().add(Processor(last_of)), [Chain()], [1]


# ----------------------------------------------------------------------------------------------------------- names and scopes


@dataclass
class Row:
    of_the_module: int


class Item:
    """Of the module; classes and functions below have others of this name."""


class Taker:
    @dataclass
    class Item:
        number: int

    class Pair(NamedTuple):
        left: Taker.Item
        right: int

    def take(self, item: Item) -> int:
        return item.number

    @staticmethod
    def make(number: int) -> Item:
        return Taker.Item(number)

    @classmethod
    def make_too(cls, number: int) -> Item:
        return cls.Item(number)

    @property
    def value(self) -> Item:
        return Taker.Item(9)

    class Inner:
        def take(self, item: Item) -> str:
            return type(item).__qualname__


class HasValue(Protocol):
    @property
    def value(self) -> Taker.Item: ...


def value_of(thing: HasValue) -> Taker.Item:
    return thing.value


def nested_class() -> Case:
    return Pipeline[int]().add(Processor(Taker.make)).add(Processor(Taker().take)), [3], [3]


def nested_class_of_a_classmethod() -> Case:
    return Pipeline[int]().add(Processor(Taker.make_too)).add(Processor(Taker().take)), [3], [3]


def nested_class_taken() -> Case:
    return Pipeline[Taker.Item]().add(Processor(Taker().take)), [Taker.Item(4)], [4]


def nested_class_of_a_property() -> Case:
    return Pipeline[Taker]().add(Processor(value_of)).add(Processor(Taker().take)), [Taker()], [9]


def class_around_a_class_is_not_seen() -> Case:
    return Pipeline[Item]().add(Processor(Taker.Inner().take)), [Item()], ["Item"]


def nested_class_of_a_stage() -> Case:
    class Reads(Processor["Reads.Row", int]):  # type: ignore[name-defined, misc, unused-ignore]
        @dataclass
        class Row:
            number: int

        def process(self, item: Row) -> int:
            return item.number

    return Pipeline[Any]().add(Reads()), [Reads.Row(3)], [3]


def local_class() -> Case:
    @dataclass
    class Row:
        number: int

    def make(number: int) -> Row:
        return Row(number)

    def take(row: Row) -> int:
        return row.number

    def takes_many(rows: list[Row] | tuple[Row, ...] | Mapping[str, Row]) -> int:
        return len(rows)

    first = Pipeline[int]().add(Processor(make)).add(Processor(take))
    return first.add(Processor(lambda n: [Row(n)])).add(Processor(takes_many)), [1], [1]


def local_class_that_is_not_captured() -> Case:
    class Row:
        def __init__(self, number: int) -> None:
            self.number = number

    def take(row: Row) -> int:
        return row.number

    return Pipeline[int]().add(Processor(Row)).add(Processor(take)), [1], [1]


def local_names_in_fields() -> Case:
    class Row(NamedTuple):
        number: int

    @dataclass
    class Holder:
        row: Row

    class Held(NamedTuple):
        row: Row

    class Dict(TypedDict):
        row: Row

    class HasRow(Protocol):
        @property
        def row(self) -> Row: ...

    def row_of(holder: HasRow) -> Row:
        return holder.row

    def from_dict(held: Dict) -> Row:
        return held["row"]

    def as_dict(row: Row) -> Dict:
        return {"row": row}

    start = Pipeline[int]().add(Processor(Row)).add(Processor(Holder)).add(Processor(row_of))
    then = start.add(Processor(Held)).add(Processor(row_of)).add(Processor(as_dict)).add(Processor(from_dict))
    return then.add(Processor(lambda row: row.number)), [5], [5]


def local_class_in_a_method() -> Case:
    class Outer:
        def build(self) -> Pipeline[int, int]:
            class Row:
                number = 4

            class User:
                def take(self, row: Row) -> int:
                    return row.number

            return Pipeline[int]().add(Processor(lambda _: Row())).add(Processor(User().take))

    return Outer().build(), [0], [4]


def decorated_around() -> Case:
    @functools.wraps(local_class)
    def build() -> Pipeline[int, int]:
        class Row:
            number = 6

        def take(row: Row) -> int:
            return row.number

        return Pipeline[int]().add(Processor(lambda _: Row())).add(Processor(take))

    return build(), [0], [6]


def only_for_checkers() -> Case:
    def tag_of(element: Element) -> str:
        return str(element)

    return Pipeline[Any]().add(Processor(tag_of)), [1], ["1"]


# ----------------------------------------------------------------------------------------------- literals, enums, None, unions


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

    @property
    def other(self) -> Color:
        return Color.BLUE if self is Color.RED else Color.RED


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mode(enum.StrEnum):
    READ = "r"


class Flags(enum.Flag):
    A = 1
    B = 2


def none_or_text(text: str | None) -> Literal[None] | str:
    return text


def length_or_none(text: str | Literal[None]) -> int:
    return -1 if text is None else len(text)


def literal_none() -> Case:
    return Pipeline[str | None]().add(Pipe()).add(Processor(length_or_none)), [None, "a"], [-1, 1]


def literal_none_given() -> Case:
    return Pipeline[str]().add(Processor(none_or_text)).add(Processor(text_length)), ["ab"], [2]


def nested_literals(kind: Literal[Literal["a", "b"], None, 3]) -> str:
    return str(kind)


def literals() -> Case:
    return Pipeline[Literal["a", 3] | None]().add(Processor(nested_literals)), ["a", None, 3], ["a", "None", "3"]


def of_red(color: Literal[Color.RED, Color.BLUE]) -> Color:
    return color.other


def level(number: int) -> str:
    return str(int(number))


def opened(mode: str) -> str:
    return mode.upper()


def enum_literals() -> Case:
    return Pipeline[Color]().add(Processor(of_red)), [Color.RED], [Color.BLUE]


def int_enum() -> Case:
    return Pipeline[Level]().add(Processor(level)), [Level.LOW], ["1"]


def str_enum() -> Case:
    return Pipeline[Mode]().add(Processor(opened)), [Mode.READ], ["R"]


def flags(flag: Flags) -> int:
    return flag.value


def flag_enum() -> Case:
    return Pipeline[Flags]().add(Processor(flags)), [Flags.A | Flags.B], [3]


def both_bools(flag: Literal[True] | Literal[False]) -> bool:
    return not flag


def bool_literals() -> Case:
    return Pipeline[bool]().add(Processor(both_bools)), [True], [False]


def literal_string(text: LiteralString) -> LiteralString:
    return text


def literal_strings() -> Case:
    return Pipeline[str]().add(Processor(lambda _: "x")).add(Processor(text_length)), ["a"], [1]


# ------------------------------------------------------------------------------------- generics: ParamSpec, TypeVarTuple, Self


def logged(function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return inner


def connected(function: Callable[Concatenate[str, P], R]) -> Callable[P, R]:
    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return function("db", *args, **kwargs)

    return inner


def unpacking(function: Callable[[*Ts], R]) -> Callable[[tuple[*Ts]], R]:
    @functools.wraps(function)
    def inner(items: tuple[*Ts]) -> R:
        return function(*items)

    return inner


@logged
def parse(line: str) -> int:
    return int(line)


@connected
def save(db: str, item: int) -> str:
    return f"{db} {item}"


@unpacking
def added(left: int, right: int) -> int:
    return left + right


def param_spec() -> Case:
    return Pipeline[str]().add(Processor(parse)).add(Processor(save)), ["1"], ["db 1"]


def type_var_tuple() -> Case:
    return Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Zip(2)).add(Processor(added)), [2], [4]


def half(number: N) -> N:
    return number


def concatenated(text: S) -> S:
    return text + text


def bounds() -> Case:
    return Pipeline[bool]().add(Processor(half)).add(Processor(lambda b: not b)), [True], [False]


def constraints() -> Case:
    return Pipeline[bytes]().add(Processor(concatenated)), [b"a"], [b"aa"]


class WithDefault(Generic[D]):
    def __init__(self, value: D) -> None:
        self.value = value


def default_of(box: WithDefault) -> int:
    return box.value


def type_var_default() -> Case:
    return Pipeline[WithDefault[int]]().add(Processor(default_of)), [WithDefault(3)], [3]


def pairs(*items: *tuple[int, *tuple[str, ...]]) -> int:
    return items[0]


def unpacked_arguments() -> Case:
    return Pipeline[int]().add(Processor(pairs)), [1], [1]


class Options(TypedDict, total=False):
    loud: bool


def spoken(text: str, **options: Unpack[Options]) -> str:
    return text.upper() if options.get("loud", True) else text


def unpacked_keywords() -> Case:
    return Pipeline[str]().add(Processor(spoken)), ["a"], ["A"]


class Builder:
    def __init__(self) -> None:
        self.parts: list[str] = []

    def part(self, part: str) -> Self:
        self.parts.append(part)
        return self


class LongBuilder(Builder):
    @override
    def part(self, part: str) -> Self:
        return super().part(part * 2)


def built(builder: Builder) -> int:
    return len(builder.parts)


def self_type() -> Case:
    return Pipeline[str]().add(Processor(lambda p: LongBuilder().part(p))).add(Processor(built)), ["a"], [1]


def make_counter(start: type[collections.Counter[T]], items: Iterable[T]) -> collections.Counter[T]:
    return start(items)


def counted(counter: Mapping[str, int]) -> int:
    return counter["a"]


def partial_of_a_generic() -> Case:
    count: Callable[[str], collections.Counter[str]] = functools.partial(make_counter, collections.Counter[str])
    return Pipeline[str]().add(Processor(count)).add(Processor(counted)), ["aab"], [2]


# ------------------------------------------------------------------------------------- TypedDict, NamedTuple, aliases, NewType


class Movie(TypedDict):
    title: Required[str]
    year: NotRequired[int]


class LongMovie(Movie):
    minutes: int


class Seen(TypedDict):
    title: ReadOnly[str]


class SeenOrNot(TypedDict, total=False):
    title: Required[ReadOnly[str | None]]
    stars: int


class Page(GenericTypedDict, Generic[T]):
    items: list[T]
    more: bool


class Point(GenericNamedTuple, Generic[T]):
    x: T
    y: T


def title(movie: Movie) -> str:
    return movie["title"]


def seen_title(movie: Seen) -> str:
    return movie["title"]


def items_of(page: Page[int]) -> list[int]:
    return page["items"]


def x_of(point: tuple[int, int]) -> int:
    return point[0]


def long_movie(name: str) -> LongMovie:
    return {"title": name, "minutes": 90}


def typed_dict() -> Case:
    return Pipeline[str]().add(Processor(long_movie)).add(Processor(title)), ["a"], ["a"]


def read_only() -> Case:
    return Pipeline[str]().add(Processor(long_movie)).add(Processor(seen_title)), ["a"], ["a"]


def generic_typed_dict() -> Case:
    return Pipeline[Page[int]]().add(FlatMap(items_of)), [{"items": [1, 2], "more": False}], [1, 2]


def typed_dict_as_mapping() -> Case:
    def keys(mapping: Mapping[str, object]) -> list[str]:
        return list(mapping)

    return Pipeline[Movie]().add(FlatMap(keys)), [{"title": "a"}], ["title"]


def generic_named_tuple() -> Case:
    return Pipeline[Point[int]]().add(Processor(x_of)), [Point(1, 2)], [1]


Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | None"
Nested = TypeAliasType("Nested", "int | list[Nested]")
Pair = TypeAliasType("Pair", tuple[T, T], type_params=(T,))


def flat(nested: Nested) -> list[int]:
    return [nested] if isinstance(nested, int) else [n for each in nested for n in flat(each)]


def left(pair: Pair[int]) -> int:
    return pair[0]


def size(json: Json) -> int:
    return len(json) if isinstance(json, dict | list) else 1


def recursive_alias() -> Case:
    return Pipeline[Nested]().add(FlatMap(flat)), [[1, [2, [3]]]], [1, 2, 3]


def generic_alias() -> Case:
    return Pipeline[tuple[int, int]]().add(Processor(left)), [(1, 2)], [1]


def json() -> Case:
    return Pipeline[list[Json]]().add(Processor(size)), [[1, "a"]], [2]


def local_alias() -> Case:
    class Item:
        number = 2

    Items = TypeAliasType("Items", "list[Item]")

    def first(items: Items) -> int:
        return items[0].number

    return Pipeline[Any]().add(Processor(lambda _: [Item()])).add(Processor(first)), [0], [2]


UserId = NewType("UserId", int)
AdminId = NewType("AdminId", UserId)


def user(number: UserId) -> str:
    return f"user {number}"


def new_types() -> Case:
    return Pipeline[int]().add(Processor(UserId)).add(Processor(AdminId)).add(Processor(user)), [1], ["user 1"]


Positive = Annotated[int, "above zero"]


def root(number: Annotated[Positive, range(9)]) -> Annotated[float, "m"]:
    return math.sqrt(number)


def annotated() -> Case:
    return Pipeline[Positive]().add(Processor(root)).add(Processor(round)), [4], [2]


# ---------------------------------------------------------------------------------------------- classes as values, containers


class Animal:
    sound = "-"

    def __init__(self, name: str = "") -> None:
        self.name = name


class Dog(Animal):
    sound = "wuff"


def born(kind: type[Animal]) -> Animal:
    return kind("a")


def sound(animal: Animal) -> str:
    return animal.sound


def called(make: Callable[[str], Animal]) -> str:
    return make("b").sound


def types_as_items() -> Case:
    return Pipeline[type[Dog]]().add(Processor(born)).add(Processor(sound)), [Dog], ["wuff"]


def class_as_callable() -> Case:
    return Pipeline[type[Dog]]().add(Processor(called)), [Dog], ["wuff"]


def any_class(kind: type) -> str:
    return kind.__name__


def bare_type() -> Case:
    return Pipeline[type[int]]().add(Processor(any_class)), [int], ["int"]


def size_of(thing: Sized) -> int:
    return len(thing)


class Bag:
    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])

    def __contains__(self, item: object) -> bool:
        return True

    def __getitem__(self, index: int) -> int:
        return index


def summed(items: Iterable[int]) -> int:
    return sum(items)


def collected(items: collections.abc.Collection[int]) -> int:
    return len(items)


def abstract_containers() -> Case:
    start = Pipeline[Bag]().add(ReplicatingFork(3))
    return start.add(Processor(size_of), Processor(summed), Processor(collected)).add(Zip(3)), [Bag()], [(3, 6, 3)]


def buffered(data: Buffer) -> int:
    return len(memoryview(data))


def buffers() -> Case:
    def arrays(data: bytes) -> array.array[int]:
        return array.array("b", data)

    return Pipeline[bytes]().add(Processor(arrays)).add(Processor(buffered)), [b"abc"], [3]


def bytes_like(data: bytes) -> int:
    return len(data)


def hashed(item: Hashable) -> int:
    return 1


def hashables() -> Case:
    return Pipeline[Box[int]]().add(Processor(hashed)), [Box(1)], [1]


def lines_of(file: IO[str]) -> list[str]:
    return list(file)


def files() -> Case:
    return Pipeline[str]().add(Processor(io.StringIO)).add(FlatMap(lines_of)), ["a\nb"], ["a\n", "b"]


def path_of(path: os.PathLike[str]) -> str:
    return os.fspath(path)


def paths() -> Case:
    return Pipeline[str]().add(Processor(pathlib.Path)).add(Processor(path_of)), ["a"], ["a"]


def as_float(number: SupportsFloat) -> float:
    return float(number)


def as_int(number: SupportsInt | SupportsIndex) -> int:
    return int(number)


def supported() -> Case:
    pl = Pipeline[str]().add(Processor(decimal.Decimal)).add(Processor(as_float)).add(Processor(fractions.Fraction))
    return pl.add(Processor(as_int)), ["2"], [2]


def moved(table: MutableMapping[str, list[int]]) -> int:
    return len(table)


def default_dicts() -> Case:
    def grouped(text: str) -> collections.defaultdict[str, list[int]]:
        return collections.defaultdict(list, {text: [1]})

    return Pipeline[str]().add(Processor(grouped)).add(Processor(moved)), ["a"], [1]


def matched(found: re.Match[str]) -> str:
    return found[0]


def matches() -> Case:
    return Pipeline[str]().add(FlatMap(re.compile("a.").finditer)).add(Processor(lambda m: m[0])), ["abac"], ["ab", "ac"]


def day(moment: datetime.date) -> int:
    return moment.day


def dates() -> Case:
    return Pipeline[datetime.datetime]().add(Processor(day)), [datetime.datetime(2020, 1, 2)], [2]


def event(item: threading.Thread | int) -> str:
    return "1"


def unions() -> Case:
    return Pipeline[int]().add(Processor(event)), [1], ["1"]


# ------------------------------------------------------------------------------------------------------ overloads and guards


@overload
def twice(item: int) -> int: ...
@overload
def twice(item: str) -> str: ...
def twice(item: int | str) -> int | str:
    return item * 2


def overloads() -> Case:
    return Pipeline[str]().add(Processor(twice)).add(Processor(len)).add(Processor(twice)), ["a"], [4]


def is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)


def is_number(item: int | str) -> TypeIs[int]:
    return isinstance(item, int)


def guards() -> Case:
    return Pipeline[int | str]().add(Filter(is_number)).add(Pipe()), [1, "abc"], [1]


def callables() -> Case:
    return Pipeline[object]().add(Filter(callable)).add(Processor(lambda _: 1)), [1, len], [1]


def generators() -> Case:
    def numbers_of(text: str) -> Generator[int, None, str]:
        yield len(text)
        return ""

    return Pipeline[str]().add(FlatMap(numbers_of)), ["ab"], [2]


def item_getters() -> Case:
    return Pipeline[tuple[int, str]]().add(Processor(operator.itemgetter(1))).add(Processor(str)), [(1, "a")], ["a"]


class Shop:
    """Overloads, properties, static and class methods, and a decorator of its own, all in one class."""

    prices: Final = {"tea": 1}

    @staticmethod
    @logged
    def price(name: str) -> int:
        return Shop.prices[name]

    @classmethod
    @logged
    def bought(cls, price: int) -> Self:
        return cls()

    @overload
    def sell(self, item: str) -> int: ...
    @overload
    def sell(self, item: int) -> str: ...
    def sell(self, item: str | int) -> int | str:
        return "sold" if isinstance(item, int) else 0


def shop() -> Case:
    start = Pipeline[str]().add(Processor(Shop.price)).add(Processor(Shop.bought)).add(Processor(lambda shop: shop.sell(1)))
    return start.add(Processor(text_length)), ["tea"], [4]
