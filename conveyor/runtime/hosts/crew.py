"""The crew of a deployment whose workers are on other machines.

Knows: the hosts, and what they tell.  Must never know: what carries it, what is decided about
workers.

Rule 1.  A thread of its own does the program's part of the mirroring; so it goes on whatever the
         thread that runs is at.
Rule 2.  A worker's end is known here only once all is here that it had stored.
Rule 3.  A host that is gone ends the run, with its name; no wait outlasts it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Final

from conveyor.core.epochs import NodeState
from conveyor.errors import HostLost, RunError
from conveyor.graph.topology import Topology
from conveyor.runtime.hosts.lending import memories
from conveyor.runtime.hosts.messages import (
    Asked,
    Ended,
    Failed,
    LetGo,
    Message,
    Notes,
    NotesAsked,
    Pressed,
    Start,
    Started,
    Told,
)
from conveyor.runtime.hosts.post import Post
from conveyor.runtime.hosts.remote_process import RemoteProcess
from conveyor.runtime.hosts.stillness import Counts, Stillness
from conveyor.runtime.hosts.wire import Network
from conveyor.runtime.mirror.boards import fresh_block
from conveyor.runtime.mirror.mirror import PROGRAM, Mirror
from conveyor.runtime.parent.crew import Birth
from conveyor.runtime.parent.noted import Noted, noted_at
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.process.deferral import deliver
from conveyor.runtime.shm.wakeup import GuardedWakeup

__all__ = ["HostsCrew", "SharedByHosts"]

GLANCE_S: Final = 0.05
ASK_EVERY_S: Final = 0.1
END_S: Final = 5.0


class SharedByHosts(Shared):
    """What the program has of the memory: no worker sleeps on this machine."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology, workers=())
        self.wake_far: Callable[[int], None] = lambda node: None
        self.here = {*self.ends_of_program}  # nodes that sleep on their wakeups in this memory

    def has_workers(self, nodes: Iterable[int]) -> None:
        """The workers of these nodes are on this machine, and in this memory."""
        for node in nodes:
            os.set_blocking(self.wakeups[node].read_fd, True)
            self.here.add(node)

    def notify(self, nodes: Iterable[int]) -> None:
        """Wakes these nodes, also those that have no reason to see."""
        for node in nodes:
            if node in self.here:
                self.wakeups[node].notify()
            else:
                self.wake_far(node)


class Reply:
    """What a start waits for."""

    def __init__(self) -> None:
        self.has_come = threading.Event()
        self.started: Started | None = None
        self.process: RemoteProcess | None = None


