"""Does the type that a lane carries fit what a stage takes?  The right answers are mypy's."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, TypeVarTuple, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from conveyor.typecheck.answers import Assignability
from conveyor.typecheck.assignability import assignability
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    element_of,
    members,
    substitute,
    union,
    without_none,
)
from conveyor.typecheck.type_words import words
from tests.helpers import LONG_HANGS_S, takes_long
from tests.typecheck import hint_types
from tests.typecheck.hint_types import (
    FUNCTIONS,
    NAMES,
    Animal,
    Box,
    Callme,
    Color,
    Dog,
    Getter,
    Listed,
    Movie,
    Point,
    UserId,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 20_000  # of the 58,000 pairs of these types; all of them take mypy half a minute

TYPES: dict[str, Any] = {name: eval(name, dict(vars(hint_types))) for name in NAMES}


def questions() -> dict[tuple[str, str], Callable[[], Assignability]]:
    """What is asked: the name of a type, what takes it, and how the relation under test is asked
    the same."""
    pairs = [(carried, taken) for carried in NAMES for taken in NAMES]
    chosen = [*Random(0).sample(pairs, SAMPLE), *((name, name) for name in NAMES)]
    asked: dict[tuple[str, str], Callable[[], Assignability]] = {
        (carried, taken): functools.partial(assignability, TYPES[carried], TYPES[taken])
        for carried, taken in chosen
    }
    for function in FUNCTIONS:
        (item,) = [hint for name, hint in get_type_hints(function).items() if name != "return"]
        for name in NAMES:
            asked[name, f"{function.__name__}()"] = functools.partial(
                assignability, TYPES[name], item
            )
    return asked


def refused_by_mypy(asked: list[tuple[str, str]], directory: Path) -> set[tuple[str, str]]:
    """Those of the pairs that mypy --strict reports: one file with one line for each, checked
    once."""
    source = (
        Path(hint_types.__file__)
        .read_text(encoding="utf-8")
        .partition("\nTYPES = ")[0]
        .splitlines()
    )
    lines = ['# mypy: disable-error-code="type-arg"', *source]
    at: dict[int, tuple[str, str]] = {}
    for number, (carried, taken) in enumerate(asked):
        lines.append(f"def question_{number}(carried: {carried}) -> None:")
        lines.append(
            f"    given: object = {taken[:-1]}carried)"
            if taken.endswith("()")
            else f"    taken: {taken} = carried"
        )
        at[len(lines)] = (carried, taken)
    file = directory / "questions.py"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--no-color-output",
        "--config-file=",
    ]
    cache = ROOT / ".mypy_cache" / "hints"
    done = subprocess.run(
        [*mypy, f"--cache-dir={cache}", str(file)],
        capture_output=True,
        text=True,
        timeout=LONG_HANGS_S,
    )
    found = [
        int(line)
        for line in re.findall(r"^.*questions\.py:(\d+): error:", done.stdout, re.MULTILINE)
    ]
    assert done.returncode <= 1, done.stdout + done.stderr
    assert not set(found) - at.keys(), "mypy reports what is not a question:\n" + done.stdout[:2000]
    return {at[line] for line in found}


@takes_long
@pytest.mark.processes
def test_the_relation_never_contradicts_mypy_and_seldom_cannot_tell(tmp_path: Path) -> None:
    asked = questions()
    refused = refused_by_mypy(list(asked), tmp_path)
    answers = {pair: ask() for pair, ask in asked.items()}

    def contradicts(pair: tuple[str, str], refused: set[tuple[str, str]]) -> bool:
        return answers[pair] is (Assignability.YES if pair in refused else Assignability.NO)

    suspects = [pair for pair in asked if contradicts(pair, refused)]
    assert len(asked) > 200
    assert len(suspects) < 5
    # mypy remembers what it has compared, and now and then remembers wrongly: what it says when
    # asked alone is what counts.
    assert [pair for pair in suspects if contradicts(pair, refused_by_mypy([pair], tmp_path))] == []
    told = Counter(
        (pair in refused, answer is not Assignability.UNSURE) for pair, answer in answers.items()
    )
    assert told[True, True] / (told[True, True] + told[True, False]) > 0.93
    # Here it is Any, mostly, that tells nothing
    assert told[False, True] / (told[False, True] + told[False, False]) > 0.65


DECIDED = """
int -> float | bool -> int | int -> Optional[int] | None -> Optional[int] | str -> Sequence[str]
str -> Iterable[str]
list[int] -> Sequence[float] | list[int] -> Iterable[object] | dict[str, int] -> Mapping[str, float]
Words -> Sequence[str] | tuple[int, str] -> tuple[object, ...] | Point -> tuple[int, str]
Puppy -> Animal
UserId -> int | AdminId -> UserId | Literal["a"] -> str | Literal[1] -> Literal[1, 2]
bool -> Literal[True, False]
Callable[[float], bool] -> Callable[[int], int] | Callable[..., str] -> Callable[[int], object]
Box[int] -> Box[int]
Source[bool] -> Source[int] | Sink[float] -> Sink[int] | IntBox -> Getter[float]
LongMovie -> Movie
Movie -> Mapping[str, object] | type[bool] -> type[int] | list[int] -> Sized
np.float64 -> float | Annotated[int, 1] -> float | Json -> Json | Plain -> Json | Bush -> Tree
Generator[int, None, None] -> Iterator[float] | int -> Hashable | Union[int, bool] -> float
Bakery -> Closes
Animal -> HasName | Color -> Literal[Color.RED, Color.BLUE] | range -> Sequence[int]
object -> object | Never -> int
list[int] -> list[Any] | int -/> str | str -/> int | float -/> int | Optional[int] -/> int
int -/> None
Union[int, str] -/> int | object -/> int | list[int] -/> list[str] | list[int] -/> list[float]
list[str] -/> str
str -/> list[str] | dict[str, int] -/> dict[str, float] | tuple[int, str] -/> tuple[int, int]
tuple[int, str] -/> tuple[int] | tuple[int, ...] -/> tuple[int, int] | bytes -/> str
int -/> UserId
UserId -/> AdminId | str -/> Literal["a"] | Literal["b"] -/> Literal["a"] | bool -/> Literal[True]
list[int] -/> Hashable | Callable[[bool], str] -/> Callable[[int], str]
Callable[[int, int], str] -/> Callable[[int], str] | int -/> Callable[[int], str]
Box[int] -/> Box[str]
Source[int] -/> Source[str] | Sink[int] -/> Sink[float] | IntBox -/> Getter[str]
Movie -/> LongMovie | Movie -/> Wrong
Movie -/> dict[str, object] | dict[str, object] -/> Movie | type[str] -/> type[int]
int -/> type[int]
npt.NDArray[np.float64] -/> npt.NDArray[np.int64] | Annotated[str, 1] -/> int | Dog -/> Cat
int -/> Sized
Generator[int, None, None] -/> Iterator[str] | Json -/> str | Animal -/> SpeaksInNumbers
Dog -/> FetchesText
int -/> Iterable[int] | np.float64 -/> str | Color -/> int | Point -/> tuple[str, int]
Sequence[str] -/> list[str]
Iterable[int] -/> Iterator[int]
"""


def decided() -> list[Any]:
    found: list[Any] = []
    for pair in (
        pair.strip() for line in DECIDED.strip().splitlines() for pair in line.split(" | ")
    ):
        carried, arrow, taken = re.split(r" (-/?>) ", pair)
        found.append(
            pytest.param(
                carried, taken, Assignability.YES if arrow == "->" else Assignability.NO, id=pair
            )
        )
    return found


@pytest.mark.parametrize(("carried", "taken", "answer"), decided())
def test_what_must_be_decided(carried: str, taken: str, answer: Assignability) -> None:
    assert (
        assignability(eval(carried, dict(vars(hint_types))), eval(taken, dict(vars(hint_types))))
        is answer
    )


# --------------------------------------------------------------------------------- any types at all

LEAVES = st.sampled_from(
    [int, str, bool, float, bytes, None, Animal, Dog, Color, UserId, Movie, Point, Callme, Box[int]]
)
List: Any = list  # so that the checkers let types be made of variables
Set: Any = set
Dict: Any = dict
Tuple: Any = tuple
Function: Any = Callable
Concatenated: Any = Concatenate
Generics: Any = (Listed, Getter)
COMPOSED: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda tp: List[tp]),
        inner.map(lambda tp: Generics[0][tp]),
        inner.map(lambda tp: Generics[1][tp]),
        inner.map(lambda tp: Function[[tp], int]),
        st.tuples(inner, inner).map(lambda pair: Dict[pair]),
        st.tuples(inner, inner).map(lambda pair: Tuple[pair]),
        st.lists(inner, min_size=2, max_size=3).map(union),
    ),
    max_leaves=6,
)


@given(COMPOSED)
def test_a_type_fits_itself_and_object_and_wider_unions_and_nothing_unlike_it(tp: Any) -> None:
    assert assignability(tp, tp) is Assignability.YES
    assert assignability(tp, object) is Assignability.YES
    assert assignability(tp, union([tp, complex])) is Assignability.YES
    assert assignability(union([tp, range]), tp) is Assignability.NO
    assert assignability(List[tp], Set[tp]) is Assignability.NO


@given(COMPOSED, COMPOSED)
def test_what_is_taken_out_of_a_container_fits_as_what_was_put_in(a: Any, b: Any) -> None:
    assert assignability(Tuple[a], Tuple[b]) is assignability(a, b)
    assert assignability(Function[[b], int], Function[[a], int]) is assignability(a, b)
    assert assignability(element_of(List[a]), b) is assignability(a, b)


@given(COMPOSED)
def test_none_is_left_out_whatever_it_stands_beside(tp: Any) -> None:
    assert without_none(union([tp, None])) == without_none(tp)
    assert type(None) not in members(without_none(tp))


@given(COMPOSED)
def test_every_type_has_words_and_its_full_words_tell_more(tp: Any) -> None:
    assert words(tp)
    assert len(words(tp, full=True)) >= len(words(tp))


@given(st.one_of(st.integers(), st.text(), st.lists(st.integers())), COMPOSED)
def test_what_is_no_type_tells_nothing(nonsense: Any, tp: Any) -> None:
    assert assignability(nonsense, tp) is Assignability.UNSURE
    assert assignability(tp, nonsense) is Assignability.UNSURE


class Spiteful(type):
    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("do not compare me")

    def __hash__(cls) -> int:
        return 1


class Spite(metaclass=Spiteful):
    pass


def test_types_that_raise_when_they_are_looked_at_tell_nothing() -> None:
    assert assignability(Spite, int) is Assignability.UNSURE


# ------------------------------------------------------------------------------------- at the edges

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
P = ParamSpec("P")
Growing = TypeAliasType("Growing", "list[Growing[list[T]]]", type_params=(T,))  # type: ignore[misc]  # that is the point


class Wide(Generic[*Ts]):
    pass


class Loud:
    def sound(self, *words: str) -> str:
        return ""


class Renamed:
    @functools.wraps(len)
    def sound(self) -> str:
        return ""


UNSURE: list[tuple[Any, Any]] = [
    (Growing[int], Growing[str]),
    (tuple[int, *tuple[str, ...]], tuple[int, str]),
    (Wide[int, bool], Wide[int, int]),
    (Loud, hint_types.Speaks),
    (Renamed, hint_types.SpeaksInNumbers),
    (Function[P, int], Callable[[int], int]),
    (Function[Concatenated[int, P], int], Callable[[int], int]),
    (TypeVar("Unbound"), int),
    (Self, int),
    (np.longlong, np.int64),
    (bytearray, bytes),
]


@pytest.mark.parametrize(("carried", "taken"), UNSURE, ids=str)
def test_what_is_not_followed_to_its_end_is_left_open(carried: Any, taken: Any) -> None:
    assert assignability(carried, taken) is Assignability.UNSURE


def test_the_type_variables_of_a_function_of_functions_are_not_guessed() -> None:
    assert substitute(Function[P, T], {T: int}) is UNKNOWN
    assert substitute(Dict[str, T], {T: int}) == dict[str, int]
    assert substitute(List[T], {}, None) == List[T]
