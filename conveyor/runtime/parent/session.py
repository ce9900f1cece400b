"""Which thread and process may use a pipeline, and what it has while it is open: a deployment, and
the run under way.

Knows: the threads and processes that share a pipeline object; the engine as a protocol.  Must never
know: stages, which engine it is, how a run goes on.

Rule 1.  An open pipeline belongs to the process that opened it.  In a process that was forked from
         that one, ending it ends nothing and frees the copy, and every other use is refused.
Rule 2.  The thread that begins a run ends it, and the workers with it if they are not to be kept;
         meanwhile no other thread touches them, but asks (`Halt`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from conveyor.core.engine import Deployment, Engine, KeepsCheckpoints, Monitor, RunOptions
from conveyor.core.keeping import Keeping
from conveyor.core.lifecycle import Call, Lifecycle
from conveyor.errors import LifecycleError, RunStopped, TopologyError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.runtime.parent.engine_log import announce
from conveyor.runtime.parent.halt import OF_ANOTHER_PROCESS, Halt
from conveyor.runtime.process.deferral import Deferral, deliver, interruptible

if TYPE_CHECKING:
    from conveyor.report import RunResult
    from conveyor.runtime.parent.async_runs import AsyncStream, Make
    from conveyor.runtime.parent.stream import Stream

__all__ = ["Session"]

# Held for a few lines only, none of which waits; a signal handler may come between and use a
# pipeline, too.
_lock = threading.RLock()


def _renew_lock() -> None:
    """In a process that was forked: a thread that it has not got may hold its copy."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class Session:
    """How one pipeline is used: by which process, whether it is open, and the run under way.

    `engine` is where it runs unless a run asks for another.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.lifecycle = Lifecycle()
        self.owner = 0  # the process that opened it
        self.deployment: Deployment | None = None
        self.deployed_on: Engine | None = None
        self.paces: Paces = {}  # what the runs of earlier deployments have told of the stages
        self.finalizer: weakref.finalize[..., Session] | None = None
        self.halt: Halt | None = None  # of the run under way
        self.stream: weakref.ref[Stream[Any]] | None = None
        self.monitor: Monitor | None = None  # of the run under way

    # ---------------------------------------------------------------------------
    # which use fits

    def check(self, call: Call) -> None:
        """Raises `LifecycleError` if the call does not fit."""
        with _lock:
            self.refuse_child(call)
            self.lifecycle.check(call)

    def call(self, call: Call) -> None:
        """The pipeline is opened, or a run begins; raises `LifecycleError` if that does not fit."""
        with _lock:
            self.refuse_child(call)
            self.lifecycle.call(call)
            self.owner = os.getpid()

    def begin(self, halt: Halt, monitor: Monitor | None) -> None:
        """A run begins, which `halt` may end, and which `monitor` shows.

        Raises `LifecycleError` if another is under way, and what the monitor raises if it cannot
        be opened.
        """
        self.check(Call.START)
        if monitor is not None:
            monitor.open()
        try:
            with _lock:
                self.check(Call.START)
                self.halt, halt.thread = halt, threading.get_ident()
                self.monitor = monitor
                self.call(Call.START)
        except BaseException:
            if monitor is not None:
                monitor.close()
            raise
        if monitor is not None:
            announce(monitor.url)

    def is_of_parent(self) -> bool:
        """Was the pipeline opened by another process, of which this one is a fork?"""
        return self.lifecycle.is_in_use and self.owner != os.getpid()

    def refuse_child(self, call: Call) -> None:
        if self.is_of_parent():
            raise LifecycleError(f"{call.value}: {OF_ANOTHER_PROCESS.format(owner=self.owner)}")

    # ---------------------------------------------------------------------------
    # runs

    def run(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        items: Iterable[object],
        options: RunOptions,
        halt: Halt | None = None,
    ) -> RunResult[object]:
        """One run from its beginning to its end, in the calling thread.

        `engine` None: the one that the pipeline is open on, or else the session's.  `halt`: what
        another thread ends it by.
        """
        from conveyor.runtime.parent.tracebacks import let_go, shorten

        try:
            return self.run_once(compile_for, engine, items, options, halt or Halt())
        except KeyboardInterrupt as interrupt:
            shorten(interrupt)
            raise interrupt from None
        except BaseException as error:
            let_go(error)
            shorten(error)
            raise
        finally:
            del items  # an error that is kept keeps this frame

    def run_once(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        items: Iterable[object],
        options: RunOptions,
        halt: Halt,
    ) -> RunResult[object]:
        failed = True
        with Deferral():
            try:
                self.begin(halt, options.monitor)
                halt.inside = True
                deployment = self.warm_deployment(compile_for, engine, options.keeping)
                halt.check()
                result = interruptible(partial(deployment.run, items, halt, options))
                failed = False
            finally:
                self.run_ended(halt, failed)
        return result

    def begin_stream(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        items: Iterable[object],
        options: RunOptions,
        halt: Halt | None = None,
        make: Make | None = None,
    ) -> Stream[object]:
        """A run whose results are taken one by one; the stream says when it has ended.

        `make` makes that, if it is to be read in another way.
        """
        from conveyor.runtime.parent.stream import Stream

        halt = halt or Halt()
        with Deferral():
            try:
                self.begin(halt, options.monitor)
                deployment = self.warm_deployment(compile_for, engine, options.keeping)
                halt.check()
                results: deque[object] = deque()
                run = deployment.stream(items, halt, options, results)
                is_kept = options.keeping is not None  # then its workers are no good for another
                stream = (make or Stream[object])(
                    run, results, halt, lambda failed: self.run_ended(halt, failed or is_kept)
                )
                if options.monitor is not None:
                    stream.monitor_url = options.monitor.url
                self.stream = weakref.ref(stream)
                deliver()
            except BaseException:
                self.run_ended(halt, True)
                raise
        return stream

    async def arun(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        items: Iterable[object] | AsyncIterable[object],
        options: RunOptions,
    ) -> RunResult[object]:
        """One run from its beginning to its end, beside the event loop of the calling task."""
        from conveyor.runtime.parent.async_runs import run_beside

        def run(items: Iterable[object], halt: Halt) -> RunResult[object]:
            return self.run(compile_for, engine, items, options, halt)

        try:
            return await run_beside(run, items)
        finally:
            del items

    def astream(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        items: Iterable[object] | AsyncIterable[object],
        options: RunOptions,
    ) -> AsyncStream[object]:
        """A run beside the event loop, whose results are taken one by one."""
        from conveyor.runtime.parent.async_runs import AsyncStream

        def begin(items: Iterable[object], halt: Halt, make: Make) -> object:
            return self.begin_stream(compile_for, engine, items, options, halt, make)

        self.check(Call.START)
        return AsyncStream(begin, items, options.acknowledging)

    def warm_deployment(
        self,
        compile_for: Callable[[Engine], Topology],
        engine: Engine | None,
        keeping: Keeping | None = None,
    ) -> Deployment:
        """The deployment that there is, or a new one if there is none, it is on another engine, or
        its code is outdated."""
        chosen = engine or self.deployed_on or self.engine
        if keeping is not None:  # such a run begins with workers of its own
            self.end_deployment()
            if not isinstance(chosen, KeepsCheckpoints):
                raise TopologyError(f"a run on {chosen!r} cannot be kept in a checkpoint yet")
        if self.deployment is not None and (
            chosen != self.deployed_on or self.deployment.is_outdated()
        ):
            self.end_deployment()
        if self.deployment is None:
            topology = compile_for(chosen)
            if isinstance(chosen, KeepsCheckpoints) and keeping is not None:
                self.deployment = chosen.open_kept(topology, self.paces, keeping)
            else:
                self.deployment = chosen.open(topology, self.paces)
            self.deployed_on = chosen
            self.finalizer = weakref.finalize(self, _finish, self.deployment)
        return self.deployment

    def run_ended(self, halt: Halt, failed: bool) -> None:
        """Back to where the pipeline was before this run; does nothing if that was said before, or
        it never began."""
        if self.halt is not halt:
            return
        try:
            if self.monitor is not None:
                self.monitor.close()
            if failed or not self.lifecycle.is_warm:
                self.end_deployment()
        finally:
            with _lock:
                self.lifecycle.run_ended()
                self.halt = self.stream = self.monitor = None
            halt.ended()

    def stop(self) -> None:
        """Ends the run or stream under way, from any thread; does nothing if there is none."""
        halt, stream = self.halt, self.stream
        if halt is None or self.is_of_parent():
            return
        halt.ask(RunStopped("the run was ended by stop()"))
        if stream is not None and (streaming := stream()) is not None:
            streaming.stop()

    # ---------------------------------------------------------------------------
    # its end

    def close(self) -> None:
        """Ends the workers of a pipeline that was opened by `open()`."""
        if self.is_of_parent():
            self.leave_to_parent()
            return
        with Deferral():
            self.end_stream()
            self.call(Call.CLOSE)
            self.end_deployment()

    def exit(self) -> None:
        """Ends the workers at the end of `with`, and a run that is still under way in another
        thread."""
        if self.is_of_parent():
            self.leave_to_parent()
            return
        with Deferral():
            self.end_stream()
            self.call(Call.EXIT)
            halt = self.halt
            if halt is None:
                self.end_deployment()
                return
            halt.ask(
                RunStopped(
                    "the run was ended by the end of `with`, which another thread had come to"
                )
            )
            if halt.thread != threading.get_ident():
                interruptible(halt.over.wait)

    def end_stream(self) -> None:
        stream = self.stream() if self.stream is not None else None
        if stream is not None:
            stream.close()

    def end_deployment(self) -> None:
        deployment, finalizer = self.deployment, self.finalizer
        try:
            if deployment is not None:
                self.paces = deployment.paces()
                deployment.close()
        finally:
            self.deployment = self.deployed_on = self.finalizer = None
            if finalizer is not None:
                finalizer.detach()

    def leave_to_parent(self) -> None:
        """Frees what this process has a copy of; what is open goes on in the other."""
        self.end_deployment()
        self.halt = self.stream = self.monitor = None
        self.lifecycle.forget()


def _finish(deployment: Deployment) -> None:
    """Called when nothing refers to the pipeline any more, or the program ends.

    A daemon thread may be in the middle of a run then.  It goes on until the interpreter is gone,
    and the workers are killed with it: nothing is taken from under it.
    """
    if not deployment.is_busy():
        deployment.close()
