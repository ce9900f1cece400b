"""Progress on a terminal or in a notebook, drawn by `rich`: a line a stage."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from conveyor.progress import Progress, StageProgress

__all__ = ["NotebookTable", "ProgressTable", "drawn"]

WIDTH: Final = 100  # characters, of a table in a notebook


class ProgressTable:
    """A table that is drawn anew with each call, and stays when the run is over."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.live = Live(console=console, auto_refresh=False)
        self.is_shown = False

    def __call__(self, progress: Progress) -> None:
        if not self.is_shown:
            self.live.start()
            self.is_shown = True
        self.live.update(drawn(progress), refresh=True)
        if progress.finished:
            self.live.stop()


class DisplayHandle(Protocol):
    """An output of a cell that may change."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> object: ...


class NotebookTable:
    """The same table as an output of the cell, which changes with each call.

    It is text: what `rich` shows in a notebook by itself needs widgets, and warns without them.
    """

    def __init__(self) -> None:
        self.handle: DisplayHandle | None = None

    def __call__(self, progress: Progress) -> None:
        file = io.StringIO()
        Console(file=file, width=WIDTH, force_terminal=False, force_jupyter=False).print(
            drawn(progress)
        )
        bundle = {"text/plain": file.getvalue()}
        if self.handle is None:
            display = import_module("IPython.display").display
            self.handle = display(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)


def drawn(progress: Progress) -> RenderableType:
    """A table of all stages, and below it how far the run has come."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage")
    for head in ("in", "out", "busy", "waiting", "blocked", "queued", ""):
        table.add_column(head, justify="right")
    slowest = progress.slowest
    for stage in progress.stages.values():
        is_slowest = slowest is not None and stage.name == slowest.name
        table.add_row(
            stage.name,
            f"{stage.items_in:,}",
            f"{stage.items_out:,}",
            f"{stage.busy:.0%}",
            f"{stage.waiting:.0%}",
            f"{stage.blocked:.0%}",
            f"{stage.queued:,}",
            remarks(stage),
            style="bold yellow" if is_slowest else None,
        )
    return Group(table, *below(progress))


def below(progress: Progress) -> list[RenderableType]:
    words = [f"{progress.done:,}"]
    if progress.total is not None:
        words.append(f"of {progress.total:,}")
    words.append(f"done, {progress.rate:,.0f}/s, {progress.elapsed_s:.1f} s")
    if progress.remaining_s is not None and not progress.finished:
        words.append(f"({progress.remaining_s:.0f} s left)")
    lines: list[RenderableType] = [Text(" ".join(words))]
    if progress.total:
        lines.append(ProgressBar(total=progress.total, completed=progress.done, width=60))
    return lines


def remarks(stage: StageProgress) -> str:
    counts = {
        "skipped": stage.skipped,
        "dead letters": stage.dead_lettered,
        "failed": stage.failed,
        "restarts": stage.restarts,
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
