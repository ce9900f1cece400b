"""`run`: a pipeline as a filter of Unix, lines in and results out."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Protocol

from conveyor._builder.drafting import fail_by
from conveyor.cli.exits import DONE, WRONG_CALL, CommandFailed
from conveyor.cli.items import KINDS, items_of, written
from conveyor.cli.loading import pipeline_of
from conveyor.items.short_repr import message_of
from conveyor.report import DeadLetter, Report
from conveyor.stages.stage import ON_ERROR

__all__ = ["input_words", "run", "run_words"]


def input_words(parser: ArgumentParser) -> None:
    """The words of every command that takes items."""
    parser.add_argument("pipeline", help="module:name")
    parser.add_argument("files", nargs="*", help="where the items are; standard input without any")
    parser.add_argument("--input", choices=sorted(KINDS), default="lines", help="what a file holds")
    parser.add_argument(
        "--csv", dest="input", action="store_const", const="csv", help="as --input csv"
    )


def run_words(parser: ArgumentParser) -> None:
    input_words(parser)
    parser.add_argument("--record", metavar="FILE", help="keeps a recording of the run")
    parser.add_argument("--trace", metavar="FILE", help="writes trace events, for Perfetto")
    parser.add_argument(
        "--on-error",
        choices=ON_ERROR,
        help="what becomes of an item that fails, in each stage that does not say so itself",
    )
    parser.add_argument("--progress", action="store_true", help="says how far it has come")
    parser.add_argument(
        "--monitor", metavar="HOST:PORT", help="serves a page of the run; 127.0.0.1:0: any port"
    )


def run(asked: Namespace) -> int:
    """Runs a pipeline; a result is written as soon as it is there."""
    pipeline = pipeline_of(asked.pipeline)
    items = items_of(asked.files, asked.input)
    if asked.on_error is not None:
        fail_by(pipeline, asked.on_error)
    options = {
        "record": asked.record,
        "trace": asked.trace,
        "progress": asked.progress,
        "monitor": asked.monitor,
    }
    try:
        results = pipeline.stream(items, **options)
    except (ValueError, OSError) as error:  # where it is to be recorded or seen cannot be had
        raise CommandFailed(str(error), WRONG_CALL) from error
    with results:
        for result in results:
            written(result, asked.json)
            sys.stdout.flush()
    if asked.on_error is not None:
        tell_of_failures(results)
    return DONE


class Results(Protocol):
    """What a stream tells of its run."""

    @property
    def report(self) -> Report: ...
    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]: ...


def tell_of_failures(results: Results) -> None:
    """Says on standard error which items were given up, and how many were skipped."""
    for letter in results.dead_letters:
        error = f"{type(letter.exception).__name__}: {message_of(letter.exception)}"
        print(f"conveyor: {letter.stage}, item {letter.ordinal}: {error}", file=sys.stderr)
    for stage in results.report.stages.values():
        if stage.skipped:
            items = "1 item" if stage.skipped == 1 else f"{stage.skipped:,} items"
            print(f"conveyor: {stage.name} skipped {items}", file=sys.stderr)
