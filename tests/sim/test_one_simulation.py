"""One simulated run: what no search over schedules looks at."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor import BalancingFork, Join, Processor
from tests.jobs import BadSetup, LastWord, Refused, Total, same
from tests.sim.parts import built


def test_lanes_that_an_adapting_fork_never_opens_say_nothing_at_the_end() -> None:
    pl = built([BalancingFork(max_lanes=3)], [Total()], [Join()])
    found = pl.explore([1, 2, 4], strategy="exhaustive", schedules=10_000)

    assert found.complete
    assert {len(totals) for totals in found.outputs} == {1, 2, 3}
    assert {sum(totals) for totals in found.outputs} == {7}


@pytest.mark.parametrize("seed", range(5))
def test_every_lane_that_is_open_says_its_last_words(seed: int) -> None:
    pl: Any = built([BalancingFork(max_lanes=2)], [LastWord("lane")], [Join()])
    said = list(pl.simulate([1, 2], seed=seed))

    assert sorted(word for word in said if word[1] > 0) == [("lane", 1), ("lane", 2)]
    assert said.count(("lane", -1)) == said.count(("lane", -2)) in (1, 2)


def test_a_setup_that_raises_ends_the_run() -> None:
    pl = built([Processor(same)], [BadSetup()], [Processor(same)])

    with pytest.raises(Refused, match="setup"):
        pl.simulate(["a", "b"])
