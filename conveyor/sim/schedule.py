"""A schedule: what was decided otherwise than by default, as text that survives an edit elsewhere.

This file knows names of decision points, and how they are written.  It must never know how a
decision is taken, or what a pipeline does.

Rule 1.  A decision is named by its point and its ordinal there, never by its place in the run;
         where a schedule says nothing the default is taken.  So it stays short, shrinks by leaving
         keys out, and survives a stage that is put in.
Rule 2.  The text is `cv1:` and parts between semicolons: `merge.3=1` (read 3 of the join `merge`
         takes lane 1, both counted from 0), `!pool/0.4.emitted` (the worker of `pool/0` dies with
         item 4 emitted and not yet committed).  Behind a death may stand `*2` (the second time that
         it is there in one life, where once is not enough to say), `@4-9` (that it had these items
         in hand, where that is more or less than the one, or was in a real run: `describe_hand`),
         `+2` (it comes back two decisions later) or `+never`.
         `!~machine.1.before7`: everything dies before store 7 of the run, which has a barrier
         behind each item.
Rule 3.  The ordinals of a join count the items that it has read, those of a fork the items that it
         has taken.
Rule 4.  Points that are no stage have a suffix: `pool~lanes` (how many lanes of an adapting fork
         are open), `x~cut` (where a slice of a worker that is to die ends), `x~timer` (whether an
         item's time runs out), `x~done` (which of the items in hand is done next), `x~step` (which
         of them goes on to its next await), `x~saves` (whether a class that has several in hand
         saves its state behind so many items of the run, though others are there), `~next` (which
         of several joins reads first, where workers die), `~stop` (which failure ends the run),
         `~in` (how many items come in at all), `~left` (after how many results the run is left).
         `~lanes` by itself says how many lanes each fork has that adapts, where that is not as by
         default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from conveyor.core.crashes import WorkerDeath
from conveyor.errors import ScheduleMismatch
from conveyor.recording.decision_points import TIMER
from conveyor.sim.escaping import escaped, plain
from conveyor.sim.in_hand import describe_hand, parse_hand

__all__ = [
    "CUT",
    "IN",
    "LANES",
    "LEFT",
    "MACHINE",
    "NEVER",
    "NEXT",
    "RESTART",
    "SAVES",
    "STOP",
    "TIMER",
    "Death",
    "Decision",
    "Key",
    "Schedule",
]

VERSION: Final = "cv1:"
END: Final = "end"

RESTART: Final = "!"  # before the name of a worker: does another take its place now, or later
CUT: Final = "~cut"
LANES: Final = "~lanes"
SAVES: Final = "~saves"
STOP: Final = "~stop"
NEXT: Final = "~next"  # only where workers die, else each join waits for what it is to read
IN: Final = "~in"
LEFT: Final = "~left"
MACHINE: Final = "~machine"  # what dies, where all does
NEVER: Final = -1  # comes another worker

CHOICE: Final = re.compile(r"(?P<point>[^.=;!]+)\.(?P<ordinal>\d+)=(?P<option>\d+)")
DEATH: Final = re.compile(
    r"!(?P<worker>[^.=;!]+)\.(?P<item>\d+|end)\.(?P<step>[a-z]+\d*)"
    r"(\*(?P<nth>\d+))?(@(?P<hand>[^;+@]+))?(\+(?P<wait>\d+|never))?"
)


class Key(NamedTuple):
    """A decision: the `ordinal`-th at its point, counted from 0."""

    point: str
    ordinal: int


class Decision(NamedTuple):
    """One decision as it was taken: the `ordinal`th, from 0, at a point, such as the join `join`;
    `option` is what was chosen, `default` what is chosen if a schedule says nothing."""

    point: str
    ordinal: int
    option: int
    default: int


class Death(NamedTuple):
    """A worker that dies: with which item in hand (counted from 0; None: at the end of its run), at
    which step, and how many decisions later another takes its place (`NEVER`: that ends the run).

    Steps: `due`: something is due, which is not saved yet, or of which nothing is out; `due1`: one
    output of that is; `held`: the job has not begun; `taken`: it has, and nothing is out;
    `copied1`: one copy of a record is out, not all; `early1`: the same, and the job was not asked
    for more; `held1`: one output is out, and the job goes on; `emitted1`: it has given the next;
    `emitted`: all that came of the item is out, and it is not committed; `saved`: the state behind
    it is saved, too.  `nth`: how often it has been there since it began, or since it died last.
    `hand`: what it had in hand, if that is not what it is given here.
    """

    worker: str
    item: int | None
    step: str
    wait: int = 0
    nth: int = 1
    hand: WorkerDeath | None = None

    @property
    def place(self) -> tuple[str, int | None, str, int]:
        """Where it was."""
        return self.worker, self.item, self.step, self.nth

    def __str__(self) -> str:
        item = END if self.item is None else self.item
        nth = f"*{self.nth}" if self.nth > 1 else ""
        hand = "" if self.hand is None else f"@{describe_hand(self.hand)}"
        wait = "+never" if self.wait == NEVER else f"+{self.wait}" if self.wait else ""
        return f"!{escaped(self.worker)}.{item}.{self.step}{nth}{hand}{wait}"

    @classmethod
    def found(cls, found: re.Match[str]) -> Death:
        """The one that a part of a text says."""
        item = None if found["item"] == END else int(found["item"])
        wait = NEVER if found["wait"] == "never" else int(found["wait"] or 0)
        hand = None if found["hand"] is None else parse_hand(found["hand"])
        return cls(plain(found["worker"]), item, found["step"], wait, int(found["nth"] or 1), hand)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Decisions that are not the default, and deaths.

    >>> schedule = Schedule.parse("cv1:merge.3=1;!pool/0.4.emitted+2")
    >>> schedule.choices
    {Key(point='merge', ordinal=3): 1}
    >>> str(schedule)
    'cv1:merge.3=1;!pool/0.4.emitted+2'
    """

    choices: Mapping[Key, int] = field(default_factory=dict[Key, int])
    deaths: tuple[Death, ...] = ()
    lanes: int | None = None  # of each fork that adapts, if not as by default

    def __str__(self) -> str:
        parts = [] if self.lanes is None else [f"{LANES}.0={self.lanes}"]
        parts += [
            f"{escaped(point)}.{ordinal}={option}"
            for (point, ordinal), option in self.choices.items()
        ]
        return VERSION + ";".join([*parts, *map(str, self.deaths)])

    def __len__(self) -> int:
        """How many decisions are not the default."""
        return len(self.choices) + sum(1 + max(0, death.wait) for death in self.deaths)

    @property
    def has_timers(self) -> bool:
        """Does it say of an item that its time runs out?"""
        return any(point.endswith(TIMER) for point, _ in self.choices)

    @property
    def comes_in(self) -> int | None:
        """How many items come in, if that is said; there may be no end of others."""
        return self.choices.get(Key(IN, 0))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that a text says; raises `ScheduleMismatch` if it is none."""
        if not text.startswith(VERSION):
            raise ScheduleMismatch(f"{text[:40]!r} is no schedule: it must begin with {VERSION!r}")
        choices: dict[Key, int] = {}
        deaths: list[Death] = []
        for part in filter(None, text.removeprefix(VERSION).split(";")):
            if found := CHOICE.fullmatch(part):
                choices[Key(plain(found["point"]), int(found["ordinal"]))] = int(found["option"])
            elif found := DEATH.fullmatch(part):
                deaths.append(Death.found(found))
            else:
                raise ScheduleMismatch(
                    f"{part!r} is no part of a schedule: write point.ordinal=option, "
                    "or !worker.item.step for a death"
                )
        return cls(choices, tuple(deaths), choices.pop(Key(LANES, 0), None))
