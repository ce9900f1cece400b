"""What is known of the open lanes of a pipeline, and how a type of the library says it.

Knows: mypy's types, and the pipelines of `conveyor.pipeline`.  Must never know: stages, or which
variable holds the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mypy.checker import TypeChecker
from mypy.maptype import map_instance_to_supertype
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    Instance,
    ProperType,
    Type,
    TypeOfAny,
    UnionType,
    UnpackType,
    get_proper_type,
)

from conveyor._mypy.types import (
    ADAPTIVE,
    ANYTHING,
    PIPELINE,
    STATEMENT,
    UNCHECKED,
    UNDECLARED,
    WIDE,
    any_lane,
    class_of,
    has_any_lanes,
)

__all__ = ["PipelineTypes", "Lanes", "Row", "cannot_run"]


class Lanes(Enum):
    """What is known of the open lanes."""

    NOTHING = "no stage was added yet"
    EXACT = "so many, of these types"
    WIDE = "several of one type, it is not known how many"
    ADAPTIVE = "as many as a fork decides, of one type"
    UNKNOWN = "anything"


@dataclass(frozen=True)
class Row:
    """What a pipeline takes (None: it is not declared), and its open lanes from left to right."""

    takes: Type | None
    kind: Lanes
    lanes: tuple[Type, ...] = ()


def declared(takes: Type) -> Type | None:
    proper = get_proper_type(takes)
    return None if isinstance(proper, Instance) and proper.type.fullname == UNDECLARED else takes


def unite(one: Row, other: Row) -> Row:
    takes = one.takes if str(one.takes) == str(other.takes) else ANYTHING
    lanes = zip(one.lanes, other.lanes, strict=True)
    return Row(
        takes, one.kind, tuple(make_simplified_union([right, left]) for left, right in lanes)
    )


def cannot_run(row: Row, name: str) -> str | None:
    match row.kind:
        case Lanes.NOTHING:
            return f"{name}() needs a stage, and nothing was added to this pipeline"
        case Lanes.EXACT if len(row.lanes) > 1:
            lanes = count(row.lanes)
            return f"{name}() needs one open lane, but {lanes} are open: add a Join or a Zip"
        case Lanes.WIDE | Lanes.ADAPTIVE:
            return f"{name}() needs one open lane, but those of a fork are open: add a Join"
        case _:
            return None


def count(lanes: tuple[Type, ...] | int) -> str:
    number = lanes if isinstance(lanes, int) else len(lanes)
    return f"{number} lane{'' if number == 1 else 's'}"


class PipelineTypes:
    """Reads the types of pipelines as rows, and makes the types of rows, for one file."""

    def __init__(self, checker: TypeChecker) -> None:
        self.checker = checker
        # The `Any` in a type that takes any pipeline, by its id, and the row that it stands for.
        self.any_lanes: dict[int, tuple[AnyType, Row]] = {}

    def rows(self, kind: Type) -> list[Row]:
        """What a type says of the lanes; lanes of branches that opened the same number are
        united."""
        proper = get_proper_type(kind)
        items = (
            [get_proper_type(item) for item in proper.items]
            if isinstance(proper, UnionType)
            else [proper]
        )
        united: dict[tuple[Lanes, int], Row] = {}
        for item in items:
            row = self.row(item)
            key = (row.kind, len(row.lanes))
            other = united.get(key)
            united[key] = row if other is None else unite(row, other)
        return list(united.values())

    def row(self, kind: ProperType) -> Row:
        if not isinstance(kind, Instance):
            return Row(None, Lanes.UNKNOWN)
        for name, known in (
            (UNCHECKED, Lanes.UNKNOWN),
            (STATEMENT, Lanes.NOTHING),
            (WIDE, Lanes.WIDE),
            (ADAPTIVE, Lanes.ADAPTIVE),
        ):
            if kind.type.has_base(name):
                args = map_instance_to_supertype(kind, class_of(self.checker, name)).args
                # `with Pipeline() as pl` takes anything for a checker: what it takes is not
                # declared.
                takes = None if isinstance(get_proper_type(args[0]), AnyType) else declared(args[0])
                return Row(takes, known, tuple(args[1:]))
        if not kind.type.has_base(PIPELINE):
            return Row(None, Lanes.UNKNOWN)
        args = map_instance_to_supertype(kind, class_of(self.checker, PIPELINE)).args
        lanes = tuple(args[1:])
        if has_any_lanes(kind):
            _, remembered = self.any_lanes.get(
                id(any_lane(kind)), (None, Row(declared(args[0]), Lanes.UNKNOWN))
            )
            return remembered
        return Row(declared(args[0]), Lanes.EXACT if lanes else Lanes.NOTHING, lanes)

    def type_of(self, row: Row) -> Type:
        takes = row.takes or Instance(class_of(self.checker, UNDECLARED), [])
        if row.kind is Lanes.UNKNOWN:
            takes = row.takes or ANYTHING
        name = {Lanes.WIDE: WIDE, Lanes.ADAPTIVE: ADAPTIVE, Lanes.UNKNOWN: UNCHECKED}.get(
            row.kind, PIPELINE
        )
        return Instance(class_of(self.checker, name), [takes, *row.lanes])

    def type_that_takes_any(self, row: Row) -> Type:
        """The type for a variable to which other rows will be assigned; which row it is now is
        remembered."""
        lane = AnyType(TypeOfAny.special_form)
        self.any_lanes[id(lane)] = (lane, row)
        lanes = UnpackType(self.checker.named_generic_type("builtins.tuple", [lane]))
        return Instance(class_of(self.checker, PIPELINE), [row.takes or ANYTHING, lanes])
