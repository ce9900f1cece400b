"""`simulate`, `explore`, `replay` and `count`: a pipeline in the simulator."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from conveyor.cli.exits import DONE, FAILED, UNKNOWN, CommandFailed
from conveyor.cli.items import as_document, items_of, written
from conveyor.cli.loading import AnyPipeline, loaded, pipeline_of
from conveyor.cli.running import input_words
from conveyor.sim.search.options import Strategy
from conveyor.sim.search.simulation import Simulation

__all__ = [
    "count",
    "explore",
    "explore_words",
    "replay",
    "replay_words",
    "simulate",
    "simulate_words",
]

Number = TypeVar("Number", int, float)


def simulate_words(parser: ArgumentParser) -> None:
    input_words(parser)
    parser.add_argument("--seed", type=int, default=0, help="chooses the schedule")
    parser.add_argument("--trace", action="store_true", help="prints what happened, step by step")


def simulate(asked: Namespace) -> int:
    """Runs one schedule in the simulator."""
    pipeline, items = asked_for(asked)
    return told(pipeline.simulate(items, seed=asked.seed), asked)


def replay_words(parser: ArgumentParser) -> None:
    input_words(parser)
    parser.add_argument(
        "--schedule", required=True, help="the text of a schedule, or the file of a recording"
    )
    parser.add_argument("--trace", action="store_true", help="prints what happened, step by step")


def replay(asked: Namespace) -> int:
    """Runs a certain schedule in the simulator."""
    pipeline, items = asked_for(asked)
    return told(pipeline.replay(items, asked.schedule), asked)


def asked_for(asked: Namespace) -> tuple[AnyPipeline, list[Any]]:
    """The pipeline and all items; what cannot be loaded is told before any item is waited for."""
    return pipeline_of(asked.pipeline), [*items_of(asked.files, asked.input)]


def told(simulation: Simulation[Any, Any], asked: Namespace) -> int:
    for result in simulation:
        written(result, asked.json)
    print(f"schedule: {simulation.schedule or 'default everywhere'}", file=sys.stderr)
    if asked.trace:
        print(simulation.trace, file=sys.stderr)
    return DONE


def explore_words(parser: ArgumentParser) -> None:
    input_words(parser)
    parser.add_argument("--check", metavar="MODULE:NAME", help="called with each simulation")
    parser.add_argument("--strategy", choices=get_args(Strategy), default="portfolio")
    parser.add_argument(
        "--schedules", type=above_zero(int), default=1000, help="how many at the most"
    )
    parser.add_argument("--seconds", type=above_zero(float), help="how long at the most")
    parser.add_argument("--seed", type=int, default=0)


def above_zero(kind: type[Number]) -> Callable[[str], Number]:
    """What reads a number above zero from a word."""

    def number(word: str) -> Number:
        found = kind(word)
        if not found > 0:
            raise ArgumentTypeError(f"{word} is not above 0")
        return found

    number.__name__ = kind.__name__  # as argparse names it, where the word is no number
    return number


def explore(asked: Namespace) -> int:
    """Runs many schedules, and says which fails."""
    check = check_named(asked.check) if asked.check else None
    pipeline, items = asked_for(asked)
    found = pipeline.explore(
        items,
        check,
        strategy=asked.strategy,
        schedules=asked.schedules,
        seconds=asked.seconds,
        seed=asked.seed,
        progress=True,
    )
    if asked.json:
        failure = found.failure
        print(
            as_document(
                {
                    "schedules": found.schedules,
                    "classes": found.classes,
                    "outputs": len(found.outputs),
                    "complete": found.complete,
                    "unseen": found.unseen,
                    "failure": failure
                    and {"error": repr(failure.error), "schedule": failure.schedule},
                }
            )
        )
    else:
        print(found)
        if found.failure is not None:
            print(found.failure)
    return DONE if found.failure is None else FAILED


def check_named(name: str) -> Callable[[Simulation[Any, Any]], object]:
    check = loaded(name)
    if not callable(check):
        raise CommandFailed(f"{name!r} is no function", UNKNOWN)
    return check


def count(asked: Namespace) -> int:
    """Says how many different schedules there are."""
    pipeline, items = asked_for(asked)
    classes = pipeline.count(items)
    print(as_document(classes) if asked.json else "unknown" if classes is None else classes)
    return DONE
