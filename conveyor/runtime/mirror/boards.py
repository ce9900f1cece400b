"""The words beside the channels, on their way between the workers and the program.

This file knows which side writes which, and what has to be there before.  It must never know what
follows from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from conveyor.runtime.mirror.news import News, Store, copy_of
from conveyor.runtime.shm import decision_log, log_buffer
from conveyor.runtime.shm.control_block import (
    ATTENTION,
    DONE,
    GUIDED,
    ITEM_SINCE,
    LEVELS,
    LEVELS_SIZE,
    LOGGED,
    NODE_WORDS,
    PIPELINE_WORDS,
    RECORDING,
    RUN,
    SOFT_LIMITS_LIFTED,
    STOP,
)
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import LOG_WORDS, Layout
from conveyor.runtime.shm.log_buffer import LOG_BUFFER_WORDS
from conveyor.runtime.shm.memory import Memory

__all__ = ["Flags", "NodeWords", "Orders", "Takings", "fresh_block"]

WORD: Final = 8  # bytes

# In the order in which they are stored: the number of the run says that the others are there.
OF_PROGRAM: Final = (GUIDED, RECORDING, LEVELS_SIZE, LEVELS, STOP, RUN)


def fresh_block(memory: Memory, layout: Layout, node: int) -> bytes:
    """The control block of a node, as it stands before its next worker."""
    at = layout.nodes[node]
    return bytes(memory.view[at : at + NODE_WORDS * WORD])


class Flags:
    """On the machine of workers: whether the program is to look at what they have written."""

    def __init__(self, memory: Memory) -> None:
        self.words = memory.view[: PIPELINE_WORDS * WORD].cast("Q")

    def taken(self) -> list[int]:
        """Which are set; from now on they are not.  What they speak of is looked at after this."""
        found = [flag for flag in (ATTENTION, LOGGED) if self.words[flag]]
        for flag in found:
            self.words[flag] = 0
        fence()
        return found

    def is_set(self) -> bool:
        return bool(self.words[ATTENTION] or self.words[LOGGED])

    @staticmethod
    def look(taken: Sequence[int], news: News) -> None:
        news.last += [(flag * WORD, 1) for flag in taken]


class NodeWords:
    """On the machine of a worker: what it writes of one node.

    `sets_clock` is what to add to its times, for the program's clock.
    """

    def __init__(self, layout: Layout, memory: Memory, node: int, sets_clock: int) -> None:
        self.memory = memory
        self.at = layout.nodes[node]
        self.words = layout.node(memory, node)
        self.sets_clock = sets_clock
        self.done = 0
        self.parts = [
            (self.at + WORD, (SOFT_LIMITS_LIFTED - 1) * WORD),
            (
                self.at + (SOFT_LIMITS_LIFTED + 1) * WORD,
                (NODE_WORDS - SOFT_LIMITS_LIFTED - 1) * WORD,
            ),
            (layout.first_notes[node], layout.words_of_notes[node] * WORD),
            (layout.states[node], layout.words_of_states[node] * WORD),
        ]
        if node in layout.windows:
            words, at = layout.windows[node]
            self.parts.append((at, words * WORD))
        self.told: dict[int, bytes] = {at: bytes(size) for at, size in self.parts}
        self.log = OfLog(memory, layout.logs[node]) if node in layout.logs else None
        self.buffer = OfBuffer(
            memory, layout.log_buffers[node], layout.log_buffer(memory, node).base
        )

    def is_news(self) -> bool:
        """Has it finished a run, which the program may be waiting for?"""
        return self.words[DONE] != self.done

    def look(self, news: News) -> bool:
        """Adds what is new; is the program to be woken for it?"""
        done = self.words[DONE]
        fence()
        stores: list[Store] = []
        for at, size in self.parts:
            if (words := copy_of(self.memory, at, size, self.told[at])) is not None:
                self.told[at] = words
                stores.append((at, self.with_clock(words) if at == self.at + WORD else words))
        if self.log is not None:
            self.log.look(news)
        self.buffer.look(news)
        has_finished = done != self.done
        if has_finished:
            self.done = done
            stores.append((self.at + DONE * WORD, done))
        news.last += stores
        return has_finished

    def with_clock(self, words: bytes) -> bytes:
        """The same, with the time at which the item began on the program's clock."""
        copy = bytearray(words)
        view = memoryview(copy).cast("Q")
        if since := view[ITEM_SINCE - 1]:
            view[ITEM_SINCE - 1] = max(1, since + self.sets_clock)
        return bytes(copy)


