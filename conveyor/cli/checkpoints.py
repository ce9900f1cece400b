"""`checkpoint`: how far a run has come that is kept in a directory."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from conveyor._builder.engine import manifest_told
from conveyor.cli.exits import DONE, FAILED, UNKNOWN, WRONG_CALL, CommandFailed
from conveyor.cli.items import as_document
from conveyor.errors import CheckpointMismatch

if TYPE_CHECKING:
    from conveyor._builder.engine import Told

__all__ = ["checkpoint", "checkpoint_words"]


def checkpoint_words(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="what Checkpoint(...) was given")


def checkpoint(asked: Namespace) -> int:
    """Says how far a run has come that is kept in a directory; unpickles nothing."""
    directory: Path = asked.directory
    try:
        newest = manifest_told(directory)
    except OSError as error:
        raise CommandFailed(f"{directory}: {error.strerror}", WRONG_CALL) from error
    except CheckpointMismatch as error:
        raise CommandFailed(str(error), UNKNOWN) from error
    if newest is None:
        raise CommandFailed(f"{directory}: there is no whole checkpoint in it", UNKNOWN)
    print(as_document(newest._asdict()) if asked.json else shown(newest))
    return DONE if newest.is_whole else FAILED


def shown(kept: Told) -> str:
    """What a manifest says, as text."""
    when = datetime.fromtimestamp(kept.kept_at).astimezone().isoformat(" ", "seconds")
    lines = [
        f"{'finished' if kept.is_finished else 'goes on'} behind epoch {kept.epoch}, kept {when}",
        *([] if kept.is_whole else ["DAMAGED: what goes with the manifest is not what it says"]),
        f"source  {kept.source}",
        f"        read up to {kept.position}",
        f"sink    {kept.sink}",
        f"stages  {', '.join(kept.stages)}",
    ]
    width = max((len(name) for name, _, _ in kept.workers), default=0)
    for name, items, size in kept.workers:
        state = f", a state of {size:,} bytes" if size else ""
        lines.append(f"  {name:{width}}  {items:,} items{state}")
    return "\n".join(lines)
