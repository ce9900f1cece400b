"""A pipeline while it is being written: rows of stages on open lanes.

Knows: which row fits which lanes, in number and in type, and how to say why one does not.  Must
never know: workers, channels, how it runs.

Rule 1.  A row takes the open lanes from left to right: a job or a pipe takes one and gives one, a
         fork takes one and gives n, a join or a zip takes n and gives one.  It must take all of
         them.
Rule 2.  A pipeline begins with anything but a join or a zip; a strict one begins with a processor.
Rule 3.  Lanes of a `BalancingFork()` are written once, and end at a `Join()`.
Rule 4.  A stage fits what its lanes carry, as far as annotations tell: a clear misfit is a
         `StageTypeError`.
Rule 5.  An ordered join takes all lanes of one fork, and nothing between the two has lost the
         order.

A draft is a value: a row that is refused leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeGuard, cast

from conveyor.errors import StageTypeError, TopologyError
from conveyor.stages import (
    KINDS,
    AnyMerge,
    AnyStage,
    Fork,
    Job,
    Join,
    Pipe,
    Stage,
    Zip,
    check_is_written,
    name_wanted,
)
from conveyor.stages.timed import is_woken
from conveyor.typecheck.stage_types import pass_through
from conveyor.typecheck.type_forms import UNKNOWN

__all__ = ["Draft", "Frame", "Place", "Port", "implicit_pipes"]


@dataclass(frozen=True, slots=True)
class Port:
    """One of the outputs of a place."""

    place: int
    out: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A fork that a lane is inside of, and which of its lanes this is; `scrambled` once the order
    has been lost."""

    fork: int
    lane: int
    scrambled: bool = False


SHOWN: Final = 12  # rows, in words

Frames: TypeAlias = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """An open end of the draft, and the type of what it carries; `port` is None where nothing has
    been added yet."""

    port: Port | None
    frames: Frames
    carries: object = UNKNOWN


