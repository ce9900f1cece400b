"""What Conveyor does from the command line.

Knows: the commands.  Must never know: how any of them is done.

    python -m conveyor conform DIR     replays every recording under DIR in the simulator
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conveyor.conform import conform

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m conveyor")
    commands = parser.add_subparsers(dest="command", required=True)
    replays = commands.add_parser(
        "conform", help="replay every recording (*.cvd) under a directory in the simulator"
    )
    replays.add_argument("directory", type=Path, help="a directory, or a single recording")
    asked = parser.parse_args(arguments)
    sys.path.insert(0, "")  # where the modules of recorded pipelines are
    return conform(asked.directory)


if __name__ == "__main__":
    sys.exit(main())
