"""What stages take and give, read from their annotations; and what is refused for it when a
pipeline is built."""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Self,
    TypedDict,
    TypeGuard,
    TypeVar,
    Union,
    overload,
)

import pytest
from typing_extensions import TypeAliasType, TypeIs

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Zip,
)
from conveyor.errors import StageTypeError, TopologyError
from conveyor.graph.draft import Draft
from conveyor.stages import AnyStage, Stage
from conveyor.typecheck.call_signatures import signatures_of
from conveyor.typecheck.stage_types import declared_input, pass_through
from conveyor.typecheck.type_forms import UNKNOWN, bind
from conveyor.typecheck.type_words import words

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

T = TypeVar("T")
Number = TypeVar("Number", int, float)
Meters = NewType("Meters", float)


class Color(Enum):
    RED = 1


class Pair(NamedTuple):
    first: int
    second: str = ""


@dataclass
class Row:
    number: int


class Plain:
    pass


class Made:
    def __new__(cls, item: int) -> Any:
        return item


class Movie(TypedDict):
    title: str


class Box(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def put(self, value: T) -> T:
        return value

    def count(self, other: list[int]) -> int:
        return len(other)

    @classmethod
    def of(cls, value: T) -> Box[T]:
        return cls(value)

    @functools.lru_cache  # noqa: B019
    def cached(self, value: int) -> str:
        return str(value)

    def __call__(self, value: bytes) -> T:
        return self.value


class Static:
    @staticmethod
    def __call__(value: int) -> int:
        return value


def parse(line: str) -> int:
    return int(line)


def half(number: float) -> float:
    return number / 2


def maybe(number: int) -> str | None:
    return None


def sink(number: int) -> None:
    return None


def lines(text: str) -> Iterator[str]:
    yield text


def same(item: T) -> T:
    return item


def wrap(item: T) -> list[T]:
    return [item]


def first(items: Sequence[T]) -> T:
    return items[0]


def both(item: tuple[T, T]) -> T:
    return item[0]


def scaled(item: Number) -> Number:
    return item


def many(*items: int) -> int:
    return len(items)


def nothing() -> int:
    return 1


def added(number: int, text: str) -> bytes:
    return b""


def missing(item: Missing) -> str:  # pyright: ignore[reportUnknownParameterType]
    return ""


def gives_missing(item: int) -> list[Missing]:  # pyright: ignore[reportUnknownParameterType]
    return []  # pyright: ignore[reportUnknownVariableType]


def is_text(item: object) -> TypeGuard[str]:
    return True


async def later(item: int) -> str:
    return ""


@contextmanager  # pyright: ignore[reportDeprecated]
def opened(path: str) -> Iterator[int]:
    yield 1


@functools.lru_cache
def remembered(item: int) -> str:
    return ""


@overload
def either(item: int) -> int: ...
@overload
def either(item: str) -> str: ...
@overload
def either(item: bytes, more: int) -> bytes: ...
@overload
def either(item: bytearray, *, more: int) -> bytes: ...
@overload
def either() -> None: ...
def either(item: object = None, more: int = 0) -> Any:
    return item


def local_functions() -> Callable[[Any], Any]:
    class Hidden:
        pass

    def keeps(item: Hidden) -> Hidden:
        del item
        return Hidden()

    return keeps


keeps = local_functions()

unlike: Any = parse
Maybe = TypeAliasType("Maybe", "int | None")
Lines = TypeAliasType("Lines", list[str])
Deeper = TypeAliasType("Deeper", "Maybe | list[str]")

unannotated: Any = lambda x: x  # noqa: E731  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
loose: Any = scaled
List: Any = list
Dict: Any = dict
Either: Any = Union


def signed(takes: Any, gives: Any) -> Callable[[Any], Any]:
    """A function with these annotations."""

    def made(item: Any) -> Any:
        return item

    made.__annotations__ = {"item": takes, "return": gives}
    return made


Read = tuple[Any, str, str]

READ: list[Read] = [
    (parse, "str", "int"),
    (unannotated, "Any", "Any"),
    (maybe, "int", "str | None"),
    (sink, "int", "None"),
    (many, "int", "int"),
    (nothing, "Any", "int"),
    (missing, "Any", "str"),
    (gives_missing, "int", "Any"),
    (later, "int", "Coroutine[Any, Any, str]"),
    (opened, "Any", "Any"),
    (remembered, "int", "str"),
    (keeps, "Hidden", "Hidden"),
    (wrap, "T", "list[T]"),
    (functools.partial(added, 1), "str", "bytes"),
    (functools.partial(added, text=""), "int", "bytes"),
    (functools.partial(wrap), "Any", "list[Any]"),
    (functools.partial(int, "1"), "Any", "Any"),
    (functools.partial(print, "1"), "Any", "Any"),
    (Box(1).put, "Any", "Any"),
    (Box(1).count, "list[int]", "int"),
    (Box(1).cached, "int", "str"),
    (Box[int].of, "Any", "Box[Any]"),
    (Box(1), "bytes", "Any"),
    (Box, "Any", "Box"),
    (Box[int], "Any", "Box[int]"),
    (Static(), "Any", "Any"),
    (Row, "int", "Row"),
    (Pair, "int", "Pair"),
    (Plain, "Any", "Plain"),
    (Made, "int", "Any"),
    (Movie, "Any", "Any"),
    (Color, "Any", "Color"),
    (Meters, "float", "Meters"),
    (len, "Sized", "int"),
    (print, "object", "None"),
    (str.upper, "str", "str"),
    (str.join, "str", "Any"),
    (str.__len__, "str", "Any"),
    ("".join, "Any", "Any"),
    ((1).__add__, "Any", "Any"),
    (math.sqrt, "SupportsFloat | SupportsIndex", "float"),
]


@pytest.mark.parametrize(
    ("fn", "takes", "gives"), READ, ids=lambda thing: getattr(thing, "__name__", None)
)
def test_every_kind_of_callable_says_what_it_takes_and_gives(
    fn: Any, takes: str, gives: str
) -> None:
    (signature,) = signatures_of(fn)

    assert (words(signature.takes), words(signature.gives)) == (takes, gives)


class Length(Processor[str, int]):
    def process(self, item: str) -> int | None:
        return len(item)


class Untold(Processor[Any, Any]):
    def process(self, item: int) -> str:
        return ""


class Flushes(Processor[Any, Any]):
    def process(self, item: int) -> None:
        return None

    def finish(self) -> Iterable[str]:
        return [""]


class HalfTold(Processor[T, int]):
    def process(self, item: T) -> int:
        return 1


class OnlyIn(Processor[int, Any]):
    def process(self, item: Any) -> str:
        return ""


class Letters(FlatMap[str, Union[str, None]]):  # noqa: UP007
    def process(self, item: str) -> Iterable[str | None]:
        return item


Passed = tuple[AnyStage, list[Any], str]

PASSED: list[Passed] = [
    (Processor(parse), [str], "int"),
    (Processor(parse), [UNKNOWN], "int"),
    (Processor(maybe), [bool], "str"),
    (Processor(sink), [int], "Never"),
    (Processor(signed(int, Deeper)), [int], "int | list[str]"),
    (FlatMap(signed(int, Lines)), [int], "str"),
    (Processor(same), [int], "int"),
    (Processor(same), [UNKNOWN], "Any"),
    (Processor(wrap), [str], "list[str]"),
    (Processor(first), [list[int]], "int"),
    (Processor(first), [tuple[int, str]], "Any"),
    (Processor(first), [list[int] | list[str]], "Any"),
    (Processor(both), [tuple[int, int]], "int"),
    (Processor(both), [tuple[int, str]], "Any"),
    (Processor(loose), [int], "Any"),
    (Processor(either), [int], "int"),
    (Processor(either), [str], "str"),
    (Processor(either), [int | str], "int | str"),
    (Processor(either), [UNKNOWN], "Any"),
    (Processor(abs), [bool], "int"),
    (Processor(abs), [complex], "float"),
    (Processor(round), [float], "int"),
    (Processor(sum), [list[float]], "float"),
    (Processor(sorted), [dict[str, int]], "list[str]"),
    (Processor(tuple), [set[int]], "tuple[int, ...]"),
    (Processor(max), [range], "int"),
    (Processor(print), [int], "Never"),
    (Processor(is_text), [int], "bool"),
    (Length(), [str], "int"),
    (Untold(), [int], "str"),
    (Flushes(), [int], "Any"),
    (HalfTold[str](), [str], "int"),
    (HalfTold(), [bytes], "int"),
    (OnlyIn(), [int], "str"),
    (Letters(), [str], "str | None"),
    (Processor[int, str](lambda x: ""), [int], "str"),
    (FlatMap(lines), [str], "str"),
    (FlatMap(str.split), [str], "str"),
    (FlatMap(list), [dict[bytes, int]], "bytes"),
    (FlatMap(unannotated), [str], "Any"),
    (Filter(half), [int], "int"),
    (Filter(half), [UNKNOWN], "Any"),
    (Pipe(), [int], "int"),
    (ReplicatingFork(2), [int], "int"),
    (BalancingFork(), [int], "int"),
    (Join(2), [int, str], "int | str"),
    (Join(2), [int, UNKNOWN], "int | Any"),
    (Zip(2), [int, str], "tuple[int, str]"),
]


@pytest.mark.parametrize(("stage", "carried", "gives"), PASSED, ids=repr)
def test_what_a_lane_carries_behind_a_stage(
    stage: AnyStage, carried: list[Any], gives: str
) -> None:
    passage = pass_through(stage, carried)

    assert passage.refusal is None
    assert words(passage.gives) == gives


REFUSED: list[Passed] = [
    (Processor(parse), [int], "takes str, but the lane carries int"),
    (Processor(sink), [int | None], "takes int, but the lane carries int | None"),
    (Processor(len), [float], "takes Sized, but the lane carries float"),
    (Processor(either), [bytes], "takes int | str, but the lane carries bytes"),
    (Processor(either), [int | bytes], "takes int | str, but the lane carries int | bytes"),
    (Processor(math.sqrt), [str], "takes SupportsFloat | SupportsIndex, but the lane carries str"),
    (Processor(str.upper), [bytes], "takes str, but the lane carries bytes"),
    (Length(), [list[str]], "takes str, but the lane carries list[str]"),
    (Processor(Row), [str], "takes int, but the lane carries str"),
    (FlatMap(unlike), [str], "must give an iterable, but parse gives int"),
    (Filter(half), [str], "takes float, but the lane carries str"),
    (Processor(first), [int], "takes Sequence[T], but the lane carries int"),
]


@pytest.mark.parametrize(("stage", "carried", "refusal"), REFUSED, ids=repr)
def test_what_clearly_does_not_fit_is_refused_in_words(
    stage: AnyStage, carried: list[Any], refusal: str
) -> None:
    assert pass_through(stage, carried).refusal == refusal


def test_classes_of_the_same_name_are_told_apart() -> None:
    other = type("Row", (), {"__module__": "elsewhere"})

    assert pass_through(Processor(signed(Row, int)), [other]).refusal == (
        f"takes {__name__}.Row, but the lane carries elsewhere.Row"
    )


@pytest.mark.parametrize(
    "hint", ["not a type", "1 +", 3, "Missing", "list[Missing]", ["int"], "1 / 0"]
)
def test_annotations_that_cannot_be_read_refuse_nothing(hint: Any) -> None:
    assert pass_through(Processor(signed(hint, hint)), [int]).refusal is None
    assert pass_through(Processor(signed(str, hint)), [str]).refusal is None


class Evil:
    @property
    def __orig_class__(self) -> Any:
        raise RuntimeError("do not look")


class EvilStage(Evil, Processor[int, int]):
    pass


def test_whatever_raises_while_it_is_read_refuses_nothing() -> None:
    assert pass_through(EvilStage(), [str]).gives is UNKNOWN
    assert declared_input(Evil(), Pipeline) is UNKNOWN


# ------------------------------------------------------------------------------------- construction


def refusal(pl: Any, *row: Stage) -> str:
    with pytest.raises(StageTypeError) as refused:
        pl.add(*row)
    return str(refused.value)


def test_a_refusal_names_row_and_lane_and_both_types() -> None:
    pl: Any = Pipeline()
    pl.add(Processor(lambda x: x))
    pl.add(Processor(parse))

    assert (
        refusal(pl, Processor(parse))
        == "row 3, lane 1: Processor(parse) takes str, but the lane carries int"
    )


def test_chain_style_is_refused_alike_and_is_a_topology_error() -> None:
    chain: Any = Pipeline[int]().add(
        Processor(half)
    )  # what the checkers report, too, they must not see here
    with pytest.raises(
        TopologyError,
        match=r"row 2, lane 1: Processor\(parse\) takes str, but the lane carries float",
    ):
        chain.add(Processor(parse))


def test_a_refused_stage_leaves_the_draft_as_it_was() -> None:
    draft = Draft().add([Processor(parse)])

    with pytest.raises(StageTypeError):
        draft.add([Processor(parse)])
    assert draft.add([Processor(half)]).rows == 2


def test_lanes_keep_their_types_apart() -> None:
    pl: Any = Pipeline[str]().add(ReplicatingFork(2)).add(Processor(parse), Pipe())

    assert refusal(pl, Processor(half), Processor(half)).startswith("row 3, lane 2: ")
    assert refusal(pl, Processor(str.upper), Pipe()).startswith("row 3, lane 1: ")
    pl.add(Processor(half), Processor(str.upper))
    pl.add(Zip(2))
    assert (
        refusal(pl, Processor(half))
        == "row 5, lane 1: Processor(half) takes float, but the lane carries tuple[float, str]"
    )


def test_behind_a_join_every_lane_must_fit() -> None:
    pl: Any = (
        Pipeline[str]()
        .add(BalancingFork(2))
        .add(Processor(parse), Processor(str.upper))
        .add(Join(2))
    )

    assert (
        refusal(pl, Processor(half))
        == "row 4, lane 1: Processor(half) takes float, but the lane carries int | str"
    )
    pl.add(Processor(either))


def test_a_pipeline_that_declares_its_input_is_held_to_it() -> None:
    assert refusal(Pipeline[int](), Processor(parse)).startswith("row 1, lane 1: ")
    assert refusal(Pipeline[int]().add(Filter(half)), Processor(parse)).startswith(
        "row 2, lane 1: "
    )


def test_a_pipeline_that_declares_nothing_takes_anything_first() -> None:
    pl: Any = Pipeline()

    pl.add(Filter(half)).add(Processor(sink)).add(
        Processor(parse)
    )  # what is behind a sink never comes
    assert Draft().add([Pipe()]).lanes[0].carries is UNKNOWN


Nowhere: Any = Pipeline["Missing"]


class Texts(Pipeline[str, Any]):
    pass


def test_a_subclass_declares_its_input_as_well() -> None:
    assert declared_input(Texts(), Pipeline) is str
    assert declared_input(Nowhere(), Pipeline) is not str
    assert declared_input(SimpleNamespace(), Pipeline) is UNKNOWN


@pytest.mark.parametrize(
    ("gives", "takes"),
    [
        (bool, float),
        (Any, int),
        (list[Any], list[int]),
        (Literal["a"], str),
        (Meters, float),
        (dict[str, int], Iterable[str]),
        (Coroutine[Any, Any, int], object),
        (Pair, tuple[int, str]),
        (Self, int),
        ("Missing", int),
        (TypeVar("TypeVar"), int),
    ],
    ids=str,
)
def test_what_only_looks_wrong_is_built(gives: Any, takes: Any) -> None:
    pl: Any = Pipeline()

    pl.add(Processor(signed(int, gives))).add(Processor(signed(takes, int)))


def test_type_variables_stand_for_what_was_given() -> None:
    assert bind(Dict[str, T], dict[str, int]) == {T: int}
    assert bind(List[T], int) == {}
    assert bind(Either[T, None], int) == {}


def test_the_table_of_builtins_is_of_builtins() -> None:
    from conveyor.typecheck.builtin_signatures import BUILTINS

    assert {len, print, str, int, abs, math.sqrt, str.upper} <= BUILTINS.keys()
    assert all(hasattr(owner, "__name__") for owner in BUILTINS)
    assert builtins.str in BUILTINS


def test_annotations_that_belong_to_another_function_are_not_believed() -> None:
    def copied(*args: Any) -> Any:
        return parse(*args)

    @functools.wraps(parse)
    def wrapped(*args: Any) -> Any:
        return parse(*args)

    copied.__annotations__ = dict(parse.__annotations__)
    functions: list[Any] = [copied, wrapped]
    for function in functions:
        (said,) = signatures_of(function)
        assert said.takes is said.gives is UNKNOWN


def test_a_filter_that_is_a_guard_lets_through_what_it_tells() -> None:
    def is_text(item: object) -> TypeGuard[str]:
        return isinstance(item, str)

    def is_number(item: int | str) -> TypeIs[int]:
        return isinstance(item, int)

    assert pass_through(Filter(is_text), [object]).gives is str
    assert pass_through(Filter(is_number), [int | str]).gives is int
    assert pass_through(Filter(str.isdigit), [str]).gives is str
