"""The commands, their words, and how each of them ends."""

from __future__ import annotations

import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Final, NamedTuple

from conveyor.cli.checkpoints import checkpoint, checkpoint_words
from conveyor.cli.doctor import doctor
from conveyor.cli.exits import CLOSED_PIPE, DONE, FAILED, INTERRUPTED, WRONG_CALL, CommandFailed
from conveyor.cli.graphs import check, check_words, draw, draw_words
from conveyor.cli.items import open_stream
from conveyor.cli.recordings import conform, conform_words, trace, trace_words
from conveyor.cli.running import input_words, run, run_words
from conveyor.cli.simulating import (
    count,
    explore,
    explore_words,
    replay,
    replay_words,
    simulate,
    simulate_words,
)
from conveyor.cli.top import top, top_words

__all__ = ["main"]


class Command(NamedTuple):
    """What a command does, and the words that it takes."""

    do: Callable[[Namespace], int]
    words: Callable[[ArgumentParser], None] = lambda parser: None


COMMANDS: Final = {
    "doctor": Command(doctor),
    "check": Command(check, check_words),
    "draw": Command(draw, draw_words),
    "run": Command(run, run_words),
    "simulate": Command(simulate, simulate_words),
    "explore": Command(explore, explore_words),
    "replay": Command(replay, replay_words),
    "count": Command(count, input_words),
    "conform": Command(conform, conform_words),
    "trace": Command(trace, trace_words),
    "checkpoint": Command(checkpoint, checkpoint_words),
    "top": Command(top, top_words),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives the exit code.

    0: done; 1: the pipeline failed, or a check found something; 2: the call is wrong; 3: what is
    named cannot be loaded; 130 and 141: ended by Ctrl-C, or as nobody reads the output any more.
    """
    name, *words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return DONE
    command = COMMANDS.get(name)
    if command is None:
        print(f"conveyor: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        return WRONG_CALL
    parser = ArgumentParser(prog=f"conveyor {name}", description=command.do.__doc__)
    command.words(parser)
    parser.add_argument("--json", action="store_true", help="writes one JSON document a line")
    # Options may stand before, between and behind the files.
    return ended(command, parser.parse_intermixed_args(words))


def usage() -> str:
    width = max(map(len, COMMANDS))
    does = [
        f"  {name:{width}}  {(command.do.__doc__ or '').strip()}"
        for name, command in COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: conveyor COMMAND ...",
            "",
            *does,
            "",
            "Pipelines are named module:name; conveyor COMMAND --help says more.",
        ]
    )


def ended(command: Command, asked: Namespace) -> int:
    """Does a command; an error is told on stderr, without the frames of this library."""
    try:
        output = open_stream(sys.stdout, "output")
        code = command.do(asked)
        output.flush()
    except CommandFailed as failed:
        print(f"conveyor: {failed}", file=sys.stderr)
        return failed.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more as it ends, and must not fail at that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception as error:
        print("".join(traceback.format_exception_only(error)), end="", file=sys.stderr)
        return FAILED
    return code
