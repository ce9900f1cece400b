"""The names in annotations stand for what they stood for where they were written, or for nothing
that is known."""

from __future__ import annotations

import dataclasses
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypedDict

import pytest
from typing_extensions import TypeAliasType

from conveyor import Pipeline, Processor
from conveyor.errors import StageTypeError
from conveyor.typecheck.builtin_signatures import Signature
from conveyor.typecheck.call_signatures import signatures_of
from conveyor.typecheck.members import hint_of
from conveyor.typecheck.scopes import fields_in, hint_in, hints_in
from conveyor.typecheck.type_forms import UNKNOWN, value_of_alias

Item = int  # the module's: what is nearer has the same name, and is another type
Other = str


class Outer:
    class Item: ...

    def method(self, item: Item, other: Other) -> None: ...
    @staticmethod
    def static(item: Item) -> None: ...

    class Inner:
        def method(self, item: Item) -> None: ...

        field: Item


def local() -> Iterator[Callable[..., Any]]:
    class Item: ...

    def not_captured(item: Item, other: Other, text: str) -> None: ...
    def captured(item: Item) -> object:
        return Item

    class Class:
        class Other: ...

        def method(self, item: Item, other: Other) -> None: ...

    yield from (not_captured, captured, Class.method)


def argument(item: Item, other: Other) -> Callable[..., None]:
    def inner(value: Callable[[item], None], other: Other) -> None: ...  # type: ignore[valid-type]  # pyright: ignore

    return inner  # pyright: ignore


def hint(function: Any, name: str = "item") -> object:
    return hint_of(function, name)


def test_a_method_sees_the_names_of_its_own_class_and_no_other() -> None:
    assert hint(Outer.method) is hint(Outer.static) is Outer.Item
    assert hint(Outer.method, "other") is str
    assert hint(Outer.Inner.method) is int
    assert hint_in(Outer.Inner, "field") is int


def test_what_a_function_around_has_bound_is_known_only_if_it_was_captured() -> None:
    not_captured, captured, method = local()
    assert hint(not_captured) is UNKNOWN
    assert hint(captured) is captured(None)
    assert hint(method) is UNKNOWN
    assert hint(not_captured, "other") is hint(not_captured, "text") is str
    assert hint(method, "other") is UNKNOWN
    assert hint(argument(1, ""), "value") is UNKNOWN
    assert hint(argument(1, ""), "other") is str


def test_a_function_in_one_that_cannot_be_found_knows_the_builtins_only() -> None:
    def inner(item: Item, text: str) -> None: ...

    inner.__qualname__ = "gone.<locals>.inner"
    assert hint(inner) is UNKNOWN
    assert hint(inner, "text") is str


def test_the_fields_of_a_class_are_read_where_the_class_was_written() -> None:
    class Item: ...  # pyright: ignore[reportUnusedClass]  # only in annotations

    class Named(NamedTuple):
        item: Item
        other: Other

    class Dict(TypedDict):
        item: Item

    class Longer(Dict):
        other: Other

    @dataclasses.dataclass
    class Data:
        other: Other
        item: Item

    for cls in (Named, Dict, Longer, Data):
        with pytest.raises(NameError):
            hint_in(cls, "item")
    for cls in (Named, Longer, Data):
        assert hint_in(cls, "other") is str
    assert fields_in(Data) == {"item", "other"}
    assert signatures_of(Named)[0].takes is UNKNOWN
    assert signatures_of(Data)[0].takes is str


def test_the_fields_of_a_base_are_read_where_the_base_was_written() -> None:
    far = types.ModuleType("far_away")
    sys.modules["far_away"] = far
    source = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import TypedDict
        Item = complex
        @dataclass
        class Data:
            item: Item
        class Dict(TypedDict):
            item: Item
    """
    exec(textwrap.dedent(source), vars(far))
    try:
        make: Any = dataclasses.dataclass
        near: Any = make(
            types.new_class("Near", (far.Data,), {}, lambda body: body.update(__module__=__name__))
        )
        assert signatures_of(near) == [Signature(complex, near)]
        assert hints_in(far.Dict) == {"item": complex}
    finally:
        del sys.modules["far_away"]


def test_an_alias_that_its_module_does_not_have_is_read_only_where_it_names_nothing() -> None:
    make: Any = TypeAliasType
    assert value_of_alias(make("Local", "list[int]")) == list[int]
    with pytest.raises(NameError):
        value_of_alias(make("Local", "list[Item]"))


def test_a_clear_misfit_of_nested_classes_is_still_refused() -> None:
    class Taker:
        class Item: ...

        @staticmethod
        def take(item: Item) -> None: ...

        def make(self, number: int) -> Other:
            return str(number)

    pl: Any = Pipeline[int]()
    with pytest.raises(StageTypeError, match="takes Item, but the lane carries int"):
        pl.add(Processor(Outer.static))
    pl.add(Processor(Taker().make))
    with pytest.raises(StageTypeError, match="takes int, but the lane carries str"):
        pl.add(Processor(Taker().make))
    pl.add(Processor(Taker.take))  # its Item is gone: it may be anything
