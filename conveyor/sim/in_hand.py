"""What a worker that dies has in hand, as a schedule says it.

`7`: item 7 of its only input, or of the first of several; `4-9:of1`: items 4 to 9 of input 1;
`none`: nothing.  Behind that `at6`: its job was at item 6; `rest`: the job was not at work; `late`:
the time of the item had run out; `how...`: what is told of it where the item is given up.
"""

from __future__ import annotations

from typing import Final

from conveyor.core.crashes import WorkerDeath
from conveyor.errors import ScheduleMismatch
from conveyor.sim.escaping import escaped, plain

__all__ = ["NOTHING", "parse_hand", "describe_hand"]

NOTHING: Final = WorkerDeath(0, 0, 0)
NONE: Final = "none"


def describe_hand(hand: WorkerDeath) -> str:
    """What a worker has in hand, as a schedule says it.

    >>> describe_hand(WorkerDeath(1, 4, 10, at=6))
    '4-9:of1:at6'
    >>> describe_hand(WorkerDeath(0, 7, 8, running=False))
    '7:rest'
    >>> describe_hand(NOTHING)
    'none'
    """
    if hand.first == hand.end:
        return NONE
    last = hand.end - 1
    words = [str(hand.first) if last == hand.first else f"{hand.first}-{last}"]
    words += [f"of{hand.input}"] * (hand.input > 0)
    words += [f"at{hand.at}"] * (hand.at is not None)
    words += ["rest"] * (not hand.running)
    words += ["late"] * hand.timed_out
    words += [f"how{escaped(hand.how)}"] * (hand.how != NOTHING.how)
    return ":".join(words)


def parse_hand(text: str) -> WorkerDeath:
    """What a worker has in hand, from such words; raises `ScheduleMismatch` if they are none.

    >>> parse_hand("4-9:of1:at6") == WorkerDeath(1, 4, 10, at=6)
    True
    """
    if text == NONE:
        return NOTHING
    items, *words = text.split(":")
    first, _, last = items.partition("-")
    try:
        hand = WorkerDeath(0, int(first), int(last or first) + 1)
        for word in words:
            hand = with_word(hand, word)
    except ValueError:
        raise ScheduleMismatch(
            f"@{text} does not say what a worker had in hand: write @4, @4-9, or @none"
        ) from None
    return hand


def with_word(hand: WorkerDeath, word: str) -> WorkerDeath:
    if word == "rest":
        return hand._replace(running=False)
    if word == "late":
        return hand._replace(timed_out=True)
    if word.startswith("of"):
        return hand._replace(input=int(word[2:]))
    if word.startswith("at"):
        return hand._replace(at=int(word[2:]))
    if word.startswith("how"):
        return hand._replace(how=plain(word[3:]))
    raise ValueError(word)
