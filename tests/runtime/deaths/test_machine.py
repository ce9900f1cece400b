"""Everything dies at a step of the protocol of checkpoints, and the run goes on: the hammer in a
short form; all of it: `make chaos CHAOS='--only machine'`."""

from __future__ import annotations

import pytest

from tests.chaos.machine import SINKS, STEPS, TOPOLOGIES, Losses, Topology, lives
from tests.helpers import PROVE

SHORT = [*STEPS] if PROVE else [*STEPS][1::2]


@pytest.mark.parametrize("step", SHORT)
def test_a_run_that_is_killed_as_a_whole_at_a_step_of_its_checkpoint_goes_on(step: str) -> None:
    number = [*STEPS].index(step)
    topology = [*TOPOLOGIES][number % len(TOPOLOGIES)]
    sinks = [name for name, sink in SINKS.items() if sink.fits(TOPOLOGIES[topology])]

    losses = lives(topology, sinks[number % len(sinks)], 1, seed=0, only=step, n_items=100)

    assert not losses.wrong
    assert losses.kills == 1


def with_another_b(items: list[str]) -> list[str]:
    return [*items, "b"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["a", "b", "b"], Losses()),
        (["a", "b"], Losses(lost=1)),
        (["a", "b", "b", "b"], Losses(repeated=1)),
        (["b", "a", "b"], Losses(disorder=1)),
        (["a", "b", "c"], Losses(lost=1, repeated=1)),
    ],
)
def test_the_verifier_sees_what_is_lost_repeated_or_out_of_order(
    said: list[str], found: Losses
) -> None:
    losses = Losses()
    losses.compare(Topology(str, with_another_b), said, ["a", "b"], "here")

    assert bool(losses.wrong) == (found != Losses())
    losses.wrong.clear()
    assert losses == found
