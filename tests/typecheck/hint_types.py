"""Types to compare: the classes that they are made of, and their names as a checker reads them.

All above `TYPES` is read twice: by the interpreter, for the relation under test, and by mypy, which
knows the right answers.
"""

# ruff: noqa: F401, UP007
# pyright: reportUnusedImport=false, reportDeprecated=false, reportMissingTypeArgument=false, reportUnknownVariableType=false

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import fractions
import numbers
import pathlib
import re
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import (
    Callable,
    Collection,
    Container,
    Generator,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Reversible,
    Sequence,
    Sized,
)
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    AnyStr,
    BinaryIO,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    Never,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    SupportsAbs,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TextIO,
    TypeAlias,
    TypedDict,
    Union,
)

import numpy as np
import numpy.typing as npt
from typing_extensions import ReadOnly, TypeAliasType, TypeVar, runtime_checkable

T = TypeVar("T")
Co = TypeVar("Co", covariant=True)
Contra = TypeVar("Contra", contravariant=True)


class Animal:
    name: str = ""

    def sound(self) -> str:
        return ""


class Dog(Animal):
    def fetch(self, stick: int) -> Animal:
        return self


class Puppy(Dog):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[int]:
        return iter(())

    @property
    def age(self) -> int:
        return 0


class Cat(Animal):
    def __init__(self) -> None:
        self.lives = 9
        self.fetch = len

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


