"""A pipe between two routers holds what was written: no more and no less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.stages import Stage
from tests.core.world import compiled
from tests.sim.bounded import STUCK, All, endings, real_ending
from tests.sim.parts import built

Rows = Sequence[Sequence[Stage]]


def job() -> Processor[Any, Any]:
    return Processor(str)


GRAPHS: dict[str, tuple[Rows, str, list[int]]] = {
    "between a join and a zip": (
        [[ReplicatingFork(3)], [Join(2), Pipe()], [Pipe(2), Pipe(3)], [Zip(2)]],
        """
        source [source] -> (c0 + c1 + c2)
        c0 | c1 -> join-pipe#2 [relay] -> c3
        zip(c3 | c2) -> sink [sink]
        """,
        [16384, 16384, 16387, 2],
    ),
    "between a join and a fork": (
        [
            [ReplicatingFork(2)],
            [Join(2)],
            [Pipe(1)],
            [ReplicatingFork(2)],
            [Pipe(), Pipe()],
            [Join(2)],
        ],
        """
        source [source] -> (c0 + c1)
        c0 | c1 -> join-pipe [relay] -> c2
        c2 -> pipe-replicating_fork#2 [relay] -> (c3 + c4)
        c3 | c4 -> sink [sink]
        """,
        [16384, 16384, 1, 16384, 16384],
    ),
    "several between a zip and a fork": (
        [
            [ReplicatingFork(2)],
            [Zip(2)],
            [Pipe(2)],
            [Pipe(3)],
            [BalancingFork(2)],
            [Pipe(4), Pipe(5)],
            [Join(2)],
        ],
        """
        source [source] -> (c0 + c1)
        zip(c0 | c1) -> zip-pipe [relay] -> c2
        c2 -> pipe#2-balancing_fork [relay] -> (c3 / c4)
        c3 | c4 -> sink [sink]
        """,
        [16384, 16384, 5, 4, 5],
    ),
    "of the default capacity, between a join and a fork": (
        [
            [ReplicatingFork(2)],
            [Join(2)],
            [Pipe()],
            [ReplicatingFork(2)],
            [Pipe(), Pipe()],
            [Join(2)],
        ],
        """
        source [source] -> (c0 + c1)
        c0 | c1 -> join-replicating_fork#2 [relay] -> (c2 + c3)
        c2 | c3 -> sink [sink]
        """,
        [16384, 16384, 16384, 16384],
    ),
    "between a join and a join": (
        [[ReplicatingFork(3)], [Join(2), Pipe()], [Pipe(2), Pipe()], [Join(2)]],
        """
        source [source] -> (c0 + c1 + c2)
        c0 | c1 -> join-pipe#2 [relay] -> c3
        c3 | c2 -> sink [sink]
        """,
        [16384, 16384, 32768, 2],
    ),
    "of the default capacity, between a zip and a zip": (
        [[ReplicatingFork(3)], [Zip(2), Pipe()], [Pipe(), Pipe()], [Zip(2)]],
        """
        source [source] -> (c0 + c1 + c2)
        zip(zip(c0 | c1) | c2) -> sink [sink]
        """,
        [16384, 16384, 32768],
    ),
    "in each lane of a fork that adapts": (
        [
            [BalancingFork(max_lanes=2)],
            [ReplicatingFork(2)],
            [job(), Pipe()],
            [Join(2)],
            [Pipe(3)],
            [BalancingFork(2)],
            [Pipe(), Pipe()],
            [Join(2)],
            [Join()],
        ],
        """
        source [source] -> ((c0 + c1) / (c2 + c3))
        c0 -> str/0 [job] -> c4
        c2 -> str/1 [job] -> c5
        c4 | c1 -> join-pipe#2/0 [relay] -> c6
        c5 | c3 -> join-pipe#2/1 [relay] -> c7
        c6 -> pipe#2-balancing_fork#2/0 [relay] -> (c8 / c9)
        c7 -> pipe#2-balancing_fork#2/1 [relay] -> (c10 / c11)
        c8 | c9 | c10 | c11 -> sink [sink]
        """,
        [16384, 16384, 16384, 16384, 16384, 16384, 3, 3, 16384, 16384, 16384, 16384],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_pipe_is_a_channel_of_its_own(name: str) -> None:
    rows, text, capacities = GRAPHS[name]
    topology = compiled(*rows)

    assert str(topology) == "\n".join(map(str.strip, text.strip().splitlines()))
    assert [channel.capacity for channel in topology.channels] == capacities


# ----------------------------------------------------------------------------------- how much it
# holds, counted in a lane
#
# Two lanes into one, then the pipe, beside a lane that gathers: of m items 2m have to find their
# place before the zip is given its first pair.  Each of the two lanes holds one, the pipe as many
# as it may.


def joined_before_a_zip(room: int) -> Rows:
    return [
        [ReplicatingFork(2)],
        [ReplicatingFork(2), All()],
        [Pipe(1), Pipe(1), Pipe()],
        [Join(2), Pipe()],
        [Pipe(room), Pipe()],
        [Zip(2)],
    ]


def joined_before_a_fork(room: int) -> Rows:
    """The fork has a lane for one item."""
    lanes = joined_before_a_zip(room)[:-1]
    return [*lanes, [ReplicatingFork(2), Pipe()], [Pipe(1), Pipe(), Pipe()], [Zip(3)]]


@pytest.mark.parametrize("rows", [joined_before_a_zip, joined_before_a_fork])
@pytest.mark.parametrize("room", [1, 2, 4])
def test_the_pipe_holds_what_was_written(rows: Any, room: int) -> None:
    places = room + 2 + (rows is joined_before_a_fork)
    for items in range(1, 6):
        known = endings(built(*rows(room)), range(items))
        assert known is not None
        assert known == {STUCK} if 2 * items > places else STUCK not in known


@pytest.mark.processes
@pytest.mark.parametrize("rows", [joined_before_a_zip, joined_before_a_fork])
def test_so_it_does_for_real(rows: Any) -> None:
    fits = (4 + 2 + (rows is joined_before_a_fork)) // 2

    assert real_ending(built(*rows(4), start_method="fork"), range(fits)) != STUCK
    assert real_ending(built(*rows(4), start_method="fork"), range(fits + 1)) == STUCK
