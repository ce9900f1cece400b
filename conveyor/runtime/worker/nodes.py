"""The nodes that do the work of one run of a worker, and what they ask of it.

This file knows which item of the run a job is at.  It must never know how the worker waits for its
channels.

A *place* is the input of an item and its position there.  Where several jobs share a worker, only
the first one reads an input.  For each of the others the position counts what came to it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from conveyor.core.crashes import Past
from conveyor.core.failures import letter_sent
from conveyor.core.fused_node import FusedNode, loop_through
from conveyor.core.job_node import ItemClock, JobNode, Node, Surroundings
from conveyor.core.journal import Journal
from conveyor.core.nodes import RelayNode, node_for
from conveyor.core.selecting import SelectingNode
from conveyor.core.stamps import MARK
from conveyor.core.timekeeper import pause_before
from conveyor.graph.route import Select
from conveyor.items.sealing import Copied
from conveyor.report import DeadLetter, Tally
from conveyor.runtime.process.circumstances import flush
from conveyor.runtime.step.balancing import room_in
from conveyor.runtime.step.batching import MeasuredNode, ShortLinger
from conveyor.runtime.step.sampling import Sampler
from conveyor.runtime.worker.order import SentDeadLetter
from conveyor.runtime.worker.workplace import Workplace
from conveyor.stages import Job, concurrency_of

__all__ = ["RunNodes"]


class RunNodes:
    """The nodes of one run: `first` reads the inputs, `parts` run behind it in the same worker, and
    `node` is all of them as one.

    The journal, which is made from their counts, must be set before the first item.
    """

    def __init__(self, workplace: Workplace, run: int) -> None:
        self.workplace = workplace
        self.run = run
        self.journal: Journal | None = None
        self.began_ns = self.spent_ns = 0  # of the job that has a time limit
        stages = workplace.jobs.stages
        self.first = self.first_node()
        others = [self.inner_node(number) for number in range(1, len(stages))]
        self.parts = [
            MeasuredNode(node, block)
            for node, block in zip(others, workplace.blocks[1:], strict=True)
        ]
        self.fused: FusedNode | None = None
        if isinstance(self.first, JobNode) and self.parts:
            self.fused = self.fuse(self.first)

    @property
    def node(self) -> Node:
        return self.fused or self.first

    def sampler(self) -> Sampler:
        """What times the jobs now and then."""
        nodes = [self.first, *[part.node for part in self.parts]]
        jobs = [node for node in nodes if isinstance(node, JobNode)]
        return Sampler(jobs, self.workplace.block)

    @property
    def owner(self) -> Tally:
        """Counts what comes out of the last of them."""
        return self.parts[-1].tally if self.parts else self.first.tally

    def selecting(self) -> SelectingNode | None:
        """What asks the fork behind them for the lane of each item, if that has a function."""
        fork, route = self.workplace.jobs.fork, self.workplace.spec.route
        if fork is None or not isinstance(route, Select):
            return None
        return SelectingNode(fork, route, self.owner, self.send_dead_letter)

    def first_node(self) -> Node:
        """The node that reads the inputs; it is more careful where workers died at an item."""
        stages = self.workplace.jobs.stages
        if not stages:
            return RelayNode()
        is_concurrent = concurrency_of(stages[0]) is not None
        around = Surroundings(
            fused=len(stages) > 1,
            place=self.place_in_run,
            pause=self.workplace.crew().pause if is_concurrent else self.pause,
            past=self.past(0, self.place),
            clock=self.clock(stages[0], is_concurrent),
            # Which no two threads may use at once
            keep=Copied if is_concurrent else self.workplace.ends.outlets[0].allocator.keep,
            room=self.room,
            awaits=self.workplace.awaits,
            linger=ShortLinger(),
        )
        return node_for(stages[0], self.workplace.spec.name, self.send_dead_letter, around)

    def clock(self, stage: Job[object, object], is_concurrent: bool) -> ItemClock | None:
        """What tells the parent of the items of a stage that has a time limit."""
        if stage.stage_options.timeout_s is None:
            return None
        return self.workplace.crew().clock if is_concurrent else self

    def inner_node(self, number: int) -> JobNode:
        """The node of a job behind another in this worker."""
        node: JobNode
        workplace = self.workplace
        name = workplace.order.topology.nodes[workplace.parts[number]].name

        def place(index: int) -> tuple[int, int]:
            if self.is_tracked:
                return self.place(index)
            return 0, node.tally.items_in - node.size + index

        def place_in_run(index: int) -> tuple[int, int]:
            position = place(index)[1]
            return 0, workplace.since_start(0, position) if self.is_tracked else position

        around = Surroundings(
            fused=True,
            place=place_in_run,
            pause=self.pause,
            past=self.past(number, place),
            awaits=self.workplace.awaits,
        )
        node = node_for(workplace.jobs.stages[number], name, self.send_dead_letter, around)
        return node

    def fuse(self, first: JobNode) -> FusedNode:
        """All jobs of the worker as one node."""
        loop = loop_through([first, *[part.node for part in self.parts]])
        blocks = self.workplace.blocks

        def begins(number: int, items: list[object]) -> None:
            if number:
                blocks[number].hold_more(*self.held_by(self.parts[number - 1].node, items))
            blocks[0].set_running(number + 1)

        return FusedNode(first, self.parts, begins, loop)

    @property
    def is_tracked(self) -> bool:
        """Is the worker in a lane of an ordered join?

        There a mark goes on in the place of what a job drops, so the position of an item is the
        same before each of the worker's jobs.
        """
        return self.workplace.spec.depth > 0 and len(self.workplace.ends.inputs) == 1

    def held_by(self, node: JobNode, items: list[object]) -> tuple[int, int]:
        """The first position of the items that come to a job behind another in this worker, and of
        how many positions they are."""
        if not self.is_tracked:
            return node.tally.items_in, len(items)
        places = range(len(items))
        first, last = [
            self.place(next(at for at in way if items[at] is not MARK))[1]
            for way in (places, reversed(places))
        ]
        return first, last - first + 1

    def place(self, index: int) -> tuple[int, int]:
        """The place of an item of the slice in hand, counted since the channels were made."""
        assert self.journal is not None
        return self.journal.place(index)

    def place_in_run(self, index: int) -> tuple[int, int]:
        """The same, counted from the run's start."""
        source, position = self.place(index)
        return source, self.workplace.since_start(source, position)

    def past(
        self, number: int, place: Callable[[int], tuple[int, int]]
    ) -> Callable[[int], Past] | None:
        """What tells how earlier workers fared with an item of one of the stages; None if none died
        in this run."""
        history = self.workplace.histories[number]
        if not history.deaths or not self.workplace.is_successor(self.run):
            return None
        return lambda index: history.past(*place(index))

    def room(self) -> int:
        """How many items to take at once at most, for the sake of the consumers.

        Behind a zip one lane can stay full while another is empty.  There, a record must fit into
        the room that is free now.  Elsewhere a record is as large as it may be, and waits.
        """
        outlets = self.workplace.ends.outlets
        if self.workplace.has_zips:
            return room_in(outlets)
        return min([outlet.at_once for outlet in outlets])

    def inputs_for(self, outputs: int) -> int:
        """How many items to take so that about so many outputs come of them.

        Of what gathers many items in one, or drops most, more are taken: its outputs may be so
        large that one makes a record.
        """
        if self.workplace.has_zips:
            return outputs  # the room that there is now must be enough, whatever comes
        last = self.parts[-1] if self.parts else self.first
        return outputs * max(1, self.first.tally.items_in // max(1, last.tally.items_out))

    def start(self, index: int) -> None:
        """A job that has a time limit begins with an item."""
        self.began_ns = perf_counter_ns()
        self.workplace.block.set_item(self.place(index)[1], self.began_ns)

    def stop(self) -> None:
        """The job has ended with its item, or waits with it."""
        self.spent_ns = perf_counter_ns() - self.began_ns
        self.workplace.block.set_no_item()

    def go_on(self, index: int) -> None:
        """The job goes on with the item with which it waited."""
        self.began_ns = perf_counter_ns() - self.spent_ns
        self.workplace.block.set_item(self.place(index)[1], self.began_ns)

    def pause(self, attempt: int) -> None:
        """Waits before an attempt."""
        flush()
        block = self.workplace.block
        running = block.running
        block.set_running(0)  # a worker that is killed meanwhile is not killed by the item
        self.workplace.link.sleep_for(pause_before(attempt))
        block.set_running(running)

    def send_dead_letter(self, letter: DeadLetter) -> None:
        node = self.workplace.order.node
        self.workplace.link.report(SentDeadLetter(node, letter_sent(letter)))
