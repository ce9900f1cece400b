"""Going on without a machine: a model of the rules, machines dying at any moment, again and again,
and each rule broken on purpose.

It knows what each machine knows and what is on its way; nothing of rings or hosts, which are under
test elsewhere.  The rules are in docs/internals.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

import pytest

from tests.helpers import PROVE

PROGRAM: Final = 0
MACHINES: Final[tuple[int, ...]] = (1, 2, 3)
ITEMS: Final = 12
EVERY: Final = 3  # items an epoch
STEPS: Final = 20_000  # then it hangs
PLAYS: Final = 2000 if PROVE else 100
UNTIL_FOUND: Final = 500


class Item(NamedTuple):
    value: int


class Barrier(NamedTuple):
    epoch: int


class Kept(NamedTuple):
    """The state of a machine's nodes at a barrier, for the program."""

    machine: int
    epoch: int
    state: int


class Letter(NamedTuple):
    """`sender` and `life` are the machine's that sent it."""

    sender: int
    life: int
    what: Item | Barrier | Kept


@dataclass
class Host:
    """One machine: it numbers what passes, gives it once or twice, and keeps the number."""

    number: int
    life: int
    state: int = 0
    inbox: deque[Item | Barrier] = field(default_factory=deque[Item | Barrier])


def outputs(number: int, state: int, value: int) -> list[int]:
    """What a machine gives for an item: it depends on all that came before."""
    return [100 * value + 10 * number + state % 3] * (1 + state % 2)


def expected() -> list[int]:
    items = list(range(ITEMS))
    for number in MACHINES:
        items = [
            out for state, value in enumerate(items, 1) for out in outputs(number, state, value)
        ]
    return items


class Cluster:
    """`broken` is the name of a rule that does not hold."""

    def __init__(self, seed: int, broken: str = "") -> None:
        self.random = Random(seed)
        self.broken = broken
        self.life = 0
        self.deaths = 0
        self.given: list[int] = []  # to whoever reads the results, and never taken back
        self.whole = 0  # the newest epoch that is
        self.states: dict[int, dict[int, int]] = {0: dict.fromkeys(MACHINES, 0)}
        self.newest: dict[int, int] = dict.fromkeys(MACHINES, 0)
        self.results: list[int] = []
        self.marked = 0  # of these, so many came before the newest barrier
        self.sent = 0  # items that the source has given, in any life
        self.letters: dict[tuple[int, int], deque[Letter]] = {}
        self.haste: dict[tuple[int, int], float] = {}  # of the letters from one to another
        self.begin()

    # ------------------------------------------------------------------------------ the program

    def begin(self) -> None:
        """All machines begin anew, at the newest epoch that is whole."""
        self.life += 1
        is_mixed = self.broken == "states are of one barrier"
        states = self.newest if is_mixed else self.states[self.whole]
        self.hosts = {each: Host(each, self.life, states.get(each, 0)) for each in MACHINES}
        self.next_item = self.whole * EVERY
        if self.broken == "items are kept until their epoch is whole":
            self.next_item = max(self.next_item, self.sent)
        if self.broken != "results of an epoch that is not whole are thrown away":
            self.results = []
        self.marked = 0
        self.reached = self.whole  # the newest barrier that came to the sink
        self.barrier = self.whole
        self.states = {epoch: kept for epoch, kept in self.states.items() if epoch <= self.whole}

    def send(self, sender: int, to: int, life: int, what: Item | Barrier | Kept) -> None:
        self.letters.setdefault((sender, to), deque()).append(Letter(sender, life, what))

    def pull(self) -> None:
        """The source gives the next item, or a barrier where an epoch ends: one at a time."""
        ends = self.next_item % EVERY == 0 and self.next_item // EVERY > self.barrier
        if ends and self.whole < self.barrier:
            return
        if ends:
            self.barrier += 1
            self.send(PROGRAM, MACHINES[0], self.life, Barrier(self.barrier))
        elif self.next_item < ITEMS:
            self.send(PROGRAM, MACHINES[0], self.life, Item(self.next_item))
            self.next_item += 1
            self.sent = max(self.sent, self.next_item)

    def at_program(self, what: Item | Barrier | Kept) -> None:
        match what:
            case Item(value):
                self.results.append(value)
                if self.broken == "results are held":
                    self.give()
            case Barrier(epoch):
                self.reached, self.marked = epoch, len(self.results)
            case Kept(machine, epoch, state):
                self.states.setdefault(epoch, {})[machine] = state
                self.newest[machine] = state
        self.complete()

    def complete(self) -> None:
        """Is another epoch whole?"""
        epoch = self.whole + 1
        has_all = len(self.states.setdefault(epoch, {})) == len(MACHINES)
        if self.broken == "an epoch is whole when all states are here":
            has_all = True
        if self.reached >= epoch and has_all:
            self.whole = epoch
            self.give()

    def give(self) -> None:
        upto = self.marked
        if self.broken in ("what came behind a barrier is held", "results are held"):
            upto = len(self.results)
        self.given += self.results[:upto]
        self.results = self.results[upto:]

    # ----------------------------------------------------------------------------- the machines

    def work(self, host: Host) -> None:
        what = host.inbox.popleft()
        to = host.number + 1 if host.number < MACHINES[-1] else PROGRAM
        if isinstance(what, Barrier):
            state = host.state
            if self.broken == "a state is kept before what is behind its barrier":
                state += bool(host.inbox)
            kept = Kept(host.number, what.epoch, state)
            self.send(host.number, PROGRAM, host.life, kept)
            self.send(host.number, to, host.life, what)
            return
        host.state += 1
        for value in outputs(host.number, host.state, what.value):
            self.send(host.number, to, host.life, Item(value))

    def arrive(self, link: tuple[int, int]) -> None:
        letter = self.letters[link].popleft()
        if letter.life != self.life and self.broken != "letters of another life are dropped":
            return
        to = link[1]
        if to == PROGRAM:
            self.at_program(letter.what)
        elif isinstance(letter.what, Item | Barrier):
            self.hosts[to].inbox.append(letter.what)

    # ------------------------------------------------------------------------------------- play

    def step(self) -> None:
        random = self.random
        if self.deaths < 4 and random.random() < 0.02:  # any one dies, and all begin anew
            self.deaths += 1
            self.begin()
            return
        links = [link for link, letters in self.letters.items() if letters]
        busy = [host for host in self.hosts.values() if host.inbox]
        act = random.randrange(3)
        if act == 0 and links:
            haste = [self.haste.setdefault(link, random.choice((0.02, 1.0))) for link in links]
            self.arrive(*random.choices(links, haste))
        elif act == 1 and busy:
            self.work(random.choice(busy))
        else:
            self.pull()

    def play(self) -> list[int]:
        """All results that were given; fewer, if it comes to no end."""
        for _ in range(STEPS):
            if self.whole * EVERY >= ITEMS:
                break
            self.step()
        return self.given


RULES = [
    "states are of one barrier",
    "letters of another life are dropped",
    "items are kept until their epoch is whole",
    "results of an epoch that is not whole are thrown away",
    "results are held",
    "what came behind a barrier is held",
    "an epoch is whole when all states are here",
    "a state is kept before what is behind its barrier",
]


def test_whatever_machine_dies_each_result_comes_once_and_in_order() -> None:
    for seed in range(PLAYS):
        assert Cluster(seed).play() == expected()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_that_is_broken_is_missed(rule: str) -> None:
    assert any(Cluster(seed, rule).play() != expected() for seed in range(UNTIL_FOUND))
