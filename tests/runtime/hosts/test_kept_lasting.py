"""What a stream on several machines keeps, in memory and in its checkpoint, whatever happens
between any two of its calls: a machine is lost, a manifest cannot be written, the program closes or
dies.

The engine is a model: items are on their way, and come out in any order between two barriers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from conveyor._builder.kept_stream import KeptStream
from conveyor.core.epochs import Manifest
from conveyor.core.keeping import Windows
from conveyor.report import Report
from conveyor.runtime.hosts.kept_lasting import KeptLasting

N = 40
WINDOWS = Windows(1, 1, N, 1.0, 1.0)


class Disk:
    """The manifests; `fails` says what happens at the next one."""

    def __init__(self) -> None:
        self.there: list[Manifest] = []
        self.fails = ""

    def newest(self) -> Sequence[Manifest]:
        return self.there[::-1]

    def write(self, manifest: Manifest) -> None:
        fails, self.fails = self.fails, ""
        if fails == "before":
            raise OSError("no space left")
        self.there = [each for each in self.there if each.epoch != manifest.epoch] + [manifest]
        if fails == "behind":
            raise OSError("the directory could not be synced")

    def forget(self, before: int) -> None:
        self.there = [each for each in self.there if each.epoch >= before]

    def release(self) -> None:
        """Nobody else has it."""


class Program:
    """One life of a program, which takes what comes of the items, and acknowledges it."""

    def __init__(self, disk: Disk, random: Random) -> None:
        self.disk, self.random = disk, random
        kept = self.kept = KeptStream([*range(N)], disk, 1.0)
        self.results = deque[Any](kept.earlier)
        self.seen: list[Any] = []
        self.acknowledged = 0
        self.is_finished = kept.manifest is not None and kept.manifest.is_finished
        self.lasting = KeptLasting(kept.items(), WINDOWS, self.results.extend, kept, kept)
        self.begin(self.lasting.rest())

    def begin(self, items: Any) -> None:
        """Other workers go on."""
        self.items: Iterator[Any] = iter(items)
        self.pulled = 0
        self.before: list[Any] = []  # that are on their way before the barrier
        self.behind: list[Any] = []
        self.barrier = -1  # so many items came before it, if one is on its way
        self.is_through = self.is_saved = self.has_ended = False

    # what may happen

    def pull(self) -> None:
        for item in self.items:
            self.pulled += 1
            (self.before if self.barrier < 0 else self.behind).append(item)
            return
        self.has_ended = True

    def come(self) -> None:
        on_their_way = self.behind if self.is_through else self.before
        if on_their_way:
            self.lasting.take([on_their_way.pop(self.random.randrange(len(on_their_way)))])

    def send(self) -> None:
        if self.barrier < 0:
            self.barrier = self.pulled

    def comes_through(self) -> None:
        if self.barrier >= 0 and not self.before and not self.is_through:
            self.is_through = True
            self.lasting.mark()
            self.lasting.hold()

    def note(self) -> None:
        if self.is_through and not self.is_saved:
            self.lasting.note(self.barrier, {}, ())
            self.go_on()

    def save(self) -> None:
        if self.is_through and not self.is_saved:
            self.lasting.complete(self.barrier, {}, (), False)
            self.is_saved = True

    def go_on_behind_what_is_saved(self) -> None:
        if self.is_saved:
            self.go_on()

    def go_on(self) -> None:
        self.lasting.go_on()
        self.before, self.behind = self.behind, []
        self.barrier, self.is_through, self.is_saved = -1, False, False

    def lose_a_machine(self) -> None:
        self.go_on_behind_what_is_saved()
        self.begin(self.lasting.begin_again())

    def fail(self) -> None:
        self.disk.fails = self.random.choice(["before", "behind"])

    def take(self) -> None:
        if self.results:
            self.seen.append(self.results.popleft())
            self.lasting.gave(self.seen[-1:])

    def acknowledge(self) -> None:
        self.lasting.acknowledge(self.lasting.given)
        self.acknowledged = len(self.seen)

    # how it ends

    def may_finish(self) -> bool:
        return self.has_ended and self.barrier < 0 and not self.before

    def finish(self) -> None:
        self.lasting.complete(self.pulled, {}, (), True)
        self.lasting.finish(Report({}, 0.0), ())
        self.is_finished = True

    def close(self) -> None:
        """What was acknowledged is durable then."""
        self.go_on_behind_what_is_saved()
        assert not self.lasting.lacks() or self.lasting.write_again()
        self.lasting.over()

    def live(self) -> bool:
        """Until it ends or dies; was it closed?"""
        acts: list[Callable[[], None]] = [
            *[self.pull, self.come, self.take] * 4,
            *[self.send, self.comes_through, self.note, self.save] * 2,
            *[self.go_on_behind_what_is_saved, self.acknowledge] * 2,
        ]
        for _ in range(self.random.randrange(300)):
            if self.is_finished:
                self.random.choice([self.take, self.take, self.acknowledge])()
            elif self.may_finish() and self.random.random() < 0.3:
                self.finish()
            else:
                seldom = self.random.random() < 0.03
                self.random.choice([self.lose_a_machine, self.fail] if seldom else acts)()
        return self.random.random() < 0.6


def play(seed: int) -> None:
    """Programs, one behind the other, of one checkpoint."""
    random, disk = Random(seed), Disk()
    left = [*range(N)]
    for _ in range(8):
        program = Program(disk, random)
        try:
            closes = program.live()
        except OSError:  # of a stream that a manifest has ended
            program.is_saved = False
            closes = True
        disk.fails = ""
        if closes:
            program.close()
        left = what_is_left(disk, program, left, closes)


def what_is_left(disk: Disk, program: Program, left: list[Any], closed: bool) -> list[Any]:
    """Compares what the next program finds with what this one has had to do, seen and
    acknowledged; gives what that is."""
    seen, found = program.seen, KeptStream([*range(N)], disk, 1.0)
    earlier = [*found.earlier]
    is_finished = found.manifest is not None and found.manifest.is_finished
    rest = earlier + ([] if is_finished else [*found.items()])
    done = len(left) - len(rest)
    assert len({*seen}) == len(seen), "a result came twice"
    assert done == program.acknowledged if closed else done <= program.acknowledged
    assert sorted(seen[:done] + rest) == sorted(left)
    again = seen[done : done + len(earlier)]
    assert earlier[: len(again)] == again, "what was taken comes again in another order"
    return rest


@pytest.mark.parametrize("seed", range(0, 400, 100))
def test_nothing_is_lost_and_nothing_that_was_acknowledged_comes_again(seed: int) -> None:
    for each in range(seed, seed + 100):
        play(each)
