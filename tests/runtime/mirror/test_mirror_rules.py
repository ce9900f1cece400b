"""Mirrors between machines, whatever happens between any two of their stores: everything arrives
once and whole, nobody sleeps for ever, and what a word speaks of is there before the word is.

Each rule is then broken on purpose, and must be missed.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.runtime.mirror.boards import NodeWords, OfBuffer, OfLog, Orders, Takings
from conveyor.runtime.mirror.channels import Commits, Records, Standing
from conveyor.runtime.mirror.mirror import Mirror
from conveyor.runtime.mirror.news import News, copy_of
from tests.helpers import PROVE, takes_long
from tests.runtime.mirror.line import Line

MOST = 1000 if PROVE else 25  # plays of whatever may happen
AT_ONCE = 25  # of them are one test
UNTIL_FOUND = 300


@takes_long
@settings(deadline=None, max_examples=MOST)
@given(st.integers(0, 1 << 32), st.integers(0, 4))
def test_whatever_happens_in_between_all_is_as_on_one_machine(seed: int, every: int) -> None:
    Line(seed, every=every).play()


# -------------------------------------------------------------------------- rules broken on purpose


ANY: Mapping[str, Any] = {}
MANY: Mapping[str, Any] = {"n_items": 16}
BARRED: Mapping[str, Any] = {"every": 2}
FULL_AND_NEAR: Mapping[str, Any] = {"b_at": 1, "size": 2600, "n_items": 16}
FAR_AHEAD: Mapping[str, Any] = {
    "b_at": 1, "size": 1300, "n_items": 64, "capacity": 32, "bursts": True
}  # fmt: skip


class Broken(NamedTuple):
    """A method, what stands in it, and what stands there instead; `line`: where it shows, and
    `seed`: from which one on."""

    method: Any
    instead: dict[str, str]
    line: Mapping[str, Any] = ANY
    seed: int = 0


BROKEN = {
    "a tail goes before its records": Broken(
        Records.look,
        {"news.stores += [*extents, *self.place.bytes(self.tail, upto)]": "new = news.stores[:]",
         "self.tail = upto\n": "news.stores += [*extents, *self.place.bytes(self.tail, upto)]\n"
         "        self.tail = upto\n"},
    ),
    "what lies outside of a ring is left out": Broken(Records.records, {"extents += new": "pass"}),
    "the end is looked at behind the tail": Broken(
        Records.look,
        {"closed = words[CLOSED]\n    fence()\n    tail = words[TAIL]":
         "tail = words[TAIL]\n    fence()\n    closed = words[CLOSED]"},
    ),
    "the end is told with a part of what is before it": Broken(
        Records.look, {"ends = ends and upto == tail": "pass"}
    ),
    "done is told with a part of what is before it": Broken(
        Mirror.news, {"records.look(news, consumer in rung, tells_boards)":
                      "records.look(news, consumer in rung, False)"},
    ),
    "the head is looked at before the bytes": Broken(
        Commits.look,
        {"cost, head_bytes = words[COST], words[HEAD_BYTES]": "head = words[HEAD]",
         "now = head, head_bytes, cost = words[HEAD], head_bytes, cost":
         "now = head, head_bytes, cost = head, words[HEAD_BYTES], words[COST]"},
    ),
    "the bytes are stored before the head": Broken(
        Commits.look, {"(place.word(HEAD), head),\n": "", "(place.word(COST), cost),":
                       "(place.word(COST), cost),\n        (place.word(HEAD), head),"},
    ),
    "nothing rings for a record": Broken(
        Records.__init__, {"place.words[CONSUMER_SLEEPS] = 1": "pass"}
    ),
    "nothing rings for a commit": Broken(
        Commits.__init__, {"place.words[PRODUCER_SLEEPS] = 1": "pass"}, MANY,
        seed=122,
    ),
    "a producer that waits for room is not told of": Broken(
        Records.look, {"presses or ends or bars))": "ends or bars))"}
    ),
    "nor sent, where that is all there is": Broken(
        News.__bool__, {"or self.published": ""}, seed=9
    ),
    "the end wakes nobody": Broken(
        Records.look, {"presses or ends or bars))": "presses or bars))"}, seed=36
    ),
    "a barrier wakes nobody": Broken(
        Records.look, {"presses or ends or bars))": "presses or ends))"}, BARRED
    ),
    "a barrier wakes nobody for what is before it and told later": Broken(
        Records.look, {"bars = bars or self.is_barred": "pass"}, {"every": 4}, seed=7
    ),
    "a barrier is looked at before the tail": Broken(
        Records.look,
        {"bars = self.look_for_barrier(news)\n": "pass\n",
         "closed = words[CLOSED]\n": "bars = self.look_for_barrier(news)\n    fence()\n"
         "    closed = words[CLOSED]\n"},
        BARRED,
        seed=32,
    ),
    "a barrier is stored behind what stands behind it": Broken(
        Records.look,
        {"bars = self.look_for_barrier(news)\n":
         "later = News()\n    bars = self.look_for_barrier(later)\n",
         "news.published.append(": "news.stores += later.stores\n    news.published.append("},
        BARRED,
        seed=34,
    ),
    "the number of a barrier is stored before its position": Broken(
        Records.look_for_barrier,
        {"(place.word(BARRIER_AT), place.words[BARRIER_AT]),\n": "",
         "(place.word(BARRIER), number),": "(place.word(BARRIER), number),\n"
         "        (place.word(BARRIER_AT), place.words[BARRIER_AT]),"},
        BARRED,
    ),
    "whoever waits is woken before what it waits for is there": Broken(
        Mirror.take,
        {"stored(self.memory, news.stores)\n": "pass\n",
         "for node in news.wakes:":
         "stored(self.memory, news.stores)\n    for node in news.wakes:"},
    ),
    "what a word speaks of is looked at before the word": Broken(
        Mirror.news,
        {"wakes = sum([board.look(boards) for board in self.boards]) > 0": "pass",
         "Flags.look(taken, boards)":
         "wakes = sum([board.look(boards) for board in self.boards]) > 0\n"
         "        Flags.look(taken, boards)"},
        seed=14,
    ),
    "done is looked at behind the counts": Broken(
        NodeWords.look,
        {"done = self.words[DONE]\n": "pass\n",
         "has_finished = done != self.done":
         "done = self.words[DONE]\n    has_finished = done != self.done"},
    ),
    "done is stored before the counts": Broken(
        NodeWords.look,
        {"stores.append((self.at + DONE * WORD, done))":
         "stores.insert(0, (self.at + DONE * WORD, done))"},
    ),
    "counts are copied while they are written": Broken(
        copy_of, {"return words if words == bytes(memory.view[at : at + size]) else None":
                  "return words"},
        seed=525,
    ),
    "a clock is not set": Broken(
        NodeWords.look, {"self.with_clock(words) if at == self.at + WORD else words": "words"}
    ),
    "how much is logged goes before it": Broken(
        OfLog.look,
        {"news.last.append((self.at + decision_log.WRITTEN":
         "news.last.insert(0, (self.at + decision_log.WRITTEN"},
    ),
    "how much jobs have logged goes before it": Broken(
        OfBuffer.look,
        {"news.last.append((self.at + log_buffer.WRITTEN":
         "news.last.insert(0, (self.at + log_buffer.WRITTEN"},
    ),
    "the number of a run is looked at last": Broken(
        Orders.look, {"reversed(OF_PROGRAM)][::-1]": "OF_PROGRAM]"}
    ),
    "the number of a run is stored first": Broken(
        Orders.look,
        {"in zip(OF_PROGRAM, now, self.told, strict=True)\n        if":
         "in list(zip(OF_PROGRAM, now, self.told, strict=True))[::-1]\n        if"},
        seed=60,
    ),
    "whose limits are lifted is not woken": Broken(
        Takings.look, {"news.wakes.append(self.node)": "pass"}
    ),
    "of two that tell of a channel the later counts": Broken(
        Mirror.take, {"if summary.tail > word[0]:": "if True:"}
    ),
    "a head is looked at behind the tail": Broken(
        Standing.look,
        {"heads, closed = (words[HEAD], head_bytes), words[CLOSED]": "closed = words[CLOSED]",
         "last: list[Store] = []":
         "fence()\n    heads = (words[HEAD], words[HEAD_BYTES])\n    last: list[Store] = []"},
        FULL_AND_NEAR,
        seed=11,
    ),
    "a head is told without the newest record": Broken(
        Standing.look, {"return  # nor": "stores = ()  # nor"}, FULL_AND_NEAR, seed=312
    ),
    "a record is copied that was written over": Broken(
        Standing.newest, {"if ahead + length > ring.size:": "if False:"}, FAR_AHEAD, seed=109
    ),
}  # fmt: skip


def broken(rule: Broken) -> Any:
    """The same function with other words in it."""
    source = textwrap.dedent(inspect.getsource(rule.method))
    for there, instead in rule.instead.items():
        assert source.count(there) == 1, f"{there!r} is not in {rule.method.__qualname__}"
        source = source.replace(there, instead)
    found: dict[str, Any] = {}
    exec(source, rule.method.__globals__, found)
    return found[rule.method.__name__]


def differs(seed: int, line: Mapping[str, Any] = ANY) -> bool:
    try:
        Line(seed, **line).play()
    except Exception:  # whatever shows
        return True
    return False


PLAYS = {
    "any": (ANY, AT_ONCE),  # of this and the next, more are drawn above
    "barred": (BARRED, AT_ONCE),
    "many": (MANY, MOST),
    "full and near": (FULL_AND_NEAR, MOST),
    "far ahead": (FAR_AHEAD, MOST // 5),
}


@pytest.mark.parametrize(
    ("name", "first"),
    [(name, first) for name, (_, plays) in PLAYS.items() for first in range(0, plays, AT_ONCE)],
)
def test_where_no_rule_is_broken_nothing_is_missed(name: str, first: int) -> None:
    line, plays = PLAYS[name]
    for seed in range(first, min(first + AT_ONCE, plays)):
        Line(seed, **line).play()


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_that_is_broken_is_missed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = BROKEN[name].method
    instead = broken(BROKEN[name])
    owner = inspect.getmodule(method)
    for part in method.__qualname__.split(".")[:-1]:
        owner = getattr(owner, part)
    if owner is inspect.getmodule(method):  # others have it by its name
        monkeypatch.setattr("conveyor.runtime.mirror.boards.copy_of", instead)
    else:
        monkeypatch.setattr(owner, method.__name__, instead)
    first, line = BROKEN[name].seed, BROKEN[name].line
    assert any(differs(seed, line) for seed in range(first, first + UNTIL_FOUND))