class Relay(Stage):
    """Stands between two routers that must not have the same owner; `compiler` puts it in."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stage where it was put: what it reads, which forks are around it, and of an ordered join,
    which fork it undoes."""

    stage: AnyStage | Relay
    name: str
    row: int
    sources: tuple[Port | None, ...]
    frames: Frames
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """All rows so far."""

    strict: bool = False
    places: tuple[Place, ...] = ()
    lanes: tuple[Lane, ...] = (Lane(None, ()),)
    rows: int = 0

    def __str__(self) -> str:
        """The stages, row by row, and how many lanes are open if it is not one."""
        rows = [
            _words([place.stage for place in self.places if place.row == row])
            for row in range(1, self.rows + 1)
        ]
        shown = rows if len(rows) <= SHOWN else [*rows[: SHOWN // 2], "...", *rows[-SHOWN // 2 :]]
        return " | ".join(
            [*shown, *([f"{_lanes(len(self.lanes))} open"] if len(self.lanes) > 1 else [])]
        )

    def declare(self, carries: object) -> Draft:
        """The draft, empty as yet, of a pipeline whose items are of this type."""
        return replace(self, lanes=(Lane(None, (), carries),))

    def add(self, stages: Sequence[Stage]) -> Draft:
        """The draft with one more row; raises `TopologyError` if the row does not fit,
        `StageTypeError` if a type does not."""
        row = self.rows + 1
        stages = checked_kinds(row, stages)
        if not self.places:
            self.check_beginning(stages[0])
        widths = [taken_by(stage) for stage in stages]
        if sum(widths) != len(self.lanes):
            raise TopologyError(
                f"row {row}: {_words(stages)} {'takes' if len(stages) == 1 else 'take'} "
                f"{_lanes(sum(widths))}, but {_open(len(self.lanes))}; "
                f"{_would_fit(len(self.lanes))}"
            )
        draft = self
        lanes: list[Lane] = []
        at = 0
        for stage, width in zip(stages, widths, strict=True):
            draft, opened = draft.put(stage, row, at, self.lanes[at : at + width])
            lanes += opened
            at += width
        return replace(draft, lanes=tuple(lanes), rows=row)

    def check_beginning(self, stage: AnyStage) -> None:
        if isinstance(stage, Join | Zip):
            raise TopologyError(
                f"row 1, lane 1: a pipeline cannot begin with {stage!r}: there are no lanes to "
                "bring together; begin with a "
                f"{'Processor' if self.strict else 'Processor, a Pipe or a fork'}"
            )
        if self.strict and not isinstance(stage, Job):
            raise TopologyError(
                f"row 1, lane 1: a strict pipeline begins with a processor, not with {stage!r}; "
                "add a Processor first, or leave out strict=True"
            )

    def put(
        self, stage: AnyStage, row: int, at: int, lanes: Sequence[Lane]
    ) -> tuple[Draft, list[Lane]]:
        """The draft with one more place, and the lanes that it opens."""
        index = len(self.places)
        where = f"row {row}, lane {at + 1}"
        frames = lanes[0].frames
        undoes = None
        match stage:
            case Join(n=None):
                frames, undoes = self.after_adaptive(stage, where, lanes[0])
            case Join() | Zip():
                frames, undoes = self.after_join(stage, where, lanes)
            case _:
                pass
        passage = pass_through(stage, [lane.carries for lane in lanes])
        if passage.refusal is not None:
            raise StageTypeError(f"{where}: {stage!r} {passage.refusal}")
        carries = passage.gives
        place = Place(
            stage, self.free_name(stage), row, tuple(lane.port for lane in lanes), frames, undoes
        )
        draft = replace(self, places=(*self.places, place))
        if isinstance(stage, Fork):
            width = 1 if stage.n is None else stage.n
            return draft, [
                Lane(Port(index, out), (*frames, Frame(index, out)), carries)
                for out in range(width)
            ]
        return draft, [Lane(Port(index, 0), frames, carries)]

    def after_adaptive(self, join: Join[Any], where: str, lane: Lane) -> tuple[Frames, int | None]:
        """The frames behind a `Join()`."""
        if not lane.frames or not self.is_adaptive(lane.frames[-1].fork):
            inner = (
                f"; join the lanes of {self.places[lane.frames[-1].fork].name!r} first"
                if lane.frames
                else ""
            )
            raise TopologyError(
                f"{where}: {join!r} without a number closes the lanes of a BalancingFork(), and "
                f"this lane is not one of them{inner or '; say how many lanes it takes: Join(n)'}"
            )
        fork = lane.frames[-1]
        outer = lane.frames[:-1]
        if join.ordered:
            self.check_order_kept(join, where, [lane])
            return outer, fork.fork
        return tuple(replace(frame, scrambled=True) for frame in outer), None

    def after_join(
        self, join: AnyMerge, where: str, lanes: Sequence[Lane]
    ) -> tuple[Frames, int | None]:
        """The frames behind a join or a zip: those that all its lanes share."""
        inside = [
            [frame.fork for frame in lane.frames if self.is_adaptive(frame.fork)] for lane in lanes
        ]
        shared = _common([lane.frames for lane in lanes])
        adaptive = [frame.fork for frame in shared if self.is_adaptive(frame.fork)]
        for i, forks in enumerate(inside):
            if forks != adaptive:
                raise TopologyError(
                    f"{where}: {join!r} takes lane {i + 1} out of {self.places[forks[-1]].name!r}, "
                    "a BalancingFork() whose lanes end only at a Join() of their own; put a Join() "
                    "before it"
                )
        if isinstance(join, Join) and join.ordered:
            return lanes[0].frames[:-1], self.check_order_kept(join, where, lanes)
        return tuple(replace(frame, scrambled=True) for frame in shared), None

    def check_order_kept(self, join: Join[Any], where: str, lanes: Sequence[Lane]) -> int:
        """The fork that an ordered join undoes."""
        if not lanes[0].frames:
            raise TopologyError(
                f"{where}: {join!r} needs the lanes of one fork, and there is no fork before it"
            )
        fork = lanes[0].frames[-1].fork
        name, stage = self.places[fork].name, self.places[fork].stage
        width = stage.n if isinstance(stage, Fork) and stage.n is not None else 1
        tops = [frame for lane in lanes for frame in lane.frames[-1:]]
        if [(top.fork, top.lane) for top in tops] != [(fork, out) for out in range(width)] or len(
            tops
        ) != len(lanes):
            raise TopologyError(
                f"{where}: {join!r} must take all lanes of one fork, and nothing else; {name!r} "
                f"has {_lanes(width)}. Lanes of a fork inside must be joined first"
            )
        scrambled = [i + 1 for i, top in enumerate(tops) if top.scrambled]
        if scrambled:
            raise TopologyError(
                f"{where}: {join!r} cannot give back the order of {name!r}: in its lane "
                f"{scrambled[0]} a join that is first come, first served, or a zip, has lost it; "
                "make every join inside ordered=True"
            )
        inside = [place for place in self.places if fork in [each.fork for each in place.frames]]
        for place in filter(lambda place: is_woken(place.stage), inside):
            raise TopologyError(
                f"{where}: {join!r} cannot give back the order of {name!r}: what {place.stage!r} "
                "gives as time goes by has no place in it; put that stage behind the join"
            )
        return fork

    def is_adaptive(self, place: int) -> bool:
        stage = self.places[place].stage
        return isinstance(stage, Fork) and stage.n is None

    def free_name(self, stage: AnyStage) -> str:
        """The stage's name, with #2, #3 ... where it has been taken."""
        wanted = name_wanted(stage)
        names = {place.name for place in self.places}
        if wanted not in names:
            return wanted
        count = 2
        while f"{wanted}#{count}" in names:
            count += 1
        return f"{wanted}#{count}"

    def check_complete(self, call: str) -> None:
        """Raises `TopologyError` unless there is exactly one open lane to run from end to end."""
        if not self.places:
            raise TopologyError(f"{call}: the pipeline has no stage yet; add one first")
        if len(self.lanes) != 1:
            raise TopologyError(
                f"{call}: {_open(len(self.lanes))} after row {self.rows}; join them first: "
                f"add(Join({len(self.lanes)}))"
            )
        (lane,) = self.lanes
        adaptive = [frame.fork for frame in lane.frames if self.is_adaptive(frame.fork)]
        if adaptive:
            raise TopologyError(
                f"{call}: the lanes of {self.places[adaptive[-1]].name!r} are still open after "
                f"row {self.rows}; join them first: add(Join())"
            )


def implicit_pipes(before: Draft, after: Draft) -> list[str]:
    """Where a strict pipeline expected a pipe to be written, in the last row; one sentence each."""
    said: list[str] = []
    for place in after.places[len(before.places) :]:
        for port in place.sources:
            source = None if port is None else before.places[port.place]
            if source is None or isinstance(source.stage, Pipe) or isinstance(place.stage, Pipe):
                continue
            if is_job(place.stage) and not is_job(source.stage):
                continue  # a processor may follow a fork or a join directly
            said.append(
                f"row {place.row}: a pipe was put in between {source.name!r} and {place.name!r}; "
                "write Pipe() to say so"
            )
    return said


def is_job(stage: Stage) -> bool:
    return isinstance(stage, Job)


def taken_by(stage: AnyStage) -> int:
    """How many lanes a stage takes; one of a join that takes as many as there are."""
    return stage.n or 1 if isinstance(stage, Join | Zip) else 1


def checked_kinds(row: int, stages: Sequence[object]) -> list[AnyStage]:
    """The stages of a row; raises `TopologyError` for anything that no graph can be built of."""
    if not stages:
        raise TopologyError(f"row {row}: add() was given no stage")
    return [checked_kind(stage, f"row {row}, lane {lane}") for lane, stage in enumerate(stages, 1)]


def checked_kind(stage: object, where: str) -> AnyStage:
    if not isinstance(stage, Stage):
        raise TopologyError(f"{where}: {stage!r} is not a stage; {_hint(stage)}")
    if not is_known(stage):
        raise TopologyError(
            f"{where}: {stage!r} is a stage of an unknown kind: nothing is known of where its "
            f"items go; derive {type(stage).__name__} from one of the stages that there are"
        )
    if isinstance(stage, Job):
        try:
            check_is_written(stage)
        except TopologyError as error:
            raise TopologyError(f"{where}: {error}") from None
    return stage


def is_known(stage: Stage) -> TypeGuard[AnyStage]:
    return isinstance(stage, KINDS)


def is_row(thing: object) -> bool:
    return isinstance(thing, list | tuple) and all(
        isinstance(each, Stage) for each in cast("Sequence[object]", thing)
    )


def _hint(thing: object) -> str:
    if is_row(thing):
        return (
            "a row of several stages is written without brackets: add(first, second), or "
            "add(*stages)"
        )
    otherwise = (
        "wrap it: Processor(...)"
        if callable(thing)
        else "stages are jobs, such as Processor, pipes, forks, joins and zips"
    )
    return (
        f"make one: {thing.__name__}(...)"
        if isinstance(thing, type) and issubclass(thing, Stage)
        else otherwise
    )


def _common(frames: Sequence[Frames]) -> Frames:
    shared: list[Frame] = []
    for level in zip(*frames, strict=False):
        if len({(frame.fork, frame.lane) for frame in level}) > 1:
            break
        shared.append(level[0])
    return tuple(shared)


def _words(stages: Sequence[Stage]) -> str:
    return ", ".join(map(repr, stages))


def _lanes(n: int) -> str:
    return f"{n} lane{'' if n == 1 else 's'}"


def _open(n: int) -> str:
    return f"{_lanes(n)} {'is' if n == 1 else 'are'} open"


def _would_fit(n: int) -> str:
    if n == 1:
        return "one processor, pipe or fork would fit"
    return (
        f"a row of {n} stages would fit (a Pipe() for a lane that is to be left alone), or "
        f"Join({n})"
    )
