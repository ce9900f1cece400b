"""Hosts in processes of their own on this machine, which can be killed as a machine can.

Each has a socket to the program, which also hands on what they send to one another.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from conveyor.runtime.hosts.host import Host
from conveyor.runtime.hosts.messages import Letter, Plan
from conveyor.runtime.hosts.site import PlanFor
from conveyor.runtime.hosts.wire import Deliver, Wire
from conveyor.runtime.mirror.mirror import PROGRAM
from tests.hosts import InThisProcess

__all__ = ["InProcesses", "ProcessNetwork"]

context = multiprocessing.get_context("forkserver")  # hosts begin quickly, and have no threads yet
context.set_forkserver_preload(["tests.host_processes"])
END_S = 20.0
GONE = (EOFError, OSError)  # of a socket whose other side is dead


class Line:
    """One end of a socket, which several threads may send on."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Nothing is sent to the dead: whoever reads there notices."""
        with self.lock, suppress(*GONE):
            self.connection.send_bytes(data)


@dataclass
class Sending:
    """A way to the others; `send_on` takes the machine a letter is for, and the letter."""

    send_on: Callable[[int, bytes], None]
    gather_s: float = 0.0

    def is_ready(self, to: int) -> bool:
        return True

    def send(self, to: int, letter: Letter) -> None:
        self.send_on(to, pickle.dumps(letter, 5))


class HostProcess:
    """One of them, seen from the program."""

    def __init__(self, plan: Plan) -> None:
        ours, theirs = context.Pipe()
        with theirs:
            self.process = context.Process(target=serve, args=(theirs, plan))
            self.process.start()
        assert self.process.pid is not None
        self.pid = self.process.pid
        self.has_ended = False
        self.lock = threading.Lock()
        self.line = Line(ours)
        self.line.connection.recv_bytes()  # it has begun

    @property
    def name(self) -> str:
        return f"process {self.pid}"

    def kill(self) -> None:
        """As a machine is lost: at once, and nothing is said; does nothing once it has ended."""
        with suppress(ProcessLookupError), self.lock:
            if not self.has_ended:
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        self.line.send(b"")
        self.process.join(END_S)
        with self.lock:
            self.has_ended = True
        self.process.close()


class ProcessNetwork:
    """The hosts of one deployment."""

    def __init__(self, homes: Mapping[int, int], plan_for: PlanFor) -> None:
        machines = sorted({*homes.values()} - {PROGRAM})
        self.hosts = {machine: HostProcess(plan_for(machine, 0)) for machine in machines}
        self.gone: tuple[int, str] | None = None
        self.is_closed = False
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []

    def names(self) -> dict[int, str]:
        return {machine: host.name for machine, host in self.hosts.items()}

    def connect(self, deliver: Deliver, woken: Callable[[], None]) -> Wire:
        self.threads = [
            threading.Thread(target=self.read, args=(machine, deliver, woken), daemon=True)
            for machine in self.hosts
        ]
        for thread in self.threads:
            thread.start()
        return Sending(lambda to, data: self.hand_on(PROGRAM, to, data))

    def read(self, machine: int, deliver: Deliver, woken: Callable[[], None]) -> None:
        """What one host sends, to the program or to others."""
        connection = self.hosts[machine].line.connection
        while True:
            try:
                to, data = pickle.loads(connection.recv_bytes())
            except GONE:
                if not self.is_closed:
                    process = self.hosts[machine].process
                    process.join(END_S)
                    why = f"its process is gone, exit code {process.exitcode}"
                    self.gone = self.gone or (machine, why)
                    woken()
                return
            if to != PROGRAM:
                self.hand_on(machine, to, data)
            else:
                with self.lock:
                    deliver(machine, pickle.loads(data))

    def hand_on(self, sender: int, to: int, data: bytes) -> None:
        self.hosts[to].line.send(pickle.dumps((sender, data)))

    def lost(self) -> tuple[int, str] | None:
        return self.gone

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for host in self.hosts.values():
            host.end()
        for thread in self.threads:
            thread.join()
        for host in self.hosts.values():
            host.line.connection.close()


@dataclass
class InProcesses(InThisProcess):
    """The engine: so many hosts, each in a process of its own."""

    def begin(self, homes: Mapping[int, int], plan_for: PlanFor) -> ProcessNetwork:
        network = ProcessNetwork(homes, plan_for)
        self.networks.append(network)
        return network


def serve(connection: Connection, plan: Plan) -> None:
    """What such a process does."""
    line = Line(connection)
    sys.path[:] = plan.path
    host = Host(plan)
    line.send(b"begun")

    def read() -> None:
        """Until it is to end, or the program is gone."""
        with suppress(*GONE):
            while data := connection.recv_bytes():
                sender, letter = pickle.loads(data)
                host.arrived(sender, pickle.loads(letter))
        host.stop()

    threading.Thread(target=read, daemon=True).start()
    host.serve(Sending(lambda to, letter: line.send(pickle.dumps((to, letter), 5))))
