"""What a run tells about itself.

Knows: the counts and times of each stage, and how to print them.  Must never know: how they are
gathered.

For every processor, always: items_in == passed + dropped + skipped + dead_lettered + failed +
fork_failed (+ in_hand on a run that failed), and items_out == passed + flushed.  But a FlatMap
gives any number of outputs an item, so its items_out is another number, and fork_failed counts
outputs of items that passed; and what `finish` gives comes of no item, also where the fork fails on
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Final, Generic

from typing_extensions import TypeVar

from conveyor.drawing.figure import Box, Figure, Shape

__all__ = ["COUNTS", "DeadLetter", "Report", "RunResult", "StageReport", "Tally"]

Out = TypeVar("Out")


@dataclass(slots=True)
class Tally:
    """What became of the items of one stage so far; the node counts, everyone else reads."""

    items_in: int = 0
    items_out: int = 0
    passed: int = 0
    dropped: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    flushed: int = 0
    # Outputs of items, and of `finish`, on which the fork behind the stage failed; they are counted
    # above as if they had gone on.
    fork_failed: int = 0
    fork_failed_at_end: int = 0

    @property
    def in_hand(self) -> int:
        return self.items_in - self.done

    @property
    def done(self) -> int:
        return self.passed + self.dropped + self.skipped + self.dead_lettered + self.failed

    def counts(self) -> tuple[int, ...]:
        """All of them, in the order of the fields."""
        return (
            self.items_in,
            self.items_out,
            self.passed,
            self.dropped,
            self.skipped,
            self.dead_lettered,
            self.failed,
            self.flushed,
            self.fork_failed,
            self.fork_failed_at_end,
        )

    def set(self, counts: Sequence[int]) -> None:
        """Back to `counts`, and what is in hand there; what a fork has counted since stays."""
        of_fork = self.fork_failed, self.fork_failed_at_end
        self.restore(counts)
        self.items_in = counts[0]
        self.fork_failed, self.fork_failed_at_end = of_fork

    def restore(self, counts: Sequence[int]) -> None:
        """Goes on from `counts`, with nothing in hand."""
        (
            _,
            self.items_out,
            self.passed,
            self.dropped,
            self.skipped,
            self.dead_lettered,
            self.failed,
            self.flushed,
            self.fork_failed,
            self.fork_failed_at_end,
        ) = counts
        self.items_in = self.done


COUNTS: Final = len(fields(Tally))
SETS_THE_PACE: Final = 0.7  # of the time


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of one run.  Times are seconds.

    `passed` inputs gave at least one output; `dropped` gave none; on `fork_failed` outputs the
    function of the fork behind the stage failed, and they are counted nowhere else; `flushed`
    outputs came of `finish`; `left_over` items a zip could not pair.  `busy_s` is time in the job,
    `waiting_s` for input, `blocked_s` for room behind the stage.  `side_by_side` is how many items
    were in hand at once, on average, while any was, of a stage with `concurrency`.  The worker was
    kept on so many `cores`, 0 if it was left to the system; `core` is which, if it was one.  On an
    engine of several machines `node` is the name of the one that the worker is on.
    """

    name: str
    kind: str
    items_in: int = 0
    items_out: int = 0
    passed: int = 0
    dropped: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    fork_failed: int = 0
    flushed: int = 0
    left_over: int = 0
    in_hand: int = 0
    busy_s: float = 0.0
    waiting_s: float = 0.0
    blocked_s: float = 0.0
    batches: int = 0
    side_by_side: float = 0.0
    restarts: int = 0
    pid: int | None = None
    core: int | None = None
    cores: int = 0
    node: str | None = None


