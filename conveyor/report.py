"""What a run tells about itself.

Knows: the counts and times of each stage, and how to print them.  Must never know: how they are
gathered.

For every processor, always: items_in == passed + dropped + skipped + dead_lettered + failed (+
in_hand on a run that failed), and items_out == passed + flushed (but for FlatMap, whose inputs give
any number of outputs).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Generic

from typing_extensions import TypeVar

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
        )

    def set(self, counts: Sequence[int]) -> None:
        """Back to `counts`, and what is in hand there."""
        self.restore(counts)
        self.items_in = counts[0]

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
        ) = counts
        self.items_in = self.done


COUNTS: Final = len(fields(Tally))


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of one run.  Times are seconds.

    `passed` inputs gave at least one output; `dropped` gave none; `flushed` outputs came of
    `finish`; `left_over` items a zip could not pair.  `busy_s` is time in the job, `waiting_s` for
    input, `blocked_s` for room behind the stage.
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
    flushed: int = 0
    left_over: int = 0
    in_hand: int = 0
    busy_s: float = 0.0
    waiting_s: float = 0.0
    blocked_s: float = 0.0
    batches: int = 0
    restarts: int = 0
    pid: int | None = None
    core: int | None = None


COLUMNS: Final = (
    "items_in items_out passed dropped skipped dead_lettered failed flushed left_over in_hand "
    "busy_s waiting_s blocked_s batches restarts pid core"
).split()
ALWAYS: Final = frozenset(
    {"items_in", "items_out", "passed", "dropped", "busy_s", "waiting_s", "blocked_s", "batches"}
)


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The stages of a run by name, in the order in which they were added; `print(report)` is a
    table."""

    stages: Mapping[str, StageReport] = field(default_factory=dict[str, StageReport])
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        stages = (
            f"{stage.name} {stage.items_in} in, {stage.items_out} out"
            for stage in self.stages.values()
        )
        return f"Report({'; '.join([f'{self.seconds:.3f} s', *stages])})"

    def __str__(self) -> str:
        rows = list(self.stages.values())
        shown = [c for c in COLUMNS if c in ALWAYS or any(getattr(row, c) for row in rows)]
        table = [["stage", *(c.removesuffix("_s") for c in shown)]]
        table += [[row.name, *(_cell(c, getattr(row, c)) for c in shown)] for row in rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in table
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, f"{self.seconds:.3f} s in all; times in seconds", *self.notes])


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if column.endswith("_s") else str(value)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that its stage gave up on, after `attempts` attempts; `ordinal` counts the stage's
    inputs from 0."""

    stage: str
    ordinal: int
    item: object
    exception: BaseException
    attempts: int


class RunResult(list[Out], Generic[Out]):
    """The outputs of a run, in order; `.report` tells how it went, `.dead_letters` which items were
    given up."""

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
