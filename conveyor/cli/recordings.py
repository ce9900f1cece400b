"""`conform` and `trace`: what real runs left in files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from conveyor.cli.exits import DONE, FAILED, UNKNOWN, WRONG_CALL, CommandFailed
from conveyor.cli.items import as_document
from conveyor.cli.loading import find_modules_here, told
from conveyor.conform import conform as conformed
from conveyor.conform import verdicts
from conveyor.errors import ScheduleMismatch
from conveyor.items.main_module import standing_in
from conveyor.recording.reader import Recording
from conveyor.reporting.trace_html import picture
from conveyor.sim.search.from_recording import followed

__all__ = ["conform", "conform_words", "trace", "trace_words"]


def conform_words(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="a directory, or a single recording")


def conform(asked: Namespace) -> int:
    """Replays every recording under a directory in the simulator."""
    find_modules_here()
    if not asked.json or not asked.directory.exists():
        return conformed(asked.directory)
    differences = 0
    for verdict in verdicts(asked.directory):
        differences += bool(verdict.difference)
        print(as_document({"path": str(verdict.path), "difference": verdict.difference}))
    return FAILED if differences else DONE


def trace_words(parser: ArgumentParser) -> None:
    parser.add_argument("recording", type=Path, help="a file that record= has made")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="what is to be written: a page of HTML, or trace events for Perfetto (.json)",
    )


def trace(asked: Namespace) -> int:
    """Tells what happened in a recorded run, step by step."""
    path: Path = asked.recording
    try:
        recording = Recording.read(path.read_bytes(), path.name)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", WRONG_CALL) from error
    except ScheduleMismatch as error:
        raise CommandFailed(str(error), UNKNOWN) from error
    find_modules_here()
    with standing_in(recording.definitions()):
        with told(str(path), "cannot be loaded here"):
            topology, items = recording.topology(), recording.items
        if topology is None or items is None:
            raise CommandFailed(
                f"{path}: its pipeline or its items were too large to be kept: replay it in the "
                f"program that recorded it: print(pl.replay(items, {path.name!r}).trace)",
                UNKNOWN,
            )
        simulator, attempt = followed(topology, items, recording)
        seen = simulator.traced(attempt)[1]
        if asked.output is not None and asked.output.suffix == ".json":
            asked.output.write_text(seen.to_json(), encoding="utf-8")
        elif asked.output is not None:
            facts = {"recording": path.name, "schedule": str(attempt.schedule())}
            asked.output.write_text(picture(seen, topology, facts), encoding="utf-8")
        elif asked.json:
            for event in seen:
                print(as_document(event._asdict() | {"what": event.what.value}))
        else:
            print(seen)
    return DONE
