"""How many classes of schedules there are where no pipe can ever be full and nothing is balanced.

Each join may then read its lanes in any order, whatever the others do: the number is a product of
multinomials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import factorial, prod

from conveyor.graph.route import Leaf, balances
from conveyor.graph.topology import NodeSpec, channels_of
from conveyor.sim.counting.outcomes import NOWHERE, ItemOutcomes, Results
from conveyor.sim.prepare.prepared import PreparedPipeline

__all__ = ["closed_form"]


def closed_form(
    pipeline: PreparedPipeline, outcomes: ItemOutcomes, items: Sequence[object]
) -> int | None:
    """The product of multinomials; None where a pipe has no room for all that ever goes through it,
    a lane is chosen, or an input is composite."""
    if not all(is_plain(node.spec) for node in pipeline.nodes):
        return None
    passed: Counter[int] = Counter()  # items, by channel
    todo: list[tuple[int, Results]] = [(0, outcomes.come_of(0, item)) for item in items]
    while todo:
        node, results = todo.pop()
        for numbers in results:
            for channel, number in zip(outcomes.leaves[node], numbers, strict=True):
                if number == NOWHERE:
                    continue
                passed[channel] += 1
                todo.append((outcomes.consumer[channel], outcomes.results[number]))
    if any(passed[channel.index] > channel.capacity for channel in pipeline.topology.channels):
        return None
    return prod(
        multinomial([passed[c] for c in channels_of(node.spec.inputs)]) for node in pipeline.nodes
    ) * prod(
        orders_done(sum(passed[c] for c in channels_of(node.spec.inputs)), node.spec.concurrency)
        for node in pipeline.nodes
        if node.spec.chooses_done and node.spec.concurrency is not None
    )


def is_plain(node: NodeSpec) -> bool:
    return all(isinstance(each, Leaf) for each in node.inputs) and not balances(node.route)


def multinomial(parts: Sequence[int]) -> int:
    """In how many orders so many items of each lane can be read.

    >>> multinomial([3, 3]), multinomial([2, 2, 2]), multinomial([5])
    (20, 90, 1)
    """
    return factorial(sum(parts)) // prod(map(factorial, parts))


def orders_done(items: int, hands: int) -> int:
    """In how many orders items can be done side by side.

    >>> orders_done(4, 9), orders_done(4, 2), orders_done(4, 1), orders_done(0, 3)
    (24, 8, 1, 1)
    """
    return prod(min(hands, left) for left in range(1, items + 1))
