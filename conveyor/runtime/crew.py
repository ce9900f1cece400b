"""The worker processes of one open pipeline: started, watched, ended.

Knows: processes, the memory and bells they share, what they report.  Must never know: what is done with the results.

Rule 1.  The parent sleeps on the bells of source and sink and on every worker's end at once, so it knows of each death.
Rule 2.  Whatever ends a run but its last item ends the workers, too: stop, a moment of grace, terminate, kill.
Rule 3.  Nothing has a name: when the processes are gone, so is all that they shared.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from dataclasses import replace
from typing import Final, NoReturn

from conveyor import codec
from conveyor.errors import JobExited, JobRaised, NotPicklable, WorkerCrashed
from conveyor.report import DeadLetter
from conveyor.route import leaves
from conveyor.runtime.bell import Bell
from conveyor.runtime.board import LEDGER_CAPACITY, Board, Layout, NodeBoard
from conveyor.runtime.memory import Memory
from conveyor.runtime.placement import Placement
from conveyor.runtime.processes import Descriptors, Process, StartMethod, lifeline, start_process
from conveyor.runtime.ring import RingInlet
from conveyor.runtime.shipping import pack_main, pack_stage, unpack_error
from conveyor.runtime.worker import LOADING, STANDARD_OUTPUT, Ends, Failure, Order, work
from conveyor.topology import Kind, NodeSpec, Topology, adaptive_forks, channels_of

__all__ = ["Crew"]

GRACE_S: Final = 0.5
PATIENCE_S: Final = 10.0  # for teardown, when nothing has gone wrong
KILL_AFTER_S: Final = 0.3


class WorkerTraceback(Exception):
    """The traceback of an exception, as it was printed in the worker; the exception's cause."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class Crew:
    """The workers of a topology and all that they share with the parent."""

    def __init__(self, topology: Topology, start_method: StartMethod, placement: Placement) -> None:
        self.topology = topology
        self.start_method: StartMethod = start_method
        self.run = 0
        self.dead_letters: list[DeadLetter] = []
        self.ended = False
        self.processes: dict[int, Process] = {}
        self.boards: list[NodeBoard] = []
        self.bells: dict[int, Bell] = {}
        workers = [spec for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
        cores, self.notes = placement.place([spec.name for spec in workers])
        self.cores = {spec.index: chosen for spec, chosen in zip(workers, cores, strict=True)}
        self.stages = {spec.index: None if spec.stage is None else pack_stage(spec.stage, spec.name) for spec in workers}
        self.main = pack_main() if start_method != "fork" else None
        self.forks = tuple(name for spec in topology.nodes for name in adaptive_forks(spec.route))
        self.stateful_forks = {
            fork for spec in workers if spec.stage is not None and spec.stage.is_stateful for fork, _ in spec.lanes
        }
        self.bare = replace(topology, nodes=tuple(replace(spec, stage=None) for spec in topology.nodes))
        layout = Layout(topology)
        self.layout = layout
        self.memory = Memory.create(layout.size)
        try:
            self.board = Board(self.memory, layout)
            self.boards = [NodeBoard(self.memory, layout, spec.index) for spec in topology.nodes]
            ends = {topology.nodes[0].index, topology.nodes[-1].index}
            for spec in topology.nodes:
                self.bells[spec.index] = Bell.create(blocking=spec.index not in ends)
            self.ledgers = {
                spec.index: RingInlet(layout.ledger(self.memory, spec.index), self.bells[spec.index].ring) for spec in workers
            }
            self.poll = select.poll()
            self.bell_of = {self.bells[end].read_fd: self.bells[end] for end in ends}
            for fd in self.bell_of:
                self.poll.register(fd, select.POLLIN)
            self.sentinels: dict[int, int] = {}
            for fork in self.forks:
                self.board.set_open_lanes(fork, 1)
                self.board.want_lanes(fork, 1)
            for spec in workers:
                if not self.is_shut(spec):
                    self.start(spec)
        except BaseException:
            self.end(GRACE_S)
            raise

    def ends(self, spec: NodeSpec) -> Ends:
        """The channel ends of the source or the sink."""
        return Ends(self.topology, self.layout, self.memory, spec, lambda node: self.bells[node].ring)

    def is_shut(self, spec: NodeSpec) -> bool:
        """Is the node in a lane that has not been opened?"""
        return any(lane >= self.board.open_lanes(fork) for fork, lane in spec.lanes)

    def start(self, spec: NodeSpec) -> None:
        near = {self.topology.channels[c].producer for c in channels_of(spec.inputs)}
        near |= {self.topology.channels[c].consumer for c in leaves(spec.route)} if spec.route is not None else set()
        near |= {spec.index, self.topology.nodes[-1].index}
        bells = {node: (self.bells[node].read_fd, self.bells[node].write_fd) for node in sorted(near)}
        output = [fd for fd in STANDARD_OUTPUT if _is_open(fd)]
        order = Order(
            self.bare,
            spec.index,
            self.stages[spec.index],
            self.layout.size,
            Descriptors([self.memory.fd, lifeline(), *output, *(fd for pair in bells.values() for fd in pair)]),
            self.memory.fd,
            lifeline(),
            bells,
            self.cores[spec.index],
            dict(os.environ),
            list(sys.path),
            os.getcwd(),
            self.main,
        )
        try:
            process = start_process(self.start_method, work, order, f"conveyor {spec.name}")
        except (EOFError, OSError) as error:
            raise WorkerCrashed(
                f"no worker could be started for stage {spec.name!r} by {self.start_method}: {type(error).__name__}: {error}"
            ) from error
        self.processes[spec.index] = process
        self.sentinels[process.sentinel] = spec.index
        self.poll.register(process.sentinel, select.POLLIN)

    def begin_run(self) -> int:
        """Lets the workers begin; gives the number of the run."""
        self.dead_letters = []
        self.run += 1
        for spec in self.topology.nodes:
            if spec.index not in self.processes and spec.kind in (Kind.JOB, Kind.RELAY):
                self.shut(spec, self.run)
        self.board.run = self.run
        self.ring_all()
        return self.run

    def shut(self, spec: NodeSpec, run: int) -> None:
        """A node that has no worker has ended every run before it begins; with run 0, it has not."""
        assert spec.route is not None
        for channel in leaves(spec.route):
            self.layout.ring(self.memory, channel).words[1] = run

    def ring_all(self) -> None:
        for bell in self.bells.values():
            bell.ring()

    def watch_source(self, watch: bool) -> None:
        """Is `sleep` to end when the source's bell rings, or does somebody else listen to that?"""
        if watch:
            self.poll.register(self.bells[0].read_fd, select.POLLIN)
        else:
            self.poll.unregister(self.bells[0].read_fd)

    def is_done(self) -> bool:
        """Have all workers finished the run?"""
        return all(self.boards[index].done == self.run for index in self.processes)

    def sleep(self, timeout_ms: int | None = None) -> None:
        """Waits for a bell or the end of a worker; raises what a worker reported, or that it died."""
        deaths: list[int] = []
        for fd, _ in self.poll.poll(timeout_ms):
            if fd in self.sentinels:
                deaths.append(fd)
            else:
                self.bell_of[fd].silence()
        self.look_around()
        if deaths:
            self.crashed(self.sentinels[deaths[0]])

    def look_around(self) -> None:
        """Reads what the workers have reported, and opens or shuts lanes as they ask; raises the first failure."""
        if not self.board.take_alert():
            return
        for ledger in self.ledgers.values():
            while ledger.pending():
                for message in codec.opened(ledger.peek(LEDGER_CAPACITY)):
                    self.read(message)
                    ledger.commit(ledger.position(1))
        for fork in self.forks:
            wanted, opened = self.board.wanted_lanes(fork), self.board.open_lanes(fork)
            if wanted > opened or (wanted < opened and fork not in self.stateful_forks):
                self.set_lanes(fork, wanted)

    def set_lanes(self, fork: str, lanes: int) -> None:
        """Opens lanes, by starting their workers, or shuts them: then they are not chosen any more."""
        before = self.board.open_lanes(fork)
        self.board.set_open_lanes(fork, lanes)
        absent = [spec for spec in self.topology.nodes if spec.lanes and spec.index not in self.processes]
        new = [spec for spec in absent if not self.is_shut(spec)]
        self.board.set_open_lanes(fork, before)  # not to be chosen yet
        for spec in new:
            self.shut(spec, 0)
        for spec in new:
            self.start(spec)
        self.board.set_open_lanes(fork, lanes)
        self.ring_all()

    def read(self, message: object) -> None:
        if isinstance(message, Failure):
            self.failed(message)
        assert isinstance(message, DeadLetter)
        self.dead_letters.append(message)

    def failed(self, failure: Failure) -> NoReturn:
        """Raises what a worker reported, with a note that says where it happened."""
        name = self.topology.nodes[failure.node].name
        pid = self.processes[failure.node].pid
        what = failure.phase if failure.ordinal is None else f"item {failure.ordinal}: {failure.item}"
        note = f"in stage {name!r}, worker {pid}, {what}"
        error = unpack_error(failure.error)
        trace = WorkerTraceback(failure.trace)
        if not failure.is_exception:
            leaving = JobExited(f"stage {name!r}: the job ended itself with {failure.kind}({failure.text}); {note}")
            leaving.add_note(note)
            raise leaving from error or trace
        if not isinstance(error, Exception):
            error = JobRaised(f"{failure.kind}: {failure.text}\n{failure.trace}")
        if failure.phase == LOADING:
            error = NotPicklable(f"stage {name!r} cannot be loaded in its worker: {failure.kind}: {failure.text}")
        error.add_note(note)
        raise error from trace

    def crashed(self, node: int) -> NoReturn:
        """Raises `WorkerCrashed` for a worker that is gone."""
        name, process = self.topology.nodes[node].name, self.processes[node]
        process.join(KILL_AFTER_S)
        code = process.exitcode
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += " (possibly by the system, for memory)" if -code == signal.SIGKILL else ""
        else:
            how = f"left with exit code {code}"
        done = self.boards[node].tally()
        error = WorkerCrashed(
            f"the worker of stage {name!r} (pid {process.pid}) {how} after {done.items_in} items; "
            "the run was ended, because what it had in hand may be lost"
        )
        error.add_note(f"in stage {name!r}, worker {process.pid}, item {done.items_in} or one soon after")
        raise error

    def end(self, grace: float) -> None:
        """Ends all workers, the quick way if they do not stop by themselves, and gives back what they shared."""
        if self.ended:
            return
        self.ended = True
        try:
            if self.processes:
                self.board.stop()
                self.ring_all()
            self.join(grace)
            if grace >= PATIENCE_S:  # all went well so far; a teardown may have raised
                self.look_around()
        finally:
            for process in self.processes.values():
                if process.is_alive():
                    process.terminate()
            with contextlib.suppress(KeyboardInterrupt):  # it is being ended as fast as can be
                self.join(KILL_AFTER_S)
            for process in self.processes.values():
                if process.is_alive():
                    process.kill()
            self.join(PATIENCE_S)
            self.release()

    def join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for process in self.processes.values():
            process.join(max(0.0, deadline - time.monotonic()))

    def release(self) -> None:
        for process in self.processes.values():
            process.close()
        for bell in self.bells.values():
            bell.close()
        self.memory.close()

    def pid(self, node: int) -> int | None:
        process = self.processes.get(node)
        return process.pid if process is not None else None


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
