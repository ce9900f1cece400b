"""`check` and `draw`: a pipeline that is built and looked at, and not run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from conveyor.cli.exits import DONE, FAILED, WRONG_CALL, CommandFailed
from conveyor.cli.items import as_document
from conveyor.cli.loading import pipeline_of
from conveyor.errors import TopologyError
from conveyor.graph.topology import Topology

__all__ = ["check", "check_words", "draw", "draw_words"]

LANGUAGES: Final = {
    ".svg": Topology.picture,
    ".mmd": Topology.to_mermaid,
    ".dot": Topology.to_dot,
}


def check_words(parser: ArgumentParser) -> None:
    parser.add_argument("pipeline", help="module:name")


def check(asked: Namespace) -> int:
    """Builds a pipeline as its module does, and prints what it is made of."""
    topology = topology_of(asked.pipeline)
    if asked.json:
        print(as_document({"stages": topology.stages, "channels": topology.channels}))
        return DONE
    print(topology)
    stages = len(topology.stages)
    print(f"{stages} stages, {len(topology.channels)} channels: it can be run")
    return DONE


def draw_words(parser: ArgumentParser) -> None:
    parser.add_argument("pipeline", help="module:name")
    parser.add_argument(
        "-o", "--output", help="a file that ends in .svg, .mmd or .dot; else Mermaid is printed"
    )


def draw(asked: Namespace) -> int:
    """Draws the graph of a pipeline."""
    path = Path(asked.output) if asked.output else None
    language = LANGUAGES.get(".mmd" if path is None else path.suffix)
    if language is None:
        raise CommandFailed(
            f"{asked.output}: the name of a picture ends in {', '.join(LANGUAGES)}", WRONG_CALL
        )
    drawn = language(topology_of(asked.pipeline))
    if path is not None:
        path.write_text(f"{drawn}\n", encoding="utf-8")
    else:
        print(as_document(drawn) if asked.json else drawn)
    return DONE


def topology_of(name: str) -> Topology:
    pipeline = pipeline_of(name)
    try:
        return pipeline.topology
    except TopologyError as error:
        raise CommandFailed(f"{name}: {error}", FAILED) from error
