"""Which channels may be part of a circle of pipes that wait for one another."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from conveyor.graph.circles import blocks, channels_that_count
from tests.core.world import compiled
from tests.sim.topologies import rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", []),
        ("R ab J", []),
        ("R ab O", []),
        ("R ab Z", [0, 1, 2, 3]),
        ("B FF Z", [0, 1, 2, 3]),
        ("S FF Z", [0, 1, 2, 3]),
        ("a R -- Z b", [1, 2]),  # not what comes before the fork, nor what comes behind the zip
        (
            "R ab J R cd Z",
            [4, 5, 6, 7],
        ),  # not those of a diamond beside it: behind its join is a relay
        ("R aR bcd J- Z", [0, 1, 2, 3, 4, 5, 6, 7]),  # but those of one in a lane
    ],
)
def test_only_those_of_a_circle_with_lanes_of_a_zip_count(text: str, expected: list[int]) -> None:
    topology = compiled(*rows(text))
    names = {each.index: topology.nodes[each.producer].name for each in topology.channels}

    assert sorted(channels_that_count(topology)) == expected, names


@pytest.mark.parametrize("seed", range(200))
def test_a_block_holds_what_is_on_a_circle_together(seed: int) -> None:
    random = Random(seed)
    ends = [tuple(random.sample(range(6), 2)) for _ in range(random.randint(1, 8))]
    neighbours: dict[int, list[tuple[int, int]]] = {node: [] for node in range(6)}
    for channel, (one, other) in enumerate(ends):
        neighbours[one].append((channel, other))
        neighbours[other].append((channel, one))

    together = {
        frozenset(pair) for circle in circles(neighbours) for pair in pairwise([*circle, circle[0]])
    }
    expected = [{channel} for channel in range(len(ends))]
    for pair in together:
        touched = [block for block in expected if block & pair]
        expected = [block for block in expected if not block & pair] + [set[int]().union(*touched)]
    assert sorted(map(sorted, blocks(neighbours))) == sorted(map(sorted, expected))


def circles(neighbours: dict[int, list[tuple[int, int]]]) -> list[list[int]]:
    """The channels of every way that comes back to where it began, and by no node twice."""
    found: list[list[int]] = []

    def go(start: int, node: int, way: list[int], seen: set[int]) -> None:
        for channel, other in neighbours[node]:
            if channel in way:
                continue
            if other == start:
                found.append([*way, channel])
            elif other not in seen:
                go(start, other, [*way, channel], {*seen, other})

    for start in neighbours:
        go(start, start, [], {start})
    return [circle for circle in found if len(circle) > 1]
