"""The workers of one machine other than the program's.

Knows: how they are started here, and what the program is told of them.  Must never know: why a
worker is started or ended, what it does.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

from conveyor.errors import WorkerCrashed
from conveyor.graph.topology import Kind
from conveyor.runtime.descriptors import fill_standard
from conveyor.runtime.hosts.lending import borrowed, memories
from conveyor.runtime.hosts.messages import (
    Asked,
    Ended,
    Failed,
    LetGo,
    Message,
    Notes,
    NotesAsked,
    Plan,
    Pressed,
    Start,
    Started,
    Told,
)
from conveyor.runtime.hosts.post import Post
from conveyor.runtime.hosts.wire import Wire
from conveyor.runtime.mirror.mirror import PROGRAM, Mirror
from conveyor.runtime.parent.crew import Birth
from conveyor.runtime.parent.local_crew import LocalCrew
from conveyor.runtime.parent.noted import begin_from, noted_at
from conveyor.runtime.parent.pins import Pins
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_plan import Kit, places_of
from conveyor.runtime.placement import Placement, usable_cores
from conveyor.runtime.process.handle import Handle
from conveyor.runtime.process.preload import ask_for
from conveyor.runtime.shm.wakeup import GuardedWakeup

__all__ = ["Host"]


class Host:
    """The memory of a pipeline on one machine, and the processes there.

    `serve` is called in a thread of its own, which does everything; `arrived` is for letters, from
    any thread.
    """

    def __init__(self, plan: Plan) -> None:
        fill_standard()
        self.plan = plan
        topology = plan.topology
        ask_for(plan.preload)
        self.here = here = [node for node, home in plan.homes.items() if home == plan.me]
        specs = [
            spec
            for spec in topology.nodes
            if spec.index in here and spec.kind in (Kind.JOB, Kind.RELAY)
        ]
        wanted = [plan.wanted[spec.index] for spec in specs]
        places = places_of(Placement(), specs, wanted)
        is_near = plan.me == plan.near
        lent = borrowed(plan.lender, len(topology.nodes)) if is_near else None
        self.shared = Shared(topology, here, lent)
        if plan.known is not None and not is_near:
            begin_from(plan.known, self.shared)
        self.kick = GuardedWakeup.create(blocking=False)
        kit = Kit(
            topology,
            plan.stages,
            plan.forks,
            plan.main,
            "forkserver",
            places.cores,
            places.threads,
            plan.environs,
        )
        self.crew = LocalCrew(kit, self.shared)
        self.mirror = None if is_near else self.mirror_of(memories(plan.homes, plan.near))
        far = {} if is_near else dict(self.shared.wakeups)
        for node in here:
            far.pop(node, None)
        others = sorted({PROGRAM, *plan.homes.values()} - {plan.me})
        self.post = Post(others, self.mirror, self.kick, far)
        self.processes: dict[int, tuple[Start, Handle]] = {}  # by the descriptor of the end
        self.pins = Pins(places.cores, usable_cores(), topology.title)
        self.stopping = False

    def mirror_of(self, homes: Mapping[int, int]) -> Mirror:
        """This machine's part in the mirroring; `homes` says on which machine is the memory of each
        node."""
        return Mirror(
            self.plan.topology,
            self.shared.layout,
            self.shared.memory,
            homes,
            self.plan.me,
            lambda node: self.shared.wakeups[node].notify(),
            self.plan.clock,
        )

    def arrived(self, sender: int, letter: list[Message]) -> None:
        """Called in any thread: a letter has come."""
        self.post.arrived(sender, letter)

    def woken(self) -> None:
        """Called in any thread: a letter may be sent that was held back."""
        self.kick.notify()

    def serve(self, wire: Wire) -> None:
        """Looks after the workers and the mirror until `stop`; then ends them."""
        self.post.wire = wire
        try:
            while not self.stopping:
                for fd in self.post.sleep():
                    self.reap(fd)
                self.post.take_letters(self.handle)
                self.look_at_pins()
                self.post.send_letters(self.answer)
        except BaseException as error:
            wire.send(PROGRAM, [Failed(error)])
            raise
        finally:
            self.end()

    def look_at_pins(self) -> None:
        """Lets go of workers that have to wait for their cores, and says so."""
        before = self.pins.notes
        self.pins.look(self.pids)
        if new := self.pins.notes[len(before) :]:
            self.post.put(PROGRAM, LetGo(new, dict(self.pins.kept)))

    def pids(self) -> dict[int, int]:
        """The processes of workers, by node."""
        return {order.node: handle.pid for order, handle in self.processes.values()}

    def stop(self) -> None:
        """Called in any thread: `serve` is to return."""
        self.stopping = True
        self.kick.notify()

    # ---------------------------------------------------------------------------
    # what the program asks for

    def handle(self, sender: int, message: Message) -> None:
        match message:
            case Start():
                self.start(message)
            case Pressed(node, life, number):
                for order, handle in self.processes.values():
                    if (order.node, order.life) == (node, life):
                        handle.send(signal.Signals(number))
            case Asked() | NotesAsked():
                self.post.put(PROGRAM, message)
            case _:
                raise WorkerCrashed(f"a host has no use for {message!r}")

    def answer(self, message: Message) -> Message:
        """What is asked is answered once all that is new has been told."""
        if isinstance(message, NotesAsked):
            noted = noted_at(message.number, self.shared, self.here)
            return Notes(message.number, {node: each.whole() for node, each in noted.items()})
        if not isinstance(message, Asked):
            return message
        stopped = {
            (order.node, order.life): (handle.is_stopped(), handle.was_stopped())
            for order, handle in self.processes.values()
        }
        post = self.post
        return Told(message.number, dict(post.sent), dict(post.taken), stopped)

    def start(self, order: Start) -> None:
        spec, node = self.plan.topology.nodes[order.node], order.node
        if self.mirror is not None:
            for each, block in order.blocks.items():
                self.mirror.renew(each, block)
        handle, error = None, None
        try:
            handle = self.crew.start(Birth(spec, order.life, order.run, order.deaths))
        except (OSError, EOFError) as failure:
            error = failure
        if handle is not None:
            self.processes[handle.fd] = (order, handle)
            self.post.watch(handle.fd)
        pid = handle.pid if handle is not None else 0
        self.post.put(PROGRAM, Started(node, order.life, pid, self.crew.cores(node), error))

    def reap(self, fd: int) -> None:
        """A worker has ended: its neighbours look again, and the program is told."""
        order, handle = self.processes.pop(fd)
        self.post.forget(fd)
        code = handle.exit_code()
        handle.close()
        self.shared.notify_all()
        self.post.put(PROGRAM, Ended(order.node, order.life, code))

    def end(self) -> None:
        """Ends what is left, and gives back the memory."""
        for _, handle in self.processes.values():
            handle.send(signal.SIGKILL)
        for _, handle in self.processes.values():
            handle.wait(10.0)
            handle.close()
        self.processes.clear()
        self.shared.close()
        self.kick.close()