COLUMNS: Final = (
    "items_in items_out passed dropped skipped dead_lettered failed fork_failed flushed left_over "
    "in_hand "
    "busy_s waiting_s blocked_s batches side_by_side restarts pid core cores node"
).split()
# What makes sense as a sum over all stages.
ADDED: Final = frozenset(
    "dropped skipped dead_lettered failed busy_s waiting_s blocked_s restarts".split()
)
ALWAYS: Final = frozenset(
    {"items_in", "items_out", "passed", "dropped", "busy_s", "waiting_s", "blocked_s", "batches"}
)


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """How a run went; `print(report)` is a table.

    stages: a `StageReport` for each, by name, in the order in which they were added; seconds: how
    long the run took; notes: what else is to be told, such as who shares a worker, and why.
    """

    stages: Mapping[str, StageReport] = field(default_factory=dict[str, StageReport])
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    figure: Figure = field(default=Figure(), repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """Where the time went, in one sentence: which stage set the pace, and what to do; empty
        where no time was measured."""
        lanes = lanes_of(self.stages.values())
        at_work = sum(stage.busy_s for stage in self.stages.values())
        if not self.seconds or not at_work:
            return ""
        shares = {
            name: mean_of(stage.busy_s for stage in group) / self.seconds
            for name, group in lanes.items()
        }
        name = max(shares, key=shares.__getitem__)
        how = what_to_do(lanes, name, shares[name], self.seconds)
        return (
            f"{name} is busy {shares[name]:.0%} of the time, {how}; "
            f"{at_work / self.seconds:.1f} jobs were at work at once, on average"
        )

    def to_dict(self) -> dict[str, object]:
        """The report as plain data, named as the attributes are.

        >>> Report({"f": StageReport("f", "Processor")}, 2.0).to_dict()["seconds"]
        2.0
        """
        return {
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
            "seconds": self.seconds,
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """The report as one line of JSON."""
        import json  # here and below: a worker imports this file, and needs none of these

        return json.dumps(self.to_dict())

    def picture(self) -> str:
        """The graph of the pipeline as SVG, each stage with what it did; the busiest stands out."""
        from conveyor.drawing.svg import svg

        return svg(Figure([*map(self._told, self.figure.boxes)], self.figure.arrows))

    def _told(self, box: Box) -> Box:
        """A box of the graph with the figures of its stage, if it is one of this report."""
        stage = self.stages.get(box.name)
        if stage is None or box.shape is Shape.END:
            return box
        share = stage.busy_s / self.seconds if self.seconds else 0.0
        counts = {
            "skipped": stage.skipped,
            "dead letters": stage.dead_lettered,
            "failed": stage.failed,
            "restarts": stage.restarts,
        }
        lines = [f"{stage.items_in:,} in, {stage.items_out:,} out"]
        lines += [f"busy {share:.0%}"] if stage.busy_s else []
        lines += [f"{count:,} {word}" for word, count in counts.items() if count]
        lines += [f"on {stage.node}"] if stage.node is not None else []
        return box._replace(lines=tuple(lines), heat=share)

    def _repr_html_(self) -> str:
        from html import escape

        head, *rows = self._table()
        cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        drawn = self.picture() if self.figure.boxes else ""
        below = "".join(f"<p>{escape(line)}</p>" for line in self._below())
        return f"<div>{drawn}<table><tr>{cells}</tr>{body}</table>{below}</div>"

    def __repr__(self) -> str:
        stages = (
            f"{stage.name} {stage.items_in} in, {stage.items_out} out"
            for stage in self.stages.values()
        )
        return f"Report({'; '.join([f'{self.seconds:.3f} s', *stages])})"

    def __str__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in table
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, *self._below()])

    def _table(self) -> list[list[str]]:
        """The head of the table, a row for each stage, and, if there are several, what can be added
        up of them."""
        rows = list(self.stages.values())
        shown = [c for c in COLUMNS if c in ALWAYS or any(map(partial(_says, c), rows))]
        table = [["stage", *(c.removesuffix("_s") for c in shown)]]
        table += [[row.name, *(_cell(c, getattr(row, c)) for c in shown)] for row in rows]
        if len(rows) > 1:
            sums = [sum(getattr(row, c) for row in rows) if c in ADDED else None for c in shown]
            table.append(
                [
                    "total",
                    *("" if n is None else _cell(c, n) for c, n in zip(shown, sums, strict=True)),
                ]
            )
        return table

    def _below(self) -> list[str]:
        """What stands below the table."""
        lines = [f"{self.seconds:.3f} s in all; times in seconds", self.verdict, *self.notes]
        return [line for line in lines if line]


def mean_of(seconds: Iterable[float]) -> float:
    values = [*seconds]
    return sum(values) / len(values)


def lanes_of(stages: Iterable[StageReport]) -> dict[str, list[StageReport]]:
    """The stages by name, those of several lanes together."""
    lanes: dict[str, list[StageReport]] = {}
    for stage in stages:
        lanes.setdefault(without_lanes(stage.name), []).append(stage)
    return lanes


def without_lanes(name: str) -> str:
    """The name of a stage as it was written.

    >>> without_lanes("parse/1/0"), without_lanes("clean/parse")
    ('parse', 'clean/parse')
    """
    before, slash, lane = name.rpartition("/")
    return without_lanes(before) if slash and lane.isdigit() else name


def what_to_do(
    lanes: Mapping[str, Sequence[StageReport]], busiest: str, share: float, seconds: float
) -> str:
    """What sets the pace, and what would help: the busiest stage, or what is outside."""
    if share >= SETS_THE_PACE:
        in_hand = mean_of(stage.side_by_side for stage in lanes[busiest])
        if in_hand:  # it waits, mostly, and more of its items could do so at once
            return (
                f"with {in_hand:.0f} items in hand on average, and sets the pace: more concurrency "
                "would help, if what it waits for can take more at once"
            )
        more = "balance it over more lanes" if len(lanes[busiest]) == 1 else "more lanes would help"
        return f"and sets the pace: {more}, if cores idle"
    first, *_, last = [*lanes.values()] * 2
    waiting = mean_of(stage.waiting_s for stage in first) / seconds
    blocked = mean_of(stage.blocked_s for stage in last) / seconds
    if max(waiting, blocked) < SETS_THE_PACE:
        return "and no stage more"
    pace = "the source sets" if waiting >= blocked else "the reader of the results sets"
    return f"and no stage more: {pace} the pace"


def _says(column: str, row: StageReport) -> bool:
    """Is there anything in this column to read?"""
    value = getattr(row, column)
    return (
        value is not None if column == "core" else value > 1 if column == "cores" else bool(value)
    )


def _cell(column: str, value: float | str | None) -> str:
    if value is None:
        return "-"
    if column == "side_by_side":
        return f"{value:.1f}"
    return f"{value:.3f}" if column.endswith("_s") else str(value)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that its stage gave up on, as `on_error="dead_letter"` says.

    stage: the name of the stage, or of the fork; ordinal: which of its inputs it was, from 0; item:
    as it came; exception: what the last of so many `attempts` raised, with its traceback.
    """

    stage: str
    ordinal: int
    item: object
    exception: BaseException
    attempts: int


class RunResult(list[Out], Generic[Out]):
    """The outputs of a run, a list, in order; `.report` tells how it went, a `Report`, and
    `.dead_letters` which items were given up, a tuple of `DeadLetter`, by stage and ordinal."""

    def __init__(
        self,
        items: Iterable[Out] = (),
        report: Report | None = None,
        dead_letters: Iterable[DeadLetter] = (),
    ) -> None:
        super().__init__(items)
        self.report: Report = report if report is not None else Report()
        self.dead_letters: tuple[DeadLetter, ...] = tuple(dead_letters)

    if TYPE_CHECKING:
        # A list's, which checkers take to be of lists of the same class only.
        def __eq__(self, other: object, /) -> bool: ...
