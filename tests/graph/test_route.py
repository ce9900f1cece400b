"""Where a record goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.requests import ChooseLane
from conveyor.core.routing import ways
from conveyor.graph.route import Balance, Leaf, Replicate, Route, balances, leaves, taken

A_B = Balance("b", (Leaf(1), Leaf(2)))
NESTED = Replicate("r", (Leaf(7), A_B, Replicate("s", (Leaf(3), Leaf(4)))))


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Trees of forks whose leaves are numbered from left to right."""
    number = 0

    def tree(depth: int) -> Route:
        nonlocal number
        kind = draw(st.sampled_from(["leaf", "replicate", "balance"])) if depth else "leaf"
        if kind == "leaf":
            number += 1
            return Leaf(number - 1)
        lanes = tuple(tree(depth - 1) for _ in range(draw(st.integers(1, 3))))
        return Balance("b", lanes) if kind == "balance" else Replicate("r", lanes)

    return tree(3)


def resolved(route: Route, answers: Sequence[int]) -> tuple[int, list[ChooseLane]]:
    """The mask for one record of 5 items, and what was asked; answers are taken modulo what there
    is."""
    asked: list[ChooseLane] = []
    resolving = ways(route).resolve([1, 2, 3, 4, 5])
    try:
        request = next(resolving)
        while True:
            asked.append(request)
            request = resolving.send(answers[len(asked) - 1] % len(request.lanes))
    except StopIteration as done:
        mask: int = done.value
        return mask, asked


def chosen(route: Route, answers: list[int]) -> set[int]:
    """The leaves that a record goes to, said by plain recursion."""
    if isinstance(route, Leaf):
        return {route.channel}
    if isinstance(route, Balance):
        return chosen(route.lanes[answers.pop(0) % len(route.lanes)], answers)
    return {leaf for lane in route.lanes for leaf in chosen(lane, answers)}


@given(routes(), st.lists(st.integers(0, 5), min_size=40, max_size=40))
def test_a_record_goes_to_all_lanes_of_a_replicate_and_to_one_of_a_balance(
    route: Route, answers: list[int]
) -> None:
    mask, asked = resolved(route, answers)

    assert {bit for bit in leaves(route) if mask >> bit & 1} == chosen(route, list(answers))
    assert mask < 1 << len(leaves(route))
    assert all(request.items == 5 for request in asked)
    assert bool(asked) <= balances(route)


@given(routes(), st.lists(st.lists(st.integers(0, 5), min_size=40, max_size=40), max_size=8))
def test_what_a_route_has_taken_shows_in_its_channels(
    route: Route, records: list[list[int]]
) -> None:
    tails = [0] * len(leaves(route))
    for number, answers in enumerate(records):
        for leaf in chosen(route, list(answers)):
            tails[leaf] += number
    assert taken(route, tails) == sum(range(len(records)))


def test_a_choice_shows_which_outlets_are_below_each_lane() -> None:
    _, asked = resolved(Balance("outer", (A_B, Leaf(9), NESTED), adaptive=True), [2, 0, 0])

    assert [(request.name, list(request.lanes), request.adaptive) for request in asked] == [
        ("outer", [range(2), range(2, 3), range(3, 8)], True),
        ("b", [range(4, 5), range(5, 6)], False),
    ]


def test_without_a_balance_the_lanes_are_known_beforehand() -> None:
    assert ways(Leaf(3)).mask == 1
    assert ways(Replicate("r", (Leaf(3), Replicate("s", (Leaf(4), Leaf(5)))))).mask == 0b111
    assert ways(NESTED).mask is None


@pytest.mark.parametrize(
    ("route", "yes"),
    [(Leaf(0), False), (A_B, True), (NESTED, True), (Replicate("r", (Leaf(0), Leaf(1))), False)],
    ids=repr,
)
def test_only_a_balance_has_anything_to_choose(route: Route, yes: bool) -> None:
    assert balances(route) is yes
