"""An exception keeps its face on its way to the caller: in a run, a dead letter, a simulation, and
a simulated dead letter."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Processor
from conveyor.errors import JobRaised, NotPicklable
from conveyor.items.remote_errors import WorkerTraceback, sent
from tests.helpers import new_or_forked, pipeline, told

pytestmark = pytest.mark.processes


class WritesItsText(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"failed with {code}")


class TakesTwo(Exception):
    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


class TakesKeywords(Exception):
    def __init__(self, *, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class TakesNothing(Exception):
    def __init__(self) -> None:
        super().__init__("nothing", 1)


class MayNotBeSet(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is read-only")


class HasATupleOfNotes(Exception):
    __notes__ = ("see the manual",)  # type: ignore[assignment]  # what somebody wrote


@dataclass(frozen=True, slots=True)
class Frozen(Exception):
    code: int
    why: str = "frozen"


class Slotted(TakesTwo):
    __slots__ = ("more",)

    def __init__(self, code: int) -> None:
        super().__init__(code, "slots")
        self.more = [code]


class HasASlot(Exception):
    """Its pickle comes back without a word, and without what is in the slot."""

    __slots__ = ("more",)


class ReducesBadly(Exception):
    def __reduce__(self) -> Any:
        return ReducesBadly, ("another text",)


class ExitsWhenLoaded(Exception):
    def __reduce__(self) -> Any:
        return exits, ()


def exits() -> None:
    raise SystemExit("while it was loaded")


class OfTheSystem(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "nope", path)


class Grouped(ExceptionGroup[Exception]):
    def __new__(cls, one: Exception) -> Grouped:  # pyright: ignore[reportInconsistentConstructor]  # as some are written
        return super().__new__(cls, "grouped", [one, ValueError(2)])


class SaysNothing(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be written")


class HidesNotes(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        return ["always the same"]


class HidesItsCause(Exception):
    @property
    def __cause__(self) -> None:  # type: ignore[override]
        return None


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("kept a lock")
        self.lock = threading.Lock()


class SetsItsFile(OSError):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.errno, self.strerror, self.filename = 5, "input/output", path


def set_later(error: Exception, **attributes: object) -> Exception:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


NATIVE = "errno strerror filename name path lineno offset start reason value".split()
RAISED: dict[str, Callable[[], Exception]] = {
    "writes its text": lambda: WritesItsText(7),
    "takes two": lambda: TakesTwo(503, "busy"),
    "takes keywords": lambda: TakesKeywords(code=3),
    "takes nothing": TakesNothing,
    "may not be set": lambda: MayNotBeSet("read-only"),
    "has a tuple of notes": lambda: HasATupleOfNotes("noted"),
    "frozen": lambda: Frozen(3),
    "slotted": lambda: Slotted(4),
    "slot set later": lambda: set_later(HasASlot("text"), more=[5]),
    "slots in a group": lambda: ExceptionGroup("group", [set_later(HasASlot(1), more=[6])]),
    "reduces badly": lambda: ReducesBadly("the real text"),
    "exits when loaded": lambda: ExitsWhenLoaded("the real text"),
    "of the system": lambda: OfTheSystem("/nowhere"),
    "file": lambda: FileNotFoundError(2, "nope", "file"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"x\xff", 1, 2, "why"),
    "import": lambda: ImportError("no", name="nothing", path="nowhere"),
    "stop": lambda: KeyError("key", "more"),
    "group": lambda: ExceptionGroup("group", [TakesTwo(1, "inside"), OfTheSystem("/inside")]),
    "own group": lambda: Grouped(TakesKeywords(code=5)),  # pyright: ignore[reportCallIssue]  # it does
    "array": lambda: ValueError(np.arange(3)),
    "object": lambda: ValueError(RAISED),
    "says nothing": lambda: SaysNothing(1),
    "name": lambda: NameError("no", name="nothing"),
    "attribute": lambda: AttributeError("no", name="nothing", obj=threading.Lock()),
    "sets its file": lambda: SetsItsFile("/nowhere"),
    "file set later": lambda: set_later(OSError("text"), errno=5, filename="file"),
    "line set later": lambda: set_later(SyntaxError("no"), lineno=7, filename="file"),
    "name set later": lambda: set_later(ImportError("no"), name="nothing"),
    "names in a group": lambda: ExceptionGroup("group", [NameError("no", name="nothing")]),
}
ADDRESSED = {"object"}  # a function in its arguments cannot be pickled: told as text
HIDDEN: dict[str, Callable[[], Exception]] = {
    "hides notes": lambda: HidesNotes("the real text"),
    "hides its cause": lambda: HidesItsCause("the real text"),
    "holds a lock": HoldsALock,
}


def job(kind: str) -> None:
    raise {**RAISED, **HIDDEN}[kind]()


def ways(kind: str, start_method: str = "fork") -> Iterator[tuple[str, BaseException]]:
    """The error of `kind` as the caller gets it, in each way there is."""
    pl = pipeline(start_method).add(Processor(job))
    buries = pipeline(start_method).add(Processor(job, on_error="dead_letter"))
    for way, call in (("run", pl.run), ("simulate", pl.simulate)):
        try:
            call([kind])
        except Exception as error:
            yield way, error
    yield "dead letter", buries.run([kind]).dead_letters[0].exception
    yield "simulated dead letter", buries.simulate([kind]).dead_letters[0].exception


def face(error: BaseException) -> tuple[object, ...]:
    inside = [face(each) for each in getattr(error, "exceptions", ())]
    named = {
        name: value
        for name, value in vars(error).items()
        if name not in ("__notes__", "_exceptions")
    }
    args = () if inside else repr(error.args)
    native = [getattr(error, name, None) for name in NATIVE]
    return type(error), text(error), args, repr(named), native, getattr(error, "more", None), inside


def text(error: BaseException) -> str:
    try:
        return str(error)
    except RuntimeError as failed:
        return repr(failed)


@pytest.mark.parametrize("kind", [kind for kind in RAISED if kind not in ADDRESSED])
def test_an_exception_arrives_as_what_it_was(kind: str) -> None:
    expected = face(RAISED[kind]())

    for way, error in ways(kind):
        assert face(error) == expected, way
        assert isinstance(error.__cause__, WorkerTraceback), way
        assert "in job" in told(error), way
        if "letter" not in way:
            assert any("in stage 'job'" in note for note in error.__notes__), way


@pytest.mark.parametrize("kind", [*HIDDEN, *ADDRESSED])
def test_one_that_cannot_be_told_apart_or_travel_arrives_as_text(kind: str) -> None:
    name = type({**RAISED, **HIDDEN}[kind]()).__name__

    for way, error in ways(kind):
        if way == "dead letter" and kind == "hides notes":
            assert type(error) is HidesNotes  # nothing is to be noted
        elif "letter" not in way or kind != "hides notes":
            assert type(error) is JobRaised, way
        assert name in told(error), way
        assert "in job" in told(error), way


@new_or_forked
def test_under_each_start_method(start_method: str) -> None:
    for kind in ("takes two", "frozen", "exits when loaded"):
        expected = face(RAISED[kind]())
        assert {way: face(error) for way, error in ways(kind, start_method)} == dict.fromkeys(
            ("run", "simulate", "dead letter", "simulated dead letter"), expected
        )


@new_or_forked
def test_an_exception_of_a_class_of_a_function_is_of_that_class(start_method: str) -> None:
    class Local(TakesTwo):
        pass

    def refuse(item: int) -> None:
        raise Local(item, "local")

    for call in ("run", "simulate"):
        with pytest.raises(Local) as failed:
            getattr(pipeline(start_method).add(Processor(refuse)), call)([7])
        assert (failed.value.code, str(failed.value)) == (7, "7: local")


def test_a_large_argument_goes_along_and_is_not_written_out() -> None:
    def refuse(size: int) -> None:
        raise ValueError(bytes(size)) from KeyError("k" * size)

    with pytest.raises(ValueError) as failed:  # noqa: PT011  # its text is what would be too long
        pipeline().add(Processor(refuse)).run([50 << 20])

    assert failed.value.args == (bytes(50 << 20),)
    assert isinstance(failed.value.__cause__, WorkerTraceback)
    written = str(failed.value.__cause__)
    assert "in refuse" in written
    assert "KeyError: 'kkkk" in written
    assert "ValueError: b'" in written
    assert len(written) < 100_000


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists))
def test_what_is_small_is_written_as_ever(value: object) -> None:
    error = ValueError(value)

    assert sent(error).trace == "".join(traceback.format_exception(error))


class Unloadable:
    """Can be loaded by the program, and not by its workers."""

    def __reduce__(self) -> Any:
        return loaded, (threading.main_thread().native_id,)


def loaded(native_id: int) -> str:
    if threading.main_thread().native_id != native_id:
        raise ValueError("not here")
    return "as the parent has it"


def test_an_item_that_only_the_caller_can_load_is_in_its_dead_letter() -> None:
    (letter,) = (
        pipeline().add(Processor(str, on_error="dead_letter")).run([1, Unloadable()]).dead_letters
    )

    assert (letter.ordinal, letter.item) == (1, "as the parent has it")
    assert type(letter.exception) is NotPicklable


def test_a_letter_of_an_array_and_of_a_pair_has_them() -> None:
    array = np.arange(100_000)

    def refuse(item: object) -> None:
        raise ValueError

    (letter,) = (
        pipeline().add(Processor(refuse, on_error="dead_letter")).run([(array, [1])]).dead_letters
    )

    item: Any = letter.item
    assert np.array_equal(item[0], array)
    assert item[1] == [1]
