"""The post of one machine: letters out, when each of the others is ready for one, and letters in,
in their order.

This file knows the mirror and the wire.  It must never know workers.
"""

from __future__ import annotations

import select
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from conveyor.runtime.hosts.messages import Letter, Message
from conveyor.runtime.hosts.wire import Wire
from conveyor.runtime.mirror.mirror import PROGRAM, Mirror
from conveyor.runtime.mirror.news import News
from conveyor.runtime.shm.wakeup import Wakeup

__all__ = ["Post"]

BOARDS_EVERY_S: Final = 0.02
IDLE_MS: Final = 250


class Post:
    """What one thread of a machine does: it sleeps until there is something to tell or to take.

    `others` are the machines that it writes to.  `kick` ends its sleep; `watched` are the wakeups
    of nodes on other machines, which are rung here in place of their workers.  Where there is no
    mirror the memory is the program's, which knows all of it as it is stored.
    """

    def __init__(
        self, others: Sequence[int], mirror: Mirror | None, kick: Wakeup, watched: dict[int, Wakeup]
    ) -> None:
        self.mirror = mirror
        self.kick = kick
        self.wire: Wire | None = None
        self.rung_by: dict[int, tuple[int, Wakeup]] = {
            wakeup.read_fd: (node, wakeup) for node, wakeup in watched.items()
        }
        self.poll = select.poll()
        for fd in [kick.read_fd, *self.rung_by]:
            self.poll.register(fd, select.POLLIN)
        self.inbox: deque[tuple[int, Letter]] = deque()
        self.outbox: dict[int, list[Message]] = {to: [] for to in others}
        self.rung: dict[int, set[int]] = {to: set() for to in others}
        self.next_letter = dict.fromkeys(others, 0.0)
        self.next_boards = 0.0
        self.has_more = False
        self.sent: Counter[int] = Counter()
        self.taken: Counter[int] = Counter()

    def watch(self, fd: int) -> None:
        """`sleep` ends, too, when this is readable."""
        self.poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        self.poll.unregister(fd)

    def arrived(self, sender: int, letter: Letter) -> None:
        """Called in any thread: a letter has come."""
        self.inbox.append((sender, letter))
        self.kick.notify()

    def put(self, to: int, message: Message) -> None:
        """Called in any thread: this goes with the next letter, behind all that is new by then."""
        self.outbox[to].append(message)
        self.kick.notify()

    def sleep(self) -> set[int]:
        """Waits for something to do; gives the other descriptors that are ready."""
        others: set[int] = set()
        for fd, _ in self.poll.poll(self.patience_ms()):
            if fd == self.kick.read_fd:
                self.kick.clear()
            elif fd in self.rung_by:
                node, wakeup = self.rung_by[fd]
                wakeup.clear()
                assert self.mirror is not None
                self.rung[self.mirror.homes[node]].add(node)
                self.has_more = True
            else:
                others.add(fd)
        return others

    def patience_ms(self) -> float:
        """Until a letter may go out that is held back."""
        now = monotonic()
        waits = [float(IDLE_MS)]
        if self.has_more:
            waits += [(at - now) * 1000 for at in self.next_letter.values() if at > now]
        if PROGRAM in self.outbox and self.mirror is not None:
            waits.append(1000 * max(self.next_boards - now, 0.0) or 1000 * BOARDS_EVERY_S)
        return max(0.0, min(waits)) + 0.5

    def take_letters(self, handle: Callable[[int, Message], None]) -> None:
        """Takes what has come; `handle` gets what is not for the mirror."""
        while self.inbox:
            sender, letter = self.inbox.popleft()
            for message in letter:
                if isinstance(message, News):
                    assert self.mirror is not None
                    self.taken[sender] += 1
                    self.mirror.take(message)
                else:
                    handle(sender, message)
            self.has_more = True

    def send_letters(self, answer: Callable[[Message], Message]) -> None:
        """Sends what is new to all that are ready for it; `answer` has the last word on each
        message, once all that goes before it is known."""
        assert self.wire is not None
        now = monotonic()
        self.has_more = False
        for to, waiting in self.outbox.items():
            is_due = now >= self.next_letter[to] or bool(waiting)
            if not (is_due and self.wire.is_ready(to)):
                self.has_more = True
                continue
            count = len(waiting)
            letter: Letter = []
            if news := self.news(to, bool(waiting), now):
                self.sent[to] += 1
                letter.append(news)
            letter += [answer(message) for message in waiting[:count]]
            del waiting[:count]
            if letter:
                self.next_letter[to] = now + self.wire.gather_s
                self.wire.send(to, letter)

    def news(self, to: int, with_boards: bool, now: float) -> News:
        if self.mirror is None:
            return News()
        rung = self.rung[to]
        self.rung[to] = set()
        with_boards = with_boards or now >= self.next_boards or self.mirror.is_urgent()
        if to == PROGRAM and with_boards:
            self.next_boards = now + BOARDS_EVERY_S
        return self.mirror.news(to, rung, with_boards)
