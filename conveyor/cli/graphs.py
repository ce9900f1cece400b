"""`check` and `draw`: a pipeline that is built and looked at, and not run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from conveyor._builder.drafting import Drafting
from conveyor.cli.exits import DONE, FAILED, WRONG_CALL, CommandFailed
from conveyor.cli.items import as_document
from conveyor.cli.loading import AnyPipeline, pipeline_of
from conveyor.errors import TopologyError
from conveyor.graph.topology import Topology
from conveyor.graph.types_on_lanes import types_of_jobs
from conveyor.typecheck.stage_types import declared_input

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
    pipeline = pipeline_of(asked.pipeline)
    topology = complete(asked.pipeline, pipeline)
    draft = pipeline._draft  # pyright: ignore[reportPrivateUsage]  # two faces of one library
    types = types_of_jobs(draft, declared_input(pipeline, Drafting))
    if asked.json:
        told = {"stages": topology.stages, "channels": topology.channels, "types": types}
        print(as_document(told))
        return DONE
    print(topology)
    for job in types:
        print(f"{job.name}: {job.takes} -> {job.gives}")
    count = len(topology.stages)
    stages = "1 stage" if count == 1 else f"{count} stages"
    print(f"{stages}, {len(topology.channels)} channels: it can be run")
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
        try:
            path.write_text(f"{drawn}\n", encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{path}: {error.strerror}", WRONG_CALL) from error
    else:
        print(as_document(drawn) if asked.json else drawn)
    return DONE


def topology_of(name: str) -> Topology:
    return complete(name, pipeline_of(name))


def complete(name: str, pipeline: AnyPipeline) -> Topology:
    """The topology of a pipeline, unless lanes are open."""
    try:
        return pipeline.topology
    except TopologyError as error:
        raise CommandFailed(f"{name}: {error}", FAILED) from error