class OfLog:
    """What a worker has decided, if the run is recorded."""

    def __init__(self, memory: Memory, at: int) -> None:
        self.at = at
        self.words = memory.view[at : at + LOG_WORDS * WORD].cast("Q")
        self.written = 0

    def look(self, news: News) -> None:
        """Adds what is new; a worker whose log fills up calls the program itself."""
        words = self.words
        written = words[decision_log.WRITTEN]
        if written == self.written:
            return
        fence()
        for number in range(self.written, written):
            place = decision_log.FIRST + number % decision_log.ENTRIES
            news.last.append((self.at + place * WORD, bytes(words[place : place + 1])))
        news.last.append((self.at + decision_log.WRITTEN * WORD, written))
        self.written = written


class OfBuffer:
    """What the jobs of a worker have logged."""

    def __init__(self, memory: Memory, at: int, base: int) -> None:
        self.memory = memory
        self.at = at
        self.base = base
        self.words = memory.view[at : at + LOG_BUFFER_WORDS * WORD].cast("Q")
        self.written = self.dropped = 0

    def look(self, news: News) -> None:
        words, size = self.words, log_buffer.SIZE
        written, dropped = words[log_buffer.WRITTEN], words[log_buffer.DROPPED]
        fence()
        at = self.written
        while at < written:
            place = at % size
            upto = min(written, at + size - place)
            there = self.memory.at(self.base, size)
            news.last.append((self.base + place, bytes(there[place : place + upto - at])))
            at = upto
        if (written, dropped) != (self.written, self.dropped):
            self.written, self.dropped = written, dropped
            news.last.append((self.at + log_buffer.DROPPED * WORD, dropped))
            news.last.append((self.at + log_buffer.WRITTEN * WORD, written))


class Orders:
    """On the program's machine: what it tells all workers."""

    def __init__(self, layout: Layout, memory: Memory) -> None:
        self.memory = memory
        self.levels_base = layout.levels_base
        self.words = memory.view[: PIPELINE_WORDS * WORD].cast("Q")
        self.told = [0] * len(OF_PROGRAM)

    def look(self, news: News) -> bool:
        """Adds what is new, to be stored last; are the workers to be woken?"""
        now = [self.words[word] for word in reversed(OF_PROGRAM)][::-1]
        if now == self.told:
            return False
        of = dict(zip(OF_PROGRAM, now, strict=True))
        if of[LEVELS] != dict(zip(OF_PROGRAM, self.told, strict=True))[LEVELS]:
            news.last.append(
                (self.levels_base, self.memory.read_at(self.levels_base, of[LEVELS_SIZE]))
            )
        news.last += [
            (word * WORD, value)
            for word, value, before in zip(OF_PROGRAM, now, self.told, strict=True)
            if value != before
        ]
        self.told = now
        return True


class Takings:
    """On the program's machine: what it has taken of what one node has written, and what it asks of
    its worker."""

    def __init__(self, layout: Layout, memory: Memory, node: int) -> None:
        self.node = node
        words = [
            (layout.nodes[node], SOFT_LIMITS_LIFTED),
            (layout.log_buffers[node], log_buffer.TAKEN),
        ]
        if node in layout.logs:
            words.append((layout.logs[node], decision_log.TAKEN))
        self.places = [at + word * WORD for at, word in words]
        self.words = [memory.view[at : at + WORD].cast("Q") for at in self.places]
        self.told = [0] * len(words)

    def look(self, news: News) -> None:
        now = [word[0] for word in self.words]
        if now == self.told:
            return
        for at, value, before in zip(self.places, now, self.told, strict=True):
            if value != before:
                news.last.append((at, value))
        if now[:1] + now[2:] != self.told[:1] + self.told[2:]:
            news.wakes.append(self.node)
        self.told = now
