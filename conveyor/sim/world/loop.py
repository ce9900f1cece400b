"""One node of a pipeline in memory: its drive loop, stepped from one wait to the next.

This file knows how a loop begins, goes on, fails, dies and is followed by another.  It must never
know who decides, or whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import add
from typing import Any, Protocol

from conveyor.core.barriers import Barriers
from conveyor.core.channel import UNBOUNDED, Inlet, Note
from conveyor.core.concurrent_drive import LaterHands, drive_concurrent
from conveyor.core.concurrent_node import ConcurrentNode, Hands
from conveyor.core.drive import Cut, Drive, DriveSpec, drive
from conveyor.core.epochs import NodeState
from conveyor.core.failures import LOADING, SETUP, TEARDOWN, THE_WORKER, failure_of
from conveyor.core.generations import drive_generations
from conveyor.core.job_node import ItemFailed, Node
from conveyor.core.ordered import stamped
from conveyor.core.requests import ChooseDone, ChooseInput, ChooseLane, Request, TimedChoice
from conveyor.core.selecting import SelectingNode
from conveyor.core.snapshots import KeptOutputs, RestoredNode
from conveyor.core.window import SlidingWindow, words_of_window
from conveyor.graph.route import Select
from conveyor.graph.topology import Kind, is_shut
from conveyor.items.current_item import CURRENT
from conveyor.report import DeadLetter, Tally
from conveyor.sim.interruption import is_final, pass_on
from conveyor.sim.prepare.prepared import PreparedNode
from conveyor.sim.schedule import CUT, TIMER, Death, Decision
from conveyor.sim.world.clock import ClockedNode, VirtualTimer, arrival, arrival_of_held
from conveyor.sim.world.crash_recovery import CrashRecovery
from conveyor.sim.world.durable_state import Remembered, Unkept
from conveyor.sim.world.endings import SaidEndings
from conveyor.sim.world.faulty_channel import Killed
from conveyor.sim.world.machine import Machine
from conveyor.sim.world.setting import RUN, Blob, Setting
from conveyor.sim.world.slices import SINGLE_ITEM_SLICES, ChosenSlices, OneOutput
from conveyor.sim.world.stepping import Steps
from conveyor.sim.world.timers import StateLost
from conveyor.sim.world.wiring import Wiring, came_before
from conveyor.sim.world.worker import Worker
from conveyor.stages import completed
from conveyor.stages.timed import timed

__all__ = ["NodeLoop", "Observer"]


class Observer(Protocol):
    """Is told what happens in a run."""

    def watch(self, loop: NodeLoop, node: Node) -> Node:
        """The node that takes the place of `node` in a loop."""
        ...

    def decided(self, decision: Decision) -> None: ...
    def died(self, death: Death) -> None: ...
    def restarted(self, worker: str) -> None: ...
    def failed(self, worker: str, text: str) -> None: ...


class LoopSetting(Setting, Protocol):
    """What a loop finds around it, and whom it tells of its end."""

    observer: Observer | None
    dead: list[NodeLoop]  # whose workers died, and have no successor yet
    machine: Machine[NodeLoop] | None  # of a run that has a checkpoint


class NodeLoop:
    """One node, stepped through one run after the other."""

    def __init__(self, world: LoopSetting, prepared: PreparedNode) -> None:
        self.world = world
        self.spec = prepared.spec
        spec, is_open = prepared.spec, prepared.spec.chooses_done
        self.decides = is_open or len(spec.inputs) > 1  # which input it reads, or what is done
        self.join_name = spec.done_name if is_open else spec.join_name
        self.wiring = Wiring(prepared.spec, world.channels, world.source)
        self.worker = Worker(world, prepared, self.place, self.send_dead_letter)
        self.recovery: CrashRecovery | None = None  # None: its worker cannot die
        self.ends = self.wiring.ends(None)
        self.tally = Tally()
        self.request: Request[Blob] | None = None  # what it waits for
        self.options: list[int] = []  # while it waits to read its join: lanes that have something
        self.lane = 0  # of its join, that it reads
        self.window_words = words_of_window(
            min([channel.capacity for channel in self.wiring.read], default=1)
        )
        self.reads = 0  # of its join, that were decided
        self.asked = False  # was the read of the slice that it takes in hand decided?
        self.clock = world.clocks[self.spec.index]
        self.timer: VirtualTimer | None = None  # of a job that time wakes or holds up
        self.timer_point = self.spec.name + TIMER
        self.events = 0  # slices that were taken, and what came due, if there is a timer
        self.lets_time_pass = True  # may something come due before the next item?
        self.moves = 0  # how often it was stepped, in all runs
        self.has_begun = False  # has its worker come to the first wait?
        self.finished = self.dead = False
        self.barriers: Barriers | None = None  # of a run that has a checkpoint
        self.known: NodeState | None = None  # at the barrier where this life began
        self.before: tuple[int, ...] = ()  # items of each input that came in an earlier life
        self.saved: Remembered | None = None  # of a processor with a state, in such a run

    def begin(self) -> None:
        """Begins a new run, with a new worker."""
        self.wiring.clear()
        crash_plan = self.world.crash_plans.get(self.spec.name)
        self.recovery = (
            None
            if crash_plan is None
            else CrashRecovery(self.world, self.spec, self, crash_plan, self.window_words)
        )
        self.reads = self.lane = self.events = 0
        self.clock.now = 0.0
        self.known, self.before = None, ()
        self.start(Tally(), None)

    def begin_again(self, known: NodeState | None, was_last: bool) -> None:
        """Begins a new life, when everything had died, with what was known at a barrier, or at the
        end of the run if it `was_last`."""
        self.wiring.clear()
        self.lane = 0
        tally = Tally()
        if known is not None:
            tally.restore(known.counts)
        self.known = known
        self.clock.now = 0.0 if known is None else known.clock
        self.start(tally, None if known is None else known.state, was_last)

    def start(self, tally: Tally, state: bytes | None, is_over: bool = False) -> None:
        self.tally = tally
        if is_over or is_shut(self.spec, self.world.opened):
            self.finished, self.dead, self.request = True, False, None
            self.worker.take_stage()
        else:
            self.start_worker(state)

    def start_worker(self, state: bytes | None = None) -> None:
        """Starts a new worker: everything is new but the channels and their notes."""
        self.moves += 1
        self.finished = self.dead = self.asked = self.has_begun = False
        self.lets_time_pass = True
        self.request = None
        recovery, worker = self.recovery, self.worker
        if recovery is not None:
            self.tally = Tally()  # the journal has what the worker before counted
        try:
            node = worker.new_node(
                self.tally, None if recovery is None else recovery.durable, state
            )
        except BaseException as error:  # reported as a real worker reports it: the run ends
            self.fail(SETUP if worker.stage is not None else LOADING, error)
            return
        finally:
            worker.leave()
        self.send = self.driven(node, recovery).send

    def driven(self, node: Node, recovery: CrashRecovery | None) -> Drive[Blob]:
        """The drive loop of a new worker."""
        world, spec, wiring = self.world, self.spec, self.wiring
        crash_plan = journal = selecting = None
        cut: Cut = SINGLE_ITEM_SLICES
        job_node = node
        if recovery is not None:
            crash_plan, journal = recovery.crash_plan, recovery.durable.journal
            cut = ChosenSlices(wiring.read, crash_plan, self.takes_all)
        restored = self.restored(recovery)
        machine = world.machine
        if machine is None:
            self.ends = ends = wiring.ends(crash_plan)
            inputs = ends.inputs or [wiring.source_end(crash_plan)]
            self.barriers = None
        else:
            self.ends = ends = wiring.kept_ends(machine.plan, self.known)
            inputs = ends.inputs or [ends.gate(wiring.source_end(machine.plan))]
            self.barriers = Barriers(ends.gates, ends.outlets, self.keep)
            self.before = came_before(self.known, inputs)
        stage = timed(self.worker.stage) if world.is_clocked else None
        self.timer = None if stage is None else VirtualTimer(stage, self.clock)
        if spec.fork is not None and isinstance(spec.route, Select):
            selecting = SelectingNode(
                spec.fork, spec.route, self.tally, self.send_dead_letter, is_final
            )
        around = (restored, self.timer, selecting)
        if wiring.is_stamped or any(each is not None for each in around):
            node = stamped(spec, node, ends.outlets, *around)
        if self.parts_outputs:
            node = OneOutput(node)
        if world.is_clocked:
            node = ClockedNode(node, self.clock, self.arrived(inputs, job_node), wiring.read)
        if world.observer is not None:
            node = world.observer.watch(self, node)
        driven = DriveSpec(
            node=node,
            inlets=inputs,
            outlets=ends.outlets,
            route=spec.route,
            join_name=spec.join_name,
            journal=journal,
            restored=restored,
            timer=self.timer,
            selected=selecting,
            barriers=self.barriers,
        )
        if isinstance(job_node, ConcurrentNode):
            return self.driven_side_by_side(driven, job_node, recovery)
        return drive(RUN, driven, cut)

    def restored(self, recovery: CrashRecovery | None) -> RestoredNode | None:
        """What restores the state of the stage, if anything does."""
        state = self.worker.state
        self.saved = None
        if self.world.machine is not None and state is not None:
            self.saved = Remembered(state, self.spec.name)
            return RestoredNode(self.saved, state)
        if recovery is None:
            return RestoredNode(Unkept(), state) if isinstance(state, KeptOutputs) else None
        if recovery.durable.state_log is None:
            return None
        return RestoredNode(recovery.durable, state)

    @property
    def parts_outputs(self) -> bool:
        """Is each output in a record of its own?  Where items take turns, another may go on while
        there is not room for two."""
        is_mortal = self.recovery is not None
        return self.wiring.parts_outputs or self.spec.interleaves or is_mortal

    def driven_side_by_side(
        self, driven: DriveSpec[Blob], node: ConcurrentNode, recovery: CrashRecovery | None
    ) -> Drive[Blob]:
        hands, name = self.hands(node), self.spec.done_name
        if driven.restored is not None:
            at_once = 1 if self.parts_outputs else UNBOUNDED
            crash_plan = None if recovery is None else recovery.crash_plan
            endings = SaidEndings(self.world, self.spec.name, crash_plan)
            words = self.window_words
            return drive_generations(RUN, driven, node, hands, words, name, at_once, endings)
        window = (
            SlidingWindow(Note([0] * self.window_words)) if recovery is None else recovery.window
        )
        return drive_concurrent(RUN, driven, node, hands, window, name)

    def hands(self, node: ConcurrentNode) -> Hands:
        most, stepped = self.spec.concurrency or 1, self.worker.stepped
        if stepped is None:
            return LaterHands(most)
        return Steps(stepped, node, most, self.runs_out if self.world.pipeline.timers else None)

    def runs_out(self) -> bool:
        """Is the time of the item over that goes on?"""
        return self.world.runs_out(self.spec.name, (None, self.reads - 1))

    def arrived(self, inputs: Sequence[Inlet], node: Node) -> Callable[[Sequence[Any]], float]:
        """What says when the items that a node is given were there."""
        if isinstance(node, ConcurrentNode):
            return partial(arrival_of_held, inputs[0])
        return lambda items: arrival(inputs[self.lane], len(items))

    def takes_all(self) -> bool:
        """Is the next slice all there is, rather than one item?"""
        return bool(self.world.decide(self.spec.name + CUT, (0, 1)))

    def place(self, index: int) -> tuple[int, int]:
        """Which of its inputs an item of the slice in hand came from, and its position there."""
        lane = self.lane if len(self.ends.inputs) > 1 else 0
        before = self.before[lane] if self.before else 0
        return lane, before + self.ends.inputs[lane].position(index + 1) - 1

    @property
    def positions(self) -> tuple[int, ...]:
        """How far it has read each input, in all of its lives."""
        heads = [inlet.head for inlet in self.ends.inputs or [self.world.source]]
        before = self.before or (0,) * len(heads)
        return tuple(map(add, heads, before))

    def keep(self, number: int) -> None:
        """Keeps what is known at a barrier; the sink is the last that comes to one."""
        machine = self.world.machine
        assert machine is not None
        machine.keep(self, is_last=number > 0 and self.spec.kind is Kind.SINK)

    def send_dead_letter(self, letter: DeadLetter) -> None:
        if self.recovery is not None:
            self.recovery.send_dead_letter(letter)
        else:
            self.world.dead_letters.append(letter)

    def go(self, answer: int | None) -> None:
        """Goes on to the next wait, or the next read of a join."""
        self.moves += 1
        send, world, private = self.send, self.world, self.worker.private
        if private is not None:
            private.enter()
        try:
            if not self.has_begun:
                self.has_begun = True
                self.try_state()
            while True:
                request = send(answer)  # type: ignore[arg-type]  # None at first, and where nothing was asked
                if type(request) is ChooseLane:
                    answer = world.choose(request)
                elif (
                    type(request) is ChooseInput
                    or type(request) is TimedChoice
                    or type(request) is ChooseDone
                    or not request.ready()
                ):
                    self.request = request
                    return
                else:
                    answer = None
        except StopIteration:
            self.finish()
        except Killed:
            self.die()
        except ItemFailed as failed:
            self.fail("", failed.error.error if isinstance(failed.error, StateLost) else failed)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # of a job's own task, too
            self.fail(THE_WORKER, error)
        finally:
            if private is not None:
                private.leave()

    def try_state(self) -> None:
        """Tries whether the state of a processor can be packed; raises what that raises.

        Where the worker may die, that is done behind each slice.
        """
        if self.recovery is None:
            self.worker.try_state()

    def finish(self) -> None:
        """Called when all is done; even now the worker may die."""
        try:
            self.try_state()
        except Exception as error:
            self.fail(THE_WORKER, error)
            return
        self.finished = True
        if self.recovery is not None:
            try:
                self.recovery.crash_plan.finish()
            except Killed:
                self.finished = False
                self.die()

    def die(self) -> None:
        """Called when the worker has died: another is to take its place, or the run ends."""
        assert self.recovery is not None
        heads = [inlet.head for inlet in self.ends.inputs or [self.world.source]]
        self.worker.take_stage()
        error = self.recovery.died(heads)
        if self.world.observer is not None:
            self.world.observer.died(self.recovery.crash_plan.deaths[-1])
        if error is not None:
            self.fail("", error)
        else:
            self.dead = True
            self.world.dead.append(self)

    def fail(self, where: str, error: BaseException) -> None:
        """Ends the run with an error.  Raises `error` if it came from outside of the run."""
        self.finished = True
        # The job may have been left in the middle of something, so its node is not used again.
        self.world.nodes.pop(self.spec.index, None)
        pass_on(error.error if isinstance(error, ItemFailed) else error)
        failure = failure_of(self.spec.index, where, error)
        self.world.failures.append(failure)
        if self.world.observer is not None:
            self.world.observer.failed(self.spec.name, f"{failure.where}: {failure.text}")

    def end(self, is_told: bool) -> None:
        """Ends the worker as a real run does; an error then is the run's if it `is_told`."""
        if self.world.pipeline.tears_down:
            self.tear_down(is_told)
        self.worker.end_loop()

    def tear_down(self, is_told: bool) -> None:
        worker = self.worker
        stage = worker.take_stage()
        if stage is None or not worker.prepared.tears_down:
            return
        worker.enter()
        CURRENT.outside(self.spec.name)
        try:
            completed(stage.teardown(), worker.awaits)
        except BaseException as error:  # reported as a real worker reports it
            if is_told:
                self.fail(TEARDOWN, error)
            else:
                pass_on(error)
        finally:
            worker.leave()
