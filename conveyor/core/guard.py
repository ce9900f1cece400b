"""An attempt at an item that fails leaves the state of its stage as it was.

Knows: when an attempt has failed, be it that only its outputs cannot be sent.  Must never know: how
a stage goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from conveyor.core.job_node import JobNode
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Seal, Sealed
from conveyor.stages import Gives, StateJob

__all__ = ["guard", "sealing_the_rest"]


def guard(node: JobNode, stage: StateJob[object, object], gives: Gives) -> None:
    """Puts the stage back where an attempt at an item fails.

    All that comes of an item is made safe before any of it is given: what is out cannot be taken
    back.
    """
    job, seal = node.job, node.seal

    def safe(result: object) -> object:
        return result if is_atom(result) else seal(result)

    def all_safe(results: object) -> object:
        return [safe(result) for result in cast("Iterable[object]", results)]

    node.wrap(going_back(stage, job, all_safe if gives is Gives.EACH else safe))
    node.seal = sealing_the_rest(seal)


def going_back(
    stage: StateJob[object, object],
    job: Callable[[object], object],
    safe: Callable[[object], object],
) -> Callable[[object], object]:
    def attempt(item: object) -> object:
        try:
            return safe(job(item))
        except BaseException:
            stage._go_back()  # pyright: ignore[reportPrivateUsage]  # no user goes back
            raise

    return attempt


def sealing_the_rest(seal: Seal) -> Seal:
    return lambda result: result if isinstance(result, Sealed) else seal(result)
