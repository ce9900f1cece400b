"""A pipeline while it is being written: rows of stages on open lanes.

Knows: which row fits which lanes, in number and in type, and how to say why one does not.  Must
never know: workers, channels, how it runs.

Rule 1.  A row takes the open lanes from left to right: a job or a pipe takes one and gives one, a
         fork takes one and gives n, a join or a zip takes n and gives one.  It must take all of
         them.
Rule 2.  A pipeline begins with anything but a join or a zip; a strict one begins with a processor.
Rule 3.  Lanes of a fork without a number are written once, and end at a `Join()`.
Rule 4.  A stage fits what its lanes carry, as far as annotations tell: a clear misfit is a
         `StageTypeError`.
Rule 5.  An ordered join takes all lanes of one fork, and nothing between the two has lost the
         order.

A draft is a value: a row that is refused leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from conveyor.errors import StageTypeError, TopologyError
from conveyor.graph.lane_lengths import check_lengths
from conveyor.graph.row_checks import checked_kind, taken_by
from conveyor.stages import AnyFanIn, AnyStage, Fork, Job, Join, Stage, Zip, name_wanted
from conveyor.stages.timed import is_woken
from conveyor.typecheck.stage_types import misfit, pass_through
from conveyor.typecheck.type_forms import UNKNOWN

__all__ = ["Draft", "Frame", "SubPipeline", "Place", "Port"]


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


@dataclass(frozen=True, slots=True, repr=False)
class SubPipeline:
    """Another pipeline as it stands in a row: a stage of its own stages, which takes one lane and
    gives those that it has open."""

    draft: Draft
    takes: object = UNKNOWN
    name: str | None = None

    def __repr__(self) -> str:
        return (
            f"Pipeline({self.draft})"
            if self.name is None
            else f"Pipeline({self.name!r}: {self.draft})"
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """All rows so far; `written`: as they were given to `add`."""

    strict: bool = False
    places: tuple[Place, ...] = ()
    lanes: tuple[Lane, ...] = (Lane(None, ()),)
    written: tuple[tuple[AnyStage | SubPipeline, ...], ...] = ()

    @property
    def rows(self) -> int:
        return len(self.written)

    def __str__(self) -> str:
        """The stages, row by row, and how many lanes are open if it is not one."""
        rows = list(map(_words, self.written))
        shown = rows if len(rows) <= SHOWN else [*rows[: SHOWN // 2], "...", *rows[-SHOWN // 2 :]]
        return " | ".join(
            [*shown, *([f"{_lanes(len(self.lanes))} open"] if len(self.lanes) > 1 else [])]
        )

    def declare(self, carries: object) -> Draft:
        """The draft, empty as yet, of a pipeline whose items are of this type."""
        return replace(self, lanes=(Lane(None, (), carries),))

    def add(self, stages: Sequence[Stage | SubPipeline]) -> Draft:
        """The draft with one more row; raises `TopologyError` if the row does not fit,
        `StageTypeError` if a type does not."""
        row = self.rows + 1
        stages = checked_row(row, stages)
        if not self.places:
            self.check_beginning(beginning_of(stages[0]))
        widths = [1 if isinstance(stage, SubPipeline) else taken_by(stage) for stage in stages]
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
            taken, where = self.lanes[at : at + width], f"row {row}, lane {at + 1}"
            draft, opened = (
                draft.put_part(stage, where, taken[0])
                if isinstance(stage, SubPipeline)
                else draft.put(stage, where, taken, name_wanted(stage))
            )
            lanes += opened
            at += width
        return replace(draft, lanes=tuple(lanes), written=(*self.written, tuple(stages)))

    def put_part(self, part: SubPipeline, where: str, lane: Lane) -> tuple[Draft, list[Lane]]:
        """The draft with all places of another pipeline behind a lane, and the lanes that it leaves
        open."""
        if (refusal := misfit(lane.carries, part.takes)) is not None:
            raise StageTypeError(f"{where}: {part!r} {refusal}")
        if lane.carries is UNKNOWN:
            lane = replace(lane, carries=part.takes)
        draft, before = self, self.prefix_for(part)
        ends: dict[Port | None, Lane] = {None: lane}
        for index, place in enumerate(part.draft.places):
            taken = [ends.pop(source) for source in place.sources]
            inside = f"{where}, in {part!r}, row {place.row}"
            draft, opened = draft.put(place.stage, inside, taken, before + wanted_in(part, place))
            ends |= {Port(index, out): each for out, each in enumerate(opened)}
        return draft, [ends[each.port] for each in part.draft.lanes]

    def prefix_for(self, part: SubPipeline) -> str:
        """What stands before the names of a part's stages: its name, if it has one, with #2, #3 ...
        where that has been taken."""
        if part.name is None:
            return ""
        name, count = part.name, 1
        while any(place.name.startswith(f"{name}/") for place in self.places):
            count += 1
            name = f"{part.name}#{count}"
        return f"{name}/"

    def check_beginning(self, stage: AnyStage | Relay) -> None:
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
        self, stage: AnyStage | Relay, where: str, lanes: Sequence[Lane], wanted: str
    ) -> tuple[Draft, list[Lane]]:
        """The draft with one more place, and the lanes that it opens."""
        assert not isinstance(stage, Relay)
        index = len(self.places)
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
        place = Place(
            stage,
            free(wanted, {place.name for place in self.places}),
            self.rows + 1,
            tuple(lane.port for lane in lanes),
            frames,
            undoes,
        )
        draft = replace(self, places=(*self.places, place))
        if not isinstance(stage, Fork):
            return draft, [Lane(Port(index, 0), frames, passage.gives)]
        carried = passage.lanes or (passage.gives,) * (stage.n or 1)
        return draft, [
            Lane(Port(index, out), (*frames, Frame(index, out)), carries)
            for out, carries in enumerate(carried)
        ]

    def after_adaptive(self, join: Join[Any], where: str, lane: Lane) -> tuple[Frames, int | None]:
        """The frames behind a `Join()`."""
        if not lane.frames or not self.is_adaptive(lane.frames[-1].fork):
            inner = (
                f"; join the lanes of {self.places[lane.frames[-1].fork].name!r} first"
                if lane.frames
                else ""
            )
            raise TopologyError(
                f"{where}: {join!r} without a number closes the lanes of a fork without one, and "
                f"this lane is not one of them{inner or '; say how many lanes it takes: Join(n)'}"
            )
        fork = lane.frames[-1]
        outer = lane.frames[:-1]
        if join.ordered:
            self.check_order_kept(join, where, [lane])
            return outer, fork.fork
        return tuple(replace(frame, scrambled=True) for frame in outer), None

    def after_join(
        self, join: AnyFanIn, where: str, lanes: Sequence[Lane]
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
                    "a fork without a number, whose lanes end only at a Join() of their own; put a "
                    "Join() before it"
                )
        if isinstance(join, Join) and join.ordered:
            return lanes[0].frames[:-1], self.check_order_kept(join, where, lanes)
        if isinstance(join, Zip):
            check_lengths(self.places, join, where, [lane.port for lane in lanes])
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


def checked_row(row: int, stages: Sequence[object]) -> list[AnyStage | SubPipeline]:
    """The stages of a row; raises `TopologyError` for anything that no graph can be built of."""
    if not stages:
        raise TopologyError(f"row {row}: add() was given no stage")
    checked: list[AnyStage | SubPipeline] = []
    for lane, stage in enumerate(stages, 1):
        if not isinstance(stage, SubPipeline):
            stage = checked_kind(stage, f"row {row}, lane {lane}")
        elif not stage.draft.places:
            raise TopologyError(
                f"row {row}, lane {lane}: the pipeline that is added has no stage yet; a Pipe() "
                "leaves a lane as it is"
            )
        checked.append(stage)
    return checked


def beginning_of(stage: AnyStage | SubPipeline) -> AnyStage | Relay:
    """The stage that comes first; of a pipeline, its own first."""
    return stage.draft.places[0].stage if isinstance(stage, SubPipeline) else stage


def wanted_in(part: SubPipeline, place: Place) -> str:
    """What a place of a part is to be called, behind the name of the part: as it is there; without
    such a name, as if it had been put in the place of the part."""
    wanted = name_wanted(place.stage)
    is_numbered = place.name.startswith(f"{wanted}#")
    return wanted if part.name is None and is_numbered else place.name


def free(wanted: str, taken: Set[str]) -> str:
    """A name, with #2, #3 ... where it has been taken."""
    if wanted not in taken:
        return wanted
    count = 2
    while f"{wanted}#{count}" in taken:
        count += 1
    return f"{wanted}#{count}"


def _common(frames: Sequence[Frames]) -> Frames:
    shared: list[Frame] = []
    for level in zip(*frames, strict=False):
        if len({(frame.fork, frame.lane) for frame in level}) > 1:
            break
        shared.append(level[0])
    return tuple(shared)


def _words(stages: Sequence[object]) -> str:
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
