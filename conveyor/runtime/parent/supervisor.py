"""The worker processes of one open pipeline: started, watched, ended.

Knows: processes, the memory and wakeups they share, what they report.  Must never know: what is done
with the results.

Rule 1.  The parent sleeps on the wakeups of source and sink and on every worker's end at once, so it
         knows of each death.
Rule 2.  Whatever ends a run but its last item ends the workers, too: stop, a moment of grace,
         terminate, kill.
Rule 3.  Nothing has a name: when the processes are gone, so is all that they shared.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from conveyor.core.crashes import WorkerDeath
from conveyor.core.engine import StopToken
from conveyor.core.failures import Failure, letter_arrived, raised_by
from conveyor.errors import RunError, WorkerCrashed
from conveyor.graph.fusion import fused_names, home
from conveyor.graph.route import adaptive_forks, leaves
from conveyor.graph.topology import Kind, NodeSpec, Topology, channels_of, is_shut
from conveyor.items import slices
from conveyor.items.main_module import defined_now, pack_main
from conveyor.items.stage_pickling import pack_stage
from conveyor.reporting.build import Letters
from conveyor.runtime.descriptors import check_room, fill_standard
from conveyor.runtime.parent.restart_policy import Inputs, RestartPolicy, is_stateful
from conveyor.runtime.placement import Placement
from conveyor.runtime.process.deferral import Deferral, deliver, interruptible, is_of_a_handler
from conveyor.runtime.process.lifeline import lifeline
from conveyor.runtime.process.settling import STANDARD_OUTPUT, Circumstances, directory
from conveyor.runtime.process.start import Handle, StartMethod, start_process
from conveyor.runtime.shm.checked import inlet_of
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.shm.endpoints import RingEnds, ring_ends
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import LEDGER_CAPACITY, Layout, LayoutFactory
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.worker.order import Order, RolledBack, SentDeadLetter
from conveyor.runtime.worker.worker import work

__all__ = ["Supervisor"]

GRACE_S: Final = 0.5
PATIENCE_S: Final = 10.0  # for teardown, when nothing has gone wrong
KILL_AFTER_S: Final = 0.3
GLANCE_S: Final = 0.01
FOR_A_WORKER: Final = (
    3  # descriptors that the parent keeps: its end, its order, and one that it watches for its end
)
FOR_A_START: Final = (
    16  # for a moment: pipes, a connection to the fork server, what a worker opens for itself
)
WATCH_MS: Final = 250.0  # how often somebody looks whether anything can still happen


class RunObserver(Protocol):
    """Is told what becomes of a run that is recorded."""

    def drain(self) -> None: ...
    def died(self, node: int, hands: Sequence[WorkerDeath | None]) -> None: ...
    def failed(self, node: int) -> None: ...


class Supervisor:
    """The workers of a topology and all that they share with the parent."""

    def __init__(self, topology: Topology, start_method: StartMethod, placement: Placement) -> None:
        fill_standard()
        self.topology = topology
        self.start_method: StartMethod = start_method
        self.run = 0
        self.letters = Letters()
        self.observer: RunObserver | None = None
        self.stop: StopToken | None = None  # of the run under way
        self.ended = False
        self.waking = threading.RLock()  # a signal handler may come between
        self.forgotten = 0  # how often in this run a worker was woken that no other had notified
        self.next_glance = 0.0
        self.owner = os.getpid()
        self.workers = [spec for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
        self.handles: dict[int, Handle] = {}
        self.nodes: dict[int, int] = {}  # by the descriptor of the worker's end
        self.open: set[int] = (
            set()
        )  # the nodes that have a worker, or will have another in a moment
        self.lives: Counter[int] = Counter()
        self.pids: dict[int, int] = {}  # which outlive the processes, for the report
        cores, self.notes = placement.place([spec.name for spec in self.workers])
        self.cores = {spec.index: chosen for spec, chosen in zip(self.workers, cores, strict=True)}
        forks = [fork for spec in topology.nodes for fork in adaptive_forks(spec.route)]
        self.forks = tuple(fork.name for fork in forks)
        self.lanes_of = {fork.name: leaves(fork) for fork in forks}
        self.by_machine = [fork.name for fork in forks if fork.by_machine]
        self.most_lanes: dict[str, int] = {}  # that were open at once in this run
        self.keep_open = {
            fork for spec in self.workers if is_stateful(spec) for fork, _ in spec.lanes
        }
        self.stages = interruptible(self.packed_stages)
        for names in fused_names(topology):
            self.notes += (f"one worker for {' + '.join(names)}: there are more stages than cores",)
        self.defined = interruptible(defined_now)
        self.main = interruptible(pack_main) if start_method != "fork" else None
        self.bare = replace(
            topology, nodes=tuple(replace(spec, stage=None) for spec in topology.nodes)
        )
        self.layout = Layout(topology)
        self.wakeups: dict[int, Wakeup] = {}
        here = 2 + Wakeup.DESCRIPTORS * len(topology.nodes)  # the memory has two
        check_room(
            here + FOR_A_WORKER * len(self.workers) + FOR_A_START,
            f"a pipeline of {len(self.workers)} workers",
        )
        self.memory = Memory.create(self.layout.size, self.layout.regions)
        try:
            self.share()
            opened = dict.fromkeys(self.forks, 1)
            for spec in self.workers:
                if not is_shut(spec, opened):
                    self.start(spec)
                    deliver()
        except KeyboardInterrupt as interrupt:
            self.end(GRACE_S)
            raise interrupt.with_traceback(
                None
            ) from None  # how far it had come with starting is of no interest
        except BaseException:
            self.end(GRACE_S)
            raise

    def packed_stages(self) -> dict[int, bytes]:
        """The jobs as they travel; to make them so may run code of the program."""
        return {
            spec.index: pack_stage(spec.stage, spec.name)
            for spec in self.topology.nodes
            if spec.stage is not None
        }

    def share(self) -> None:
        """Sets up what the workers and the parent tell one another with."""
        self.control = self.layout.control_block(self.memory)
        self.blocks = [
            NodeBlock(self.layout.node(self.memory, spec.index)) for spec in self.topology.nodes
        ]
        self.rings = [
            self.layout.ring(self.memory, channel.index) for channel in self.topology.channels
        ]
        before = Inputs(self.topology, self.rings)
        self.restart_policy = RestartPolicy(
            self.topology, self.blocks, before.committed, before.has_input, self.handles.get
        )
        ends = (0, len(self.topology.nodes) - 1)
        for spec in self.topology.nodes:
            self.wakeups[spec.index] = Wakeup.create(blocking=spec.index not in ends)
        self.ledgers = [
            inlet_of(self.layout.ledger(self.memory, spec.index), self.wakeups[spec.index].notify)
            for spec in self.workers
        ]
        self.wakeup_of = {self.wakeups[end].read_fd: self.wakeups[end] for end in ends}
        self.poll = select.poll()
        for fd in self.wakeup_of:
            self.poll.register(fd, select.POLLIN)
        for fork in self.forks:
            self.control.set_open_lanes(fork, 1)
            self.control.want_lanes(fork, 1)

    def ends(self, spec: NodeSpec) -> RingEnds:
        """The channel ends of the source or the sink."""
        return ring_ends(
            self.topology, self.layout, self.memory, spec, lambda node: self.wakeups[node].notify
        )

    def start(self, spec: NodeSpec) -> None:
        check_room(
            FOR_A_START, f"the start of a worker for stage {self.topology.title(spec.index)!r}"
        )
        with Deferral():
            self.open.add(spec.index)
            self.lives[spec.index] += 1
            try:
                handle = self.born(spec)
            except BrokenPipeError:  # it was killed before it had begun
                self.restart_policy.started(spec.index)
                self.restart_policy.died(spec.index, 0, None)
                return
            except (EOFError, OSError) as error:
                if is_of_a_handler(error):
                    raise
                raise WorkerCrashed(
                    f"no worker could be started for stage {self.topology.title(spec.index)!r} by {self.start_method}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            self.handles[spec.index] = handle
            self.pids[spec.index] = handle.pid
            self.nodes[handle.fd] = spec.index
            self.poll.register(handle.fd, select.POLLIN)
            self.restart_policy.started(spec.index)

    def wakeups_near(self, spec: NodeSpec) -> dict[int, tuple[int, int]]:
        """The wakeups of a node and of those to which it is connected."""
        near = {self.topology.channels[c].producer for c in channels_of(spec.inputs)}
        near |= (
            {self.topology.channels[c].consumer for c in leaves(spec.route)}
            if spec.route is not None
            else set()
        )
        near |= {spec.index, self.topology.nodes[-1].index}
        return {
            node: (self.wakeups[node].read_fd, self.wakeups[node].write_fd) for node in sorted(near)
        }

    def worker_layout(self, spec: NodeSpec) -> LayoutFactory:
        """What the next worker of a node finds its memory by; a test puts one in its place that
        fails at a chosen store."""
        return Layout

    def born(self, spec: NodeSpec) -> Handle:
        """A process that has been told all that the worker of a node needs to know."""
        wakeups = self.wakeups_near(spec)
        with directory() if self.start_method == "forkserver" else nullcontext() as place:
            fds = [
                self.memory.fd,
                *STANDARD_OUTPUT,
                *dict.fromkeys(fd for pair in wakeups.values() for fd in pair),
            ]
            order = Order(
                topology=self.bare,
                node=spec.index,
                stages=tuple(
                    self.stages[part] for part in spec.parts or (spec.index,) if part in self.stages
                ),
                size=self.layout.size,
                memory=self.memory.fd,
                lifeline=lifeline(),
                wakeups=wakeups,
                circumstances=Circumstances.of_the_program(self.cores[spec.index], place),
                path=list(sys.path),
                main=self.main,
                run=self.run,
                deaths=self.restart_policy.history(spec.index),
                layout=self.worker_layout(spec),
            )
            fds += [place] if place is not None else []
            name = f"conveyor {self.topology.title(spec.index)}"
            return start_process(self.start_method, work, order, fds, lifeline(), name)

    def begin_run(self, observer: RunObserver | None = None) -> int:
        """Lets the workers begin; gives the number of the run."""
        self.observer = observer
        self.control.record(observer is not None)
        self.letters = Letters()
        self.forgotten = 0
        self.most_lanes = {fork: self.control.open_lanes(fork) for fork in self.by_machine}
        self.run += 1
        self.restart_policy.begin_run(self.run)
        for spec in self.workers:
            if spec.index not in self.open:
                self.shut(spec, self.run)
        self.control.run = self.run
        self.notify_all()
        return self.run

    def shut(self, spec: NodeSpec, run: int) -> None:
        """A node that has no worker has ended every run before it begins; with run 0, it has
        not."""
        assert spec.route is not None
        for channel in leaves(spec.route):
            self.layout.ring(self.memory, channel).set_ended(run)

    def notify_all(self) -> None:
        self.notify(self.wakeups)

    def notify(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            self.wakeups[node].notify()

    def not_begun(self) -> list[int]:
        """The workers that have not begun with the run, since they are being started; or they were
        never told."""
        return [node for node in self.open if not self.blocks[node].has_begun_with(self.run)]

    def is_notified(self, node: int) -> bool:
        """Is there a notification for a worker that has not woken yet?"""
        poll = select.poll()
        poll.register(self.wakeups[node].read_fd, select.POLLIN)
        return bool(poll.poll(0))

    def watch_source(self, watch: bool) -> None:
        """Is `sleep` to end when the source is notified, or does another thread wait for that?"""
        if watch:
            self.poll.register(self.wakeups[0].read_fd, select.POLLIN)
        else:
            self.poll.unregister(self.wakeups[0].read_fd)

    def is_done(self) -> bool:
        """Have all workers finished the run?"""
        return all(self.blocks[index].done == self.run for index in self.open)

    def sleep(self, timeout_ms: float | None = None) -> bool:
        """Waits for a notification or the end of a worker, or as long as it may; did anything happen?

        Raises what a worker reported, or that one died and there is not to be another.
        """
        waits = [
            wait
            for wait in (timeout_ms, self.restart_policy.patience_ms(), WATCH_MS)
            if wait is not None
        ]
        ready = self.poll.poll(math.ceil(min(waits)))
        for fd, _ in ready:
            if fd in self.wakeup_of:
                self.wakeup_of[fd].clear()
        self.look_around()
        self.look_after([self.nodes[fd] for fd, _ in ready if fd in self.nodes])
        return bool(ready)

    def glance(self) -> None:
        """Looks after the workers now and then, while the parent has no reason to sleep."""
        now = time.monotonic()
        if now >= self.next_glance:
            self.next_glance = now + GLANCE_S
            self.sleep(0)

    def look_after(self, dead: list[int]) -> None:
        """Replaces workers that died, and kills those whose item takes too long."""
        for node in dead:
            self.reap(node)
        for node in self.restart_policy.now_due():
            self.start(self.topology.nodes[node])
        for node in self.restart_policy.overdue():
            self.handles[node].send(signal.SIGKILL)

    def reap(self, node: int) -> None:
        with Deferral():
            handle = self.handles.pop(node)
            del self.nodes[handle.fd]
            self.poll.unregister(handle.fd)
            exit_code = handle.exit_code()
            handle.close()
        self.look_around()  # it may have told of a failure before it died
        try:
            self.restart_policy.died(node, handle.pid, exit_code)
        except RunError:
            if self.observer is not None:
                self.observer.failed(node)
            raise
        finally:
            if self.observer is not None:
                self.observer.died(node, self.restart_policy.newest)
        self.notify_all()  # it may have died between a store and the notification of it

    def look_around(self) -> None:
        """Reads what the workers have reported, and opens or shuts lanes as they ask.

        Raises the first failure, or that the run is to end.
        """
        if self.stop is not None:
            self.stop.check()
        if self.observer is not None:
            self.observer.drain()
        if not self.control.take_attention_request():
            return
        for ledger in self.ledgers:
            while ledger.pending():
                for message in slices.opened(ledger.peek(LEDGER_CAPACITY)):
                    self.read(message)
                    ledger.commit(ledger.position(1))
        for fork in self.forks:
            wanted, opened = self.control.wanted_lanes(fork), self.control.open_lanes(fork)
            if wanted > opened or (wanted < opened and fork not in self.keep_open):
                self.set_lanes(fork, wanted)

    def set_lanes(self, fork: str, lanes: int) -> None:
        """Opens lanes, by starting their workers, or shuts them: then they are not chosen any
        more."""
        opened = {each: self.control.open_lanes(each) for each in self.forks} | {fork: lanes}
        new = [
            spec
            for spec in self.workers
            if spec.index not in self.open and not is_shut(spec, opened)
        ]
        for spec in new:
            self.shut(spec, 0)
        fence()
        if (
            new and self.is_closing(fork)
        ):  # whoever reads from the new lanes may be done: what they gave would come in the next run
            for spec in new:
                self.shut(spec, self.run)
            self.control.want_lanes(fork, self.control.open_lanes(fork))
            self.notify_all()
            return
        for spec in new:
            self.start(spec)
        self.control.set_open_lanes(fork, lanes)  # only now may they be chosen
        if fork in self.most_lanes:
            self.most_lanes[fork] = max(lanes, self.most_lanes[fork])
        self.notify_all()

    def is_closing(self, fork: str) -> bool:
        """Has whoever owns a fork begun to tell its lanes that the run ends?"""
        return any(self.rings[channel].has_ended(self.run) for channel in self.lanes_of[fork])

    def read(self, message: object) -> None:
        if isinstance(message, Failure):
            if self.observer is not None:
                self.observer.failed(message.node)
            raise raised_by(
                message, self.topology.nodes[message.node].name, f"worker {self.pid(message.node)}"
            )
        if isinstance(message, RolledBack):
            self.letters.void(message.node, message.ordinal)
        else:
            assert isinstance(message, SentDeadLetter)
            self.letters.add(message.node, letter_arrived(message.letter))

    def is_ours(self) -> bool:
        """Does this process have the workers, and not the one that it was forked from?"""
        return os.getpid() == self.owner

    def wake(self) -> None:
        """Ends the sleep of the thread that runs, from any other."""
        with self.waking:  # a descriptor must not be closed while it is written to
            if not self.ended:
                self.wakeups[len(self.topology.nodes) - 1].notify()

    def end(self, grace: float) -> None:
        """Ends all workers, the quick way if they do not stop by themselves, and gives back what
        they shared."""
        if self.ended:
            return
        if not self.is_ours():  # a child that was forked has a copy of this, and no say
            self.ended = True
            self.release_copies()
            return
        with Deferral():
            with self.waking:
                self.ended = True
            try:
                if self.handles:
                    self.control.stop()
                    self.notify_all()
                interruptible(partial(self.join, grace))
                if grace >= PATIENCE_S:  # all went well so far; a teardown may have raised
                    self.look_around()
            finally:
                self.send(signal.SIGTERM)
                self.join(KILL_AFTER_S)
                self.send(signal.SIGKILL)
                self.join(PATIENCE_S)
                self.release()

    def join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for handle in self.handles.values():
            handle.wait(max(0.0, deadline - time.monotonic()))

    def send(self, number: signal.Signals) -> None:
        """To all that are still there."""
        for handle in self.handles.values():
            if not handle.wait(0):
                handle.send(number)

    def release(self) -> None:
        for handle in self.handles.values():
            handle.close()
        for wakeup in self.wakeups.values():
            wakeup.close()
        self.memory.close()

    def release_copies(self) -> None:
        """In a child that was forked: closes its copies of what its parent goes on with."""
        for handle in self.handles.values():
            handle.close_copy()
        for wakeup in self.wakeups.values():
            wakeup.close()
        self.memory.close()

    def pid(self, node: int) -> int | None:
        return self.pids.get(home(self.topology, node))
