"""One machine's part in the mirroring: what it has to tell each of the others, and what it takes
from them.

This file knows which machine has which end of each channel.  It must never know how news travels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from conveyor.graph.topology import Topology
from conveyor.runtime.mirror.boards import Flags, NodeWords, Orders, Takings
from conveyor.runtime.mirror.channels import Commits, Extents, Records, RingPlace, Standing
from conveyor.runtime.mirror.news import News, stored
from conveyor.runtime.shm.checked import ring_of
from conveyor.runtime.shm.control_block import DONE, NODE_WORDS
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import CONSUMER_SLEEPS, PRODUCER_SLEEPS

__all__ = ["PROGRAM", "Mirror"]

PROGRAM = 0  # the machine of the program


class Mirror:
    """The memory of machine `me`; `homes` says on which machine each node is.

    `wake` wakes the worker of a node.
    """

    def __init__(
        self,
        topology: Topology,
        layout: Layout,
        memory: Memory,
        homes: Mapping[int, int],
        me: int,
        wake: Callable[[int], None],
        sets_clock: int = 0,
    ) -> None:
        self.memory = memory
        self.layout = layout
        self.wake = wake
        self.me = me
        self.homes = homes
        last = len(topology.nodes) - 1
        self.ends = [(each.producer, each.consumer) for each in topology.channels]
        self.ends += [(spec.index, last) for spec in topology.nodes]  # the ledgers
        self.places = [
            RingPlace(number, ring_of(memory, *place), place[0])
            for number, place in enumerate(layout.rings)
        ]
        self.nodes = [node for node, home in homes.items() if home == me]
        self.others = sorted({*homes.values()} - {me})
        self.records: dict[int, list[tuple[int, Records]]] = {to: [] for to in self.others}
        self.extents = {to: Extents(memory) for to in self.others}
        self.commits: dict[int, list[Commits]] = {to: [] for to in self.others}
        self.standing: list[Standing] = []
        self.calls: dict[int, set[int]] = {}  # nodes elsewhere that are to be woken at any rate
        for place, (producer, consumer) in zip(self.places, self.ends, strict=True):
            self.share(place, consumer, homes[producer], homes[consumer])
        self.flags = Flags(memory)
        is_program = me == PROGRAM
        self.boards = [
            NodeWords(layout, memory, node, sets_clock)
            for node in ([] if is_program else self.nodes)
        ]
        self.orders = {to: Orders(layout, memory) for to in self.others if is_program}
        self.takings = {
            to: [Takings(layout, memory, node) for node, home in homes.items() if home == to]
            for to in self.orders
        }

    def share(self, place: RingPlace, consumer: int, producer_at: int, consumer_at: int) -> None:
        """Which part this machine has in a channel."""
        me = self.me
        if producer_at == me != consumer_at:
            records = Records(self.extents[consumer_at], place)
            self.records[consumer_at].append((consumer, records))
        if consumer_at == me != producer_at:
            self.commits[producer_at].append(Commits(place))
        if me != PROGRAM and PROGRAM not in (producer_at, consumer_at):
            produces, consumes = producer_at == me, consumer_at == me
            if produces or consumes:
                self.standing.append(Standing(self.memory, place, produces, consumes))

    # ---------------------------------------------------------------------------
    # what there is to tell

    def is_urgent(self) -> bool:
        """Is there something that the program waits for?"""
        return self.flags.is_set() or any(board.is_news() for board in self.boards)

    def news(self, to: int, rung: Collection[int] = (), with_boards: bool = True) -> News:
        """What has changed here since the last time, for another machine.

        `rung` are the nodes there that were called since; `with_boards`: if that is the program's,
        also the words beside the channels.
        """
        news = News()
        tells_boards = to == PROGRAM and with_boards
        boards, taken, wakes = News(), list[int](), False
        if tells_boards:
            taken = self.flags.taken()
            wakes = sum([board.look(boards) for board in self.boards]) > 0  # each has its look
        if to in self.orders and self.orders[to].look(boards):
            boards.wakes += [each.node for each in self.takings[to]]
        boards.wakes += self.calls.pop(to, ())
        for each in self.takings.get(to, ()):
            each.look(boards)
        fence()
        for consumer, records in self.records.get(to, ()):
            records.look(news, consumer in rung, tells_boards)
        for commits in self.commits.get(to, ()):
            commits.look(news)
        if tells_boards:
            for standing in self.standing:
                standing.look(news)
            Flags.look(taken, boards)
            if wakes or taken:
                boards.wakes.append(len(self.layout.nodes) - 1)
        news.last += boards.last
        news.wakes += boards.wakes
        return news

    # ---------------------------------------------------------------------------
    # what others tell

    def take(self, news: News) -> None:
        """Makes the stores that another machine tells of, and wakes the workers that wait for
        them."""
        stored(self.memory, news.stores)
        for summary in news.summaries:
            word = self.memory.view[summary.tail_at : summary.tail_at + 8].cast("Q")
            if summary.tail > word[0]:  # both ends may tell of it, one later than the other
                stored(self.memory, [*summary.stores, (summary.tail_at, summary.tail)])
        stored(self.memory, news.last)
        fence()
        for number, items, at_once in news.published:
            position = self.places[number].words[CONSUMER_SLEEPS]
            if position and (at_once or items >= position):
                self.wake(self.ends[number][1])
        for number, head in news.committed:
            position = self.places[number].words[PRODUCER_SLEEPS]
            if position and head >= position:
                self.wake(self.ends[number][0])
        for node in news.wakes:
            self.wake(node)

    def renew(self, node: int, block: bytes) -> None:
        """The control block of a node as the program wants it before the next worker."""
        at = self.layout.nodes[node]
        assert len(block) == NODE_WORDS * 8
        self.memory.view[at : at + len(block)] = block
        for board in self.boards:
            if board.at == at:
                board.done = board.words[DONE]
