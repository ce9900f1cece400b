"""What `top` shows on a terminal, drawn by `rich`."""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from conveyor.cli.events import News
from conveyor.cli.status_text import (
    STAGE_HEAD,
    WORKER_HEAD,
    cells_of,
    figures_of,
    heading,
    remarks_of,
    trouble,
)
from conveyor.monitor.status import FailureStatus, StageStatus, Status

__all__ = ["RichScreen", "drawn"]

COLOURS: Final = {
    "working": "blue",
    "blocked": "yellow",
    "restarting": "red",
    "done": "green",
    "closed": "dim",
}
ENDS: Final = {"done": "bold green", "failed": "bold red", "stopped": "bold yellow"}
CELLS: Final = 16  # of a bar of shares


class RichScreen:
    """Tables that are drawn anew with each status, and stay when the run is over."""

    def __init__(self, console: Console | None = None) -> None:
        self.live = Live(console=console or Console(), auto_refresh=False)
        self.live.start()

    def show(self, news: News) -> None:
        self.live.update(drawn(news), refresh=True)

    def end(self) -> None:
        self.live.stop()


def drawn(news: News) -> RenderableType:
    """All that a monitor tells, as far as there is room: failures come last."""
    status = news.status
    if status is None:
        return Text(heading(news))
    parts: list[RenderableType] = [
        Text(heading(news), style=ENDS.get(status["ended"] or "", "bold"))
    ]
    if status["total"]:
        parts.append(ProgressBar(total=status["total"], completed=status["done"], width=60))
    parts += [Text(), stage_table(status), Text(), worker_table(status)]
    if status["failures"]:
        parts += [Text(), *map(trouble_line, status["failures"][::-1])]
    return Group(*parts)


def trouble_line(failure: FailureStatus) -> Text:
    return Text(trouble(failure), style="red", no_wrap=True, overflow="ellipsis")


def stage_table(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in STAGE_HEAD[:2]:
        table.add_column(head)
    for head in STAGE_HEAD[2:6]:
        table.add_column(head, justify="right")
    table.add_column("time")
    table.add_column("")
    for stage in status["stages"]:
        name, state, *counts = figures_of(stage)[:6]
        is_slowest = stage["name"] == status["slowest"]
        table.add_row(
            Text(name, style="bold" if is_slowest else ""),
            Text(state, style=COLOURS.get(state, "")),
            *counts,
            bar(stage),
            remarks_of(stage),
        )
    return table


def bar(stage: StageStatus) -> Text:
    """How a stage spends its time: at work, blocked, and the rest waiting."""
    busy = round(CELLS * stage["busy"])
    blocked = min(CELLS - busy, round(CELLS * stage["blocked"]))
    return Text.assemble(
        ("━" * busy, "blue"),
        ("━" * blocked, "yellow"),
        ("━" * (CELLS - busy - blocked), "bright_black"),
    )


def worker_table(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, head in enumerate(WORKER_HEAD):
        table.add_column(head, justify="left" if number < 2 else "right")
    for worker in status["workers"]:
        title, state, *more = cells_of(worker)
        table.add_row(title, Text(state, style=COLOURS.get(state, "")), *more)
    return table
