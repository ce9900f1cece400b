"""A schedule in words.

Knows: what the points of a topology are.  Must never know: how a schedule was found, or what fails
in it.
"""

from __future__ import annotations

from conveyor.graph.route import balancing_forks
from conveyor.graph.topology import DONE, STEP, Topology, channels_of
from conveyor.sim.in_hand import NOTHING
from conveyor.sim.schedule import (
    CUT,
    IN,
    LANES,
    LEFT,
    MACHINE,
    NEVER,
    NEXT,
    SAVES,
    STOP,
    TIMER,
    Death,
    Key,
    Schedule,
)

__all__ = ["describe", "several"]


def describe(schedule: Schedule, topology: Topology) -> str:
    """What a schedule decides otherwise than by default: "nothing" if it is the default."""
    parts = [describe_choice(key, option, topology) for key, option in schedule.choices.items()]
    return "; ".join([*parts, *map(describe_death, schedule.deaths)]) or "nothing"


def describe_choice(key: Key, option: int, topology: Topology) -> str:
    point, ordinal = key
    for node in topology.nodes:
        if node.join_name == point and option < len(node.inputs):
            channel = topology.channels[channels_of(node.inputs[option : option + 1])[0]]
            producer = topology.nodes[channel.producer].name
            lane = f"lane {option} (of {len(node.inputs)}), from {producer!r}"
            return f"join {point!r} #{ordinal} takes {lane}"
        for fork in balancing_forks(node.route):
            if fork.name == point:
                return f"fork {point!r} #{ordinal} gives to lane {option} (of {len(fork.lanes)})"
            if fork.name + LANES == point:
                return f"fork {fork.name!r} opens {option} of {len(fork.lanes)} lanes"
    if point.endswith(CUT):
        much = "all the items that are there" if option else "one item"
        return f"worker {point.removesuffix(CUT)!r} takes {much} (#{ordinal})"
    if point.endswith(TIMER):
        name = point.removesuffix(TIMER)
        if any(node.is_woken and node.name == name for node in topology.nodes):
            first = "what is held comes due" if option else "the next item comes"
            return f"in {name!r} {first} first (#{ordinal})"
        ending = "runs out" if option else "suffices"
        return f"the time of attempt #{ordinal} of {name!r} {ending}"
    if point.endswith(DONE):
        return (
            f"of the items that {point.removesuffix(DONE)!r} has in hand, number {option} is done "
            f"(#{ordinal})"
        )
    if point.endswith(STEP):
        return (
            f"of the items that {point.removesuffix(STEP)!r} has in hand, number {option} goes on "
            f"to its next await, or its end (#{ordinal})"
        )
    if point.endswith(SAVES):
        items = several(ordinal, "item")
        return (
            f"{point.removesuffix(SAVES)!r} saves its state behind {items}, and gives what it has"
        )
    if point == NEXT:
        return f"of the joins that can read, number {option} does (#{ordinal})"
    if point == IN:
        return f"only {several(option, 'item comes', 'items come')} in"
    if point == LEFT:
        return f"the run is left after {several(option, 'result')}"
    if point == STOP:
        return f"failure {option} of those that there are ends the run"
    return f"{point!r} #{ordinal} takes {option}"


def describe_death(death: Death) -> str:
    if death.worker == MACHINE:
        store = death.step.removeprefix("before")
        return (
            f"everything dies before store {store} of the run, and begins again from what is kept"
        )
    item = "what comes after the last item" if death.item is None else f"item {death.item}"
    step, number = death.step.rstrip("0123456789"), death.step.lstrip("abcdefghijklmnopqrstuvwxyz")
    when = {
        "held": f"at {item}, with {several(number, 'output')} of it out"
        if number
        else f"before its job begins with {item}",
        "noted": f"before it notes what of its items is finished, at {item}",
        "taken": f"before anything of {item} is out",
        "copied": f"with {several(number, 'copy', 'copies')} of a record of {item} out, not all",
        "early": f"with {several(number, 'copy', 'copies')} of a record of {item} out, not all, "
        "and its job asked for no more",
        "emitted": f"after it emitted {item}"
        if not number
        else f"with {several(number, 'output')} of {item} out, not all",
        "closed": f"after its last item, with {number} of its channels closed, not all",
    }.get(step, f"with {item} {death.step}")
    again = f", when it is there for the {nth(death.nth)} time" if death.nth > 1 else ""
    later = f", and comes back {death.wait} decisions later" if death.wait > 0 else ""
    never = ", and none takes its place" if death.wait == NEVER else ""
    return (
        f"worker {death.worker!r} dies {when}{again}{describe_hand_at_death(death)}{later}{never}"
    )


def describe_hand_at_death(death: Death) -> str:
    """What it had in hand, if that is said."""
    hand = death.hand
    if hand is None:
        return ""
    if hand == NOTHING:
        return ", with nothing in hand"
    last = hand.end - 1
    items = f"item {hand.first}" if hand.first == last else f"items {hand.first} to {last}"
    return f", with {items} in hand" + (f" of input {hand.input}" if hand.input else "")


def nth(number: int) -> str:
    """
    >>> nth(2), nth(3), nth(4), nth(12), nth(22)
    ('2nd', '3rd', '4th', '12th', '22nd')
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def several(number: int | str, one: str, more: str = "") -> str:
    """A number and its noun: `more` is the plural where that is not `one` and an s.

    >>> several(1, "copy", "copies"), several(2, "copy", "copies"), several(0, "run")
    ('1 copy', '2 copies', '0 runs')
    """
    return f"{number} {one if str(number) == '1' else more or f'{one}s'}"
