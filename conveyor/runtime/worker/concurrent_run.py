"""One run of a worker that has several items in hand at once.

This file knows how its drive loop, its hands and its clock are put together.  It must never know
what works on the items.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

from conveyor.core.channel import Note
from conveyor.core.concurrent_drive import drive_concurrent
from conveyor.core.concurrent_node import ConcurrentNode, Held
from conveyor.core.drive import Drive, DriveSpec
from conveyor.core.generations import drive_generations
from conveyor.core.window import SlidingWindow
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.shm.trace_log import SpanKind
from conveyor.runtime.step.contract import WorkFigures
from conveyor.runtime.step.logged import JOIN, RAN_OUT, LoggedEndings
from conveyor.runtime.worker.hands import NotedHands, WorkingHands
from conveyor.runtime.worker.run import Run

__all__ = ["ConcurrentRun"]

QUEUED_NS: Final = 3_000_000  # what a lane's producer is told all hands together take, at most


class FiguresInHand(NodeBlock):
    """Those of a node whose jobs are at work as long as items are in hand, whatever is sent on
    meanwhile."""

    def set_running(self, number: int) -> None:
        """Nothing."""


class ConcurrentRun(Run):
    """As `Run`, of a node with several items in hand."""

    def figures(self) -> WorkFigures:
        return FiguresInHand(self.workplace.block.words)

    def drive(self) -> Drive[Blob]:
        workplace, spec = self.workplace, self.workplace.spec
        node = self.nodes.first
        assert isinstance(node, ConcurrentNode)
        most = spec.concurrency or 1
        self.since = perf_counter_ns()
        self.in_hand = 0
        self.busy: int = self.meter.busy
        self.hands = self.make_hands(node, most)
        self.cost(QUEUED_NS // most)
        driven = DriveSpec(
            node=self.meter,
            inlets=workplace.ends.inputs,
            outlets=workplace.ends.outlets,
            route=spec.route,
            journal=self.journal,
            restored=self.restored,
            selected=self.selecting,
            barriers=self.barriers(),
        )
        if self.restored is not None:
            words, name = len(workplace.window()), spec.done_name
            log = workplace.link.log_decision
            endings = LoggedEndings(log) if workplace.link.control.recording else None
            return drive_generations(
                self.number, driven, node, self.hands, words, name, endings=endings
            )
        window = SlidingWindow(Note(workplace.window()))
        return drive_concurrent(self.number, driven, node, self.hands, window, spec.done_name)

    def make_hands(self, node: ConcurrentNode, most: int) -> WorkingHands:
        workplace, spec = self.workplace, self.workplace.spec
        crew = workplace.crew()
        is_recorded = workplace.link.control.recording
        hands: WorkingHands
        if is_recorded and spec.interleaves:
            hands = NotedHands(crew, node, most, self.changed, self.chose, self.ran_out)
        else:
            chose = self.chose if is_recorded and spec.chooses_done else None
            ran_out = self.ran_out if is_recorded and node.is_async else None
            hands = WorkingHands(crew, node, most, self.changed, chose, ran_out)
        crew.note_steps(hands.stepped if isinstance(hands, NotedHands) else None)
        return hands

    def chose(self, at: int) -> None:
        """Logs which of the items in hand is done, or goes on."""
        self.workplace.link.log_decision(JOIN, at, 1)

    def ran_out(self, held: Held) -> None:
        """Logs that the time of an item in hand ran out."""
        self.workplace.link.log_decision(RAN_OUT, 0, held.ordinal)

    def log_standing(self, ordinal: int) -> None:
        """Nothing: the parent has seen what stands."""

    def changed(self, in_hand: int) -> None:
        """So many are in hand now: until now it was as many as before."""
        now = perf_counter_ns()
        spent = now - self.since
        if self.in_hand:  # what the meter has counted since is part of it
            self.meter.busy = max(self.meter.busy, self.busy + spent)
        self.workplace.block.add_in_hand(self.in_hand, spent, self.meter.busy)
        self.since, self.in_hand, self.busy = now, in_hand, self.meter.busy
        self.workplace.block.set_running(in_hand > 0)
        if (done := self.nodes.first.tally.done) and self.meter.busy:
            most = self.hands.most
            self.cost(min(self.meter.busy // done, QUEUED_NS // most))

    def cost(self, nanoseconds: int) -> None:
        for inlet in self.workplace.ends.inlets:
            inlet.set_cost(nanoseconds + 1)

    def wait(self) -> None:
        started = perf_counter_ns()
        if self.in_hand or not self.workplace.spin(self.loop.able):
            self.sleep_until_able()
        is_blocked = self.loop.blocked()
        if is_blocked or not self.in_hand:
            self.waited(started, is_blocked)
        elif self.trace is not None:  # its items were at work
            self.trace.add(SpanKind.SLICE, started, perf_counter_ns() - started)

    def sleep(self, within: float | None) -> None:
        self.workplace.crew().wait(self.workplace.link)
