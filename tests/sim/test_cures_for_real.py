"""A deadlock's cure, as the simulator names it, is neither too small nor too large for a real
run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from conveyor import Filter, FlatMap, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import Deadlock
from tests.helpers import pipeline
from tests.jobs import same

pytestmark = pytest.mark.processes

Build = Callable[[int, int], Any]


def thrice(item: int) -> list[int]:
    return [item] * 3


def many(item: int) -> Iterable[int]:
    return range(item % 7)


def is_third(item: int) -> bool:
    return item % 3 == 0


def two_lanes(one: Any, other: Any) -> Build:
    """A fork whose lanes drift apart before a zip; how much the pipes of the first lane hold."""

    def build(before: int, behind: int) -> Any:
        pl = pipeline().add(ReplicatingFork(2)).add(Pipe(before), Pipe(4)).add(one(), other())
        return pl.add(Pipe(behind), Pipe(4)).add(Zip(2))

    return build


BUILDS: dict[str, Build] = {
    "three outputs an item": two_lanes(lambda: FlatMap(thrice), lambda: Processor(same)),
    "none to six outputs an item": two_lanes(lambda: FlatMap(many), lambda: Processor(same)),
    "the other lane drops": two_lanes(lambda: Processor(same), lambda: Filter(is_third)),
}
ITEMS = range(400)  # so many that the room in bytes matters, too
TIGHT = 4, 16


@pytest.mark.parametrize("what", BUILDS)
def test_a_real_run_ends_with_the_room_that_the_simulator_says_and_not_with_less(what: str) -> None:
    build = BUILDS[what]
    with pytest.raises(Deadlock) as found:
        build(*TIGHT).simulate(ITEMS)
    cures = re.findall(
        r"^c(\d).* has room for (\d+): with Pipe\((\d+)\) this run ends",
        str(found.value),
        re.MULTILINE,
    )
    assert {(channel, int(had)) for channel, had, _ in cures} <= {("0", TIGHT[0]), ("2", TIGHT[1])}
    assert cures
    for channel, _, needs in cures:

        def with_room(room: int, channel: str = channel) -> Any:
            return build(room, TIGHT[1]) if channel == "0" else build(TIGHT[0], room)

        expected = with_room(int(needs)).simulate(ITEMS)
        for _ in range(5):
            assert with_room(int(needs)).run(ITEMS) == list(expected)
        with pytest.raises(Deadlock):
            with_room(int(needs) - 1).run(ITEMS)