class Box(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def get(self) -> T:
        return self.value


class Source(Generic[Co]):
    def get(self) -> Co:
        raise NotImplementedError


class Sink(Generic[Contra]):
    def put(self, item: Contra) -> None: ...


class Listed(Box[list[T]], Generic[T]):
    pass


class IntBox(Box[int]):
    pass


class Words(list[str]):
    pass


class Pairs(tuple[int, str]):
    __slots__ = ()


class Ages(dict[str, int]):
    pass


class Numbers(Sequence[int]):
    def __getitem__(self, index: Any) -> Any:
        return 0

    def __len__(self) -> int:
        return 0


class Unhashable:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Callme:
    def __call__(self, item: int) -> str:
        return ""


class Anything(Any):  # type: ignore[misc]
    pass


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Only(enum.Enum):
    ONE = 1


class Point(NamedTuple):
    x: int
    y: str


class Labelled(Point):
    __slots__ = ()


@dataclass(frozen=True)
class Named:
    name: str


UserId = NewType("UserId", int)
AdminId = NewType("AdminId", UserId)
Text = NewType("Text", str)


class HasName(Protocol):
    @property
    def name(self) -> str: ...


class MutableName(Protocol):
    name: str


class HasAge(Protocol):
    @property
    def age(self) -> int: ...


class HasLives(Protocol):
    lives: int


class Getter(Protocol[Co]):
    def get(self) -> Co: ...


class Putter(Protocol[Contra]):
    def put(self, item: Contra) -> None: ...


class Fetches(Protocol):
    def fetch(self, stick: bool) -> Animal: ...


class FetchesText(Protocol):
    def fetch(self, stick: str) -> Animal: ...


class Speaks(Protocol):
    def sound(self) -> str: ...


class SpeaksInNumbers(Protocol):
    def sound(self) -> int: ...


class Stringify(Protocol):
    def __call__(self, item: int, /) -> str: ...


class Tree(Protocol):
    def children(self) -> Sequence[Tree]: ...


class Bush:
    def children(self) -> list[Bush]:
        return []


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


class Shop(Closes, Protocol):
    def open(self) -> None: ...


class Bakery(Shop):
    def close(self) -> None: ...
    def open(self) -> None: ...


class Movie(TypedDict):
    title: str
    year: int


class Film(TypedDict):
    title: str
    year: int


class LongMovie(Movie):
    minutes: int


class MaybeMovie(TypedDict):
    title: str
    year: NotRequired[int]


class LooseMovie(TypedDict, total=False):
    title: str
    year: int


class FrozenMovie(TypedDict):
    title: ReadOnly[str]
    year: ReadOnly[int]


class Wrong(TypedDict):
    title: int
    year: int


class Holder(TypedDict, Generic[T]):
    held: T


Vector: TypeAlias = list[float]
Number = TypeAliasType("Number", Union[int, float])
Json = TypeAliasType("Json", "Union[dict[str, Json], list[Json], str, float, None]")
Plain = TypeAliasType("Plain", "Union[dict[str, Plain], list[Plain], str, float, None]")
Nested = TypeAliasType("Nested", "Union[list[Nested], int]")
ListOf = TypeAliasType("ListOf", list[T], type_params=(T,))

Pet = TypeVar("Pet", bound=Animal)
Scalar = TypeVar("Scalar", int, str)


def takes_anything(item: T) -> T:
    return item


def takes_pets(item: Pet) -> Pet:
    return item


def takes_scalars(item: Scalar) -> Scalar:
    return item


def takes_text(item: AnyStr) -> AnyStr:
    return item


def takes_lists(item: list[T]) -> T:
    return item[0]


def takes_many_pets(item: Sequence[Pet]) -> Pet:
    return item[0]


TYPES = """
Any | object | None | Never | bool | int | float | complex | str | bytes | bytearray | Animal
Dog | Puppy | Cat
Unhashable | Callme | Anything | Color | Level | Access | Only | Named | Bakery | Bush | Point
Labelled | Pairs
Words | Ages | Numbers | datetime.date | datetime.datetime | decimal.Decimal | fractions.Fraction
numbers.Number
numbers.Integral | range | pathlib.Path | pathlib.PurePath | re.Pattern[str] | re.Pattern[bytes]
slice | memoryview
Exception | ValueError | TextIO | Optional[int] | Union[int, str] | Union[int, str, None]
Union[int, Any]
Union[float, int] | Union[Dog, Cat] | list[Any] | list[int] | list[bool] | list[float] | list[str]
list[Optional[int]]
list[Union[int, str]] | list[Animal] | list[Dog] | list[list[int]] | list | Vector | list[object]
tuple[int, str]
tuple[bool, str] | tuple[int, int] | tuple[int, ...] | tuple[object, ...] | tuple[()] | tuple
tuple[Any, ...]
tuple[int] | tuple[int, str, float] | tuple[tuple[int, str], int] | tuple[Any, int] | set[int]
set[str]
frozenset[int] | frozenset[bool] | AbstractSet[int] | AbstractSet[float]
collections.abc.MutableSet[int]
dict[str, int] | dict[str, float] | dict[str, Any] | dict[int, int] | dict | defaultdict[str, int]
OrderedDict[str, int] | Counter[str] | ChainMap[str, int] | deque[int] | deque[str]
Mapping[str, int]
Mapping[str, float] | Mapping[str, object] | Mapping[object, int] | MutableMapping[str, int]
Sequence[int]
Sequence[str] | Sequence[float] | Sequence[object] | Sequence[Any] | Sequence
MutableSequence[int] | Iterable[int]
Iterable[str] | Iterable[float] | Iterable[tuple[int, str]] | Iterable | Iterator[int]
Iterator[str] | Collection[int]
Container[int] | Container[str] | Reversible[int] | Hashable | Sized | Generator[int, None, None]
Generator[int, str, bool] | Generator[bool, object, bool] | collections.abc.Awaitable[int]
collections.abc.Coroutine[Any, Any, int] | collections.abc.AsyncIterator[int]
collections.abc.AsyncIterable[float]
collections.abc.AsyncGenerator[int, None] | collections.abc.KeysView[str]
collections.abc.ValuesView[int]
collections.abc.ItemsView[str, int] | UserId | AdminId | Text | Literal[1] | Literal[1, 2]
Literal["a"]
Literal["a", "b"] | Literal["a", None] | Literal[True] | Literal[True, False] | Literal[Color.RED]
Literal[Color.RED, Color.BLUE] | Literal[Only.ONE] | Literal[b"a"] | LiteralString
Union[Literal[True, False], None]
Union[Literal[Color.RED, Color.BLUE], str] | Literal[Level.LOW] | Callable[[int], str]
Callable[[bool], str]
Callable[[float], str] | Callable[[int], object] | Callable[[int, int], str] | Callable[[], int]
Callable[..., str]
Callable[..., Any] | Callable | Callable[[str], str] | Callable[[int], bool]
Callable[[Callable[[int], str]], int]
type | type[int] | type[bool] | type[float] | type[str] | type[Any] | type[Animal] | type[Dog]
type[Union[int, str]]
type[Color] | Box[int] | Box[bool] | Box[str] | Box | Source[int] | Source[float] | Source[bool]
Sink[int]
Sink[float] | IntBox | Listed[int] | Box[list[int]] | HasName | MutableName | HasAge | HasLives
Getter[int]
Getter[float] | Getter[str] | Getter[list[int]] | Putter[bool] | Putter[str] | Fetches
FetchesText | Speaks
SpeaksInNumbers | Stringify | Tree | Closes | Shop | SupportsInt | SupportsFloat | SupportsIndex
SupportsAbs[int]
SupportsAbs[Any] | Movie | Film | LongMovie | MaybeMovie | LooseMovie | FrozenMovie | Wrong
Holder[int] | Holder[bool]
Holder[str] | Annotated[int, "metres"] | Annotated[list[int], 1] | Number | Json | Plain | Nested
ListOf[int]
ListOf[str] | list[Json] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
npt.NDArray[np.floating[Any]]
npt.NDArray[Any] | np.ndarray | np.float64 | np.float32 | np.int64 | np.longlong | np.intc
np.integer | np.bool_
npt.ArrayLike | np.dtype[np.float64] | np.generic
"""

NAMES = [name.strip() for line in TYPES.strip().splitlines() for name in line.split(" | ")]
FUNCTIONS = (takes_anything, takes_pets, takes_scalars, takes_text, takes_lists, takes_many_pets)
