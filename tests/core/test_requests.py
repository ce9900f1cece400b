"""When a request can be answered."""

from __future__ import annotations

import pytest

from conveyor.core.channel import Tag, ZipInlet
from conveyor.core.requests import ChooseInput, ChooseLane, WaitForItems, WaitForRoom
from conveyor.sim.world.channel import MemoryChannel

TAG = Tag(1, 1, 0, 0, 0, 1)


def channel(state: str) -> MemoryChannel:
    """`E`: ended; `P`: something is pending; `-`: neither."""
    there = MemoryChannel(2)
    there.start(1)
    if state == "P":
        there.publish(1, ["item"], TAG)
    if state == "E":
        there.close(1)
    return there


@pytest.mark.parametrize(("state", "ready"), [("-", False), ("P", True), ("E", True)])
def test_an_idle_worker_waits_for_an_item_or_the_end(state: str, ready: bool) -> None:
    assert WaitForItems(channel(state)).ready() is ready


@pytest.mark.parametrize(
    ("states", "ready", "options"),
    [
        ("--", False, []),
        ("-P", True, [1]),
        ("PP", True, [0, 1]),
        ("E-", False, []),
        ("EP-P", True, [1, 3]),
        ("EE", True, []),
    ],
)
def test_a_merge_waits_for_any_item_or_for_every_end(
    states: str, ready: bool, options: list[int]
) -> None:
    merge = ChooseInput("join", [channel(state) for state in states])

    assert merge.ready() is ready
    assert merge.options() == options
    assert merge.name == "join"


@pytest.mark.parametrize(
    ("states", "n", "ready"), [("--", 2, True), ("-P", 2, False), ("-P", 1, True), ("P-", 2, False)]
)
def test_a_full_worker_waits_for_room_in_every_lane(states: str, n: int, ready: bool) -> None:
    full: WaitForRoom[list[object]] = WaitForRoom()
    full.outlets, full.items, full.blob = [channel(state) for state in states], n, []

    assert full.ready() is ready


def test_before_it_has_a_record_there_is_nothing_to_wait_for() -> None:
    full: WaitForRoom[list[object]] = WaitForRoom()

    assert full.ready()


def test_a_choice_says_what_it_is_about() -> None:
    choose = ChooseLane("fork", [range(1), range(1, 3)], True)

    assert (choose.name, choose.lanes, choose.adaptive, choose.items) == (
        "fork",
        [range(1), range(1, 3)],
        True,
        0,
    )


def test_a_merge_asks_all_of_its_inputs_whether_they_have_ended() -> None:
    """A zip gives back room when it is asked, and a lane that has not ended may wait for that."""
    ended, surplus = channel("E"), channel("P")

    merge = ChooseInput("join", [channel("-"), ZipInlet([ended, surplus])])

    assert not merge.ready()
    assert not surplus.pending()


def test_a_zip_asks_all_of_its_lanes_whether_they_have_ended() -> None:
    """A zip in one of them gives back room then, for which the lane before it may wait."""
    surplus = channel("P")
    inner = ZipInlet([channel("E"), surplus])

    assert not ZipInlet([channel("E"), channel("-"), inner]).ended()
    assert not surplus.pending()