class HostsCrew:
    """The workers of `topology` on the machines of a network; `homes` says which is where, `near`
    which of them shares the program's memory."""

    def __init__(
        self,
        topology: Topology,
        homes: Mapping[int, int],
        network: Network,
        shared: SharedByHosts,
        near: int | None = None,
    ) -> None:
        self.topology = topology
        self.homes = homes
        self.network = network
        self.shared = shared
        self.near = near
        self.names = network.names()
        self.kick = GuardedWakeup.create(blocking=False)
        self.others = sorted({*homes.values()} - {PROGRAM})
        at = memories(homes, near)
        self.mirror = Mirror(topology, shared.layout, shared.memory, at, PROGRAM, self.wake_here)
        far = {node: each for node, each in shared.wakeups.items() if node not in shared.here}
        self.post = Post(self.others, self.mirror, self.kick, far)
        self.stillness = Stillness(self.others)
        self.next_question = 0.0
        self.replies: dict[tuple[int, int], Reply] = {}
        self.living: dict[tuple[int, int], RemoteProcess] = {}
        self.asked = 0  # the number of the barrier at which hosts are to tell what was noted
        self.notes: dict[int, Mapping[int, NodeState]] = {}  # that have come, by machine
        self.all_noted = threading.Event()
        self.all_noted.set()
        self.chosen: dict[int, tuple[int, ...]] = {}
        self.said: tuple[str, ...] = ()  # by hosts, for the report
        self.to_wake: set[int] = set()
        self.failure: BaseException | None = None
        self.is_closed = False
        shared.wake_far = self.wake_far
        self.post.wire = network.connect(self.post.arrived, self.woken)
        self.thread = threading.Thread(target=self.work, name="conveyor mirror", daemon=True)
        self.thread.start()

    # ---------------------------------------------------------------------------
    # in the thread of the mirror

    def work(self) -> None:
        try:
            while not self.is_closed:
                self.post.sleep()
                self.post.take_letters(self.handle)
                self.send_wakes()
                self.post.send_letters(lambda message: message)
                if (lost := self.network.lost()) is not None:
                    self.lose(*lost)
                    return
        except BaseException as error:  # raised again in the thread that runs
            self.fail(error)

    def wake_here(self, node: int) -> None:
        if node in self.shared.here:
            self.shared.wakeups[node].notify()

    def send_wakes(self) -> None:
        """Workers that are to be woken, whatever they wait for."""
        while self.to_wake:
            node = self.to_wake.pop()
            self.mirror.calls.setdefault(self.homes[node], set()).add(node)

    def handle(self, sender: int, message: Message) -> None:
        match message:
            case Started():
                self.has_started(message)
            case Ended(node, life, exit_code):
                process = self.living.pop((node, life), None)
                if process is not None:
                    process.has_ended(exit_code)
            case Told():
                self.told(sender, message)
            case Notes(number, nodes):
                self.has_noted(sender, number, nodes)
            case LetGo(notes, cores):
                self.said += tuple([f"{note} (on {self.names[sender]})" for note in notes])
                self.chosen.update(cores)
            case Failed(error):
                self.fail(error)
            case _:
                raise RunError(f"host {self.names[sender]!r} sent what it should not: {message!r}")

    def has_started(self, message: Started) -> None:
        key = message.node, message.life
        reply = self.replies.get(key)
        if reply is None:  # the start was given up, by an interrupt: the place ends what there is
            return
        self.chosen[message.node] = message.cores
        if message.error is None:
            press = partial(self.press, *key)
            reply.process = self.living[key] = RemoteProcess(message.pid, press)
        reply.started = message
        reply.has_come.set()

    def told(self, sender: int, message: Told) -> None:
        for key, stopped in message.stopped.items():
            if (process := self.living.get(key)) is not None:
                process.stopped = stopped
        counts = Counts(message.sent, message.taken)
        self.stillness.told(message.number, sender, counts, self.counts)

    def has_noted(self, sender: int, number: int, nodes: Mapping[int, NodeState]) -> None:
        if number == self.asked:
            self.notes[sender] = nodes
            if len(self.notes) == len(self.others):
                self.all_noted.set()
                self.shared.consumer_wakeup.notify()

    def counts(self) -> Counts:
        return Counts(dict(self.post.sent), dict(self.post.taken))

    def lose(self, machine: int, why: str) -> None:
        """A machine is gone, and its workers with it."""
        nodes = [node for node, home in self.homes.items() if home == machine]
        stages = [self.topology.nodes[node].name for node in nodes]
        error = HostLost(
            f"host {self.names[machine]!r} is lost, with the workers of "
            f"{', '.join(map(repr, stages))}: {why}"
        )
        error.machine = machine
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nothing can be expected of the hosts any more."""
        self.failure = self.failure or error
        for process in list(self.living.values()):
            process.has_ended(None)
        for reply in list(self.replies.values()):
            reply.has_come.set()
        self.shared.consumer_wakeup.notify()

    def woken(self) -> None:
        """Called in any thread: a letter may be sent that was held back."""
        self.kick.notify()

    # ---------------------------------------------------------------------------
    # in the thread that runs

    def press(self, node: int, life: int, number: int) -> None:
        """Sends a signal to a worker."""
        self.post.put(self.homes[node], Pressed(node, life, int(number)))

    def wake_far(self, node: int) -> None:
        if not self.is_closed:
            self.to_wake.add(node)
            self.kick.notify()

    def start(self, birth: Birth) -> RemoteProcess:
        node, key = birth.spec.index, (birth.spec.index, birth.life)
        self.check()
        reply = self.replies[key] = Reply()
        parts = birth.spec.parts or (node,)
        layout, memory = self.shared.layout, self.shared.memory
        is_near = self.homes[node] == self.near
        blocks = {part: fresh_block(memory, layout, part) for part in parts if not is_near}
        order = Start(node, birth.life, birth.run, birth.deaths, blocks)
        try:
            self.post.put(self.homes[node], order)
            while not reply.has_come.wait(GLANCE_S):
                deliver()
                self.check()
        finally:
            del self.replies[key]
        self.check()
        assert reply.started is not None
        if reply.started.error is not None:
            raise reply.started.error
        assert reply.process is not None
        return reply.process

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def ask(self) -> None:
        """Another round of questions to all hosts, unless one is under way or has just been."""
        now = monotonic()
        if now < self.next_question or self.stillness.is_under_way or self.is_closed:
            return
        self.next_question = now + ASK_EVERY_S
        number = self.stillness.begin()
        for machine in self.others:
            self.post.put(machine, Asked(number))

    def is_still(self) -> bool:
        self.ask()
        return self.stillness.is_still(self.counts())

    def ask_noted(self, number: int) -> None:
        self.notes, self.asked = {}, number
        if self.others:
            self.all_noted.clear()
        for machine in self.others:
            self.post.put(machine, NotesAsked(number))

    def noted(self, waits: bool = False) -> dict[int, Noted] | None:
        while not self.all_noted.wait(GLANCE_S if waits else 0):
            if not waits:
                return None
            deliver()
            self.check()
        found = {
            node: Noted.of(known) for nodes in self.notes.values() for node, known in nodes.items()
        }
        return found | noted_at(self.asked, self.shared, self.shared.ends_of_program)

    def where(self, node: int) -> str | None:
        home = self.homes.get(node, PROGRAM)
        return self.names.get(home)

    def cores(self, node: int) -> tuple[int, ...]:
        return self.chosen.get(node, ())

    def remarks(self) -> tuple[str, ...]:
        return self.said

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self.kick.notify()
        self.thread.join(END_S)
        self.network.close()
        for process in list(self.living.values()):  # which may have no other owner yet
            process.close()
        self.kick.close()

    def close_copy(self) -> None:
        """There is nothing that a process that was forked has a copy of, but a descriptor."""
        self.kick.close_copy()
