"""A pipeline in memory, stepped in one thread; whatever could happen in more than one way is asked of a scheduler.

Knows: the nodes, drive loops and channels of a topology, and which of them can go on.  Must never know: processes, threads, the
clock; where schedulers come from; what is done with the results.

Rule 1.  Only joins, balances, and what a fault plan adds are decided.  Everything else goes on as far as it can, in a fixed
         order: it can change nothing of what comes out (Kahn networks).
Rule 2.  A join reads only when nothing else can go on, so every lane that can have an item has one.  Where several joins could
         read, one whose other lanes can get nothing without it goes first; if there is none, their turn is a choice, too.
Rule 3.  A balancing fork chooses first and waits for room then.
Rule 4.  A worker that fails stops; the others go on to where they must stop, and then one of the failures is the run's.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from conveyor.channel import Tag
from conveyor.codec import is_atom, seal
from conveyor.deadlock import ChannelState, Circle, Wait, WaitsFor, find_cycle
from conveyor.deaths import NO_STATE
from conveyor.decisions import ALL_ENDED, Choose, Full, Merge, Request
from conveyor.drive import drive
from conveyor.ends import Ends, words_of_notes
from conveyor.errors import WorkerCrashed
from conveyor.failures import LOADING, Failure, failure_of
from conveyor.nodes import ALONE, CollectNode, ItemFailed, Node, Piece, RelayNode, node_for
from conveyor.report import DeadLetter, Tally
from conveyor.route import balances, forks_of, leaves, taken
from conveyor.sim.channel import MemoryChannel, State
from conveyor.sim.estate import Estate
from conveyor.sim.inspection import Inspection
from conveyor.sim.lent import Lent
from conveyor.sim.plan import Plan, Seat
from conveyor.sim.port import Killed, Life, Port
from conveyor.sim.schedule import CUT, LANES, RESTART, STOP, TIMER, TURN, Death, Decision
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.timers import StateLost, put_timer
from conveyor.snapshots import Replay
from conveyor.stages import Job
from conveyor.topology import Kind, channels_of, is_shut

__all__ = ["Loop", "Memory", "World"]

Blob: TypeAlias = list[object]
LoopState: TypeAlias = "tuple[Loop, int, Request[Blob] | None, int, tuple[int, ...], list[int] | None]"
AnyEnds: TypeAlias = "Ends[MemoryChannel, MemoryChannel] | Ends[Port, Port]"

new: Callable[[type[Decision], tuple[str, int, int, int]], Decision] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # of a generic class

RUN: Final = 1
ROOMY: Final = 1 << 40


class Observer(Protocol):
    """Is told what happens."""

    def watch(self, loop: Loop, node: Node) -> Node:
        """The node that takes the place of `node` in a loop."""
        ...

    def decided(self, decision: Decision) -> None: ...
    def died(self, death: Death) -> None: ...
    def restarted(self, worker: str) -> None: ...
    def failed(self, worker: str, text: str) -> None: ...


class OneByOne:
    """Slices of one item: larger ones give a part of the same outcomes."""

    n = 1


class OneOutput:
    """A node that gives its outputs one by one: where a larger slice cuts them, any two may be chosen different lanes."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tally = node.tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return self.node(items, skip, 1)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, 1)


class CutOrNot:
    """Where a worker is to die, a slice is one item or all there is."""

    def __init__(self, world: World, loop: Loop) -> None:
        self.world = world
        self.loop = loop

    @property
    def n(self) -> int:
        there = max((end.queued() for end in self.loop.channels_in), default=1)
        if there <= 1 or not self.loop.life or not self.loop.life.will_die:
            return 1
        return ROOMY if self.world.decide(self.loop.spec.name + CUT, (0, 1)) else 1


ONE_BY_ONE: Final = OneByOne()


class Loop:
    """One node with its ends of the channels, stepped through one run."""

    def __init__(self, world: World, seat: Seat) -> None:
        self.world = world
        self.seat = seat
        self.spec = seat.spec
        self.merge_name = seat.spec.merge_name
        self.notes = memoryview(array("Q", [0] * words_of_notes(self.spec.inputs)))
        self.channels_in = [world.channels[c] for c in channels_of(self.spec.inputs)]
        if self.spec.kind is Kind.SOURCE:
            self.channels_in = [world.source]
        self.channels = [world.channels[c] for c in channels_of(self.spec.inputs)]
        self.channels += [world.channels[c] for c in leaves(self.spec.route)] if self.spec.route is not None else []
        self.composite = len(self.notes) > 0
        route = self.spec.route
        self.balances = route is not None and balances(route)
        self.decides = route is not None and (len(self.spec.inputs) > 1 or self.balances)  # before it waits for room
        self.is_stamped = self.spec.depth > 0 or self.spec.stamps
        self.ends = self.deathless = self.make_ends(None)
        self.life: Life | None = None
        self.estate: Estate | None = None
        self.lane = 0  # of its join, that it reads
        self.tally = Tally()
        self.options: list[int] = []  # the lanes of its join that have something, while it waits to read
        self.moves = 0
        self.reads = 0
        self.asked = False  # was its join asked for the slice that it takes in hand?
        self.stands = 0  # of what a worker that died had read
        self.finished = self.dead = False
        self.request: Request[Blob] | None = None
        self.stage: Job[object, object] | None = None

    def begin(self) -> None:
        """A new run, and a new worker in it."""
        for at in range(len(self.notes)):
            self.notes[at] = 0
        self.life = self.world.deaths.get(self.spec.name)
        self.estate = None if self.life is None else Estate(self.life, self.void, self.taken)
        self.reads = self.lane = 0
        self.tally = Tally()
        if is_shut(self.spec, self.world.opened):
            self.finished, self.dead, self.request, self.stage = True, False, None, None
        else:
            self.be_born()

    def be_born(self) -> None:
        """A new worker: everything is new but the channels and the notes."""
        self.moves += 1
        self.finished = self.dead = self.asked = False
        self.request = None
        world, spec, life = self.world, self.spec, self.life
        try:
            node = self.make_node()
        except BaseException as error:  # reported, as a worker's is: the run ends
            self.fail("setup()" if self.stage is not None else LOADING, error)
            return
        self.ends = ends = self.deathless if life is None and not self.composite else self.make_ends(life)
        inputs = ends.inputs or [world.source if life is None else Port(world.source, life)]
        estate = self.estate
        replay = Replay(estate) if estate is not None and estate.stage is not None else None
        if self.is_stamped or replay is not None:
            node = ends.stamped(spec, node, replay)
        if self.balances or (life is not None and life.by_output):
            node = OneOutput(node)
        if world.observer is not None:
            node = world.observer.watch(self, node)
        cut = ONE_BY_ONE if life is None else CutOrNot(world, self)
        journal = None if estate is None else estate.journal
        self.send = drive(RUN, node, inputs, ends.outlets, spec.route, cut, spec.merge_name, journal, replay).send

    def make_ends(self, life: Life | None) -> AnyEnds:
        channel = self.world.channels.__getitem__
        if life is None:
            return Ends(self.spec, self.notes, channel, channel)

        def port(index: int) -> Port:
            return Port(channel(index), life)

        return Ends(self.spec, self.notes, port, port)

    def make_node(self) -> Node:
        spec, world, estate = self.spec, self.world, self.estate
        self.stage = None
        if spec.kind is Kind.SINK:
            world.sink.tally = self.tally
            return world.sink
        if estate is not None:
            self.tally = Tally()  # the journal knows what the last worker had counted
        node = None if spec.stage is None or estate is not None else world.nodes.get(spec.index)
        if node is None and spec.stage is not None:
            self.stage = stage = self.seat.stage()
            assert stage is not None
            if self.seat.sets_up:
                stage.setup()
            surroundings = ALONE._replace(place=self.place)
            if estate is not None:
                estate.heir(stage, self.tally)
                surroundings = estate.surroundings()
            node = node_for(stage, spec.name, self.bury, surroundings)
            if not world.plan.copies:
                node.seal = Lent
            if world.inspection is not None:
                world.inspection.take(self.seat, node)
            if world.plan.timers:
                job, place = node, surroundings.place or self.place
                put_timer(job, lambda: world.runs_out(spec.name, place(job.index())))
            if self.seat.is_stateless and estate is None:
                world.nodes[spec.index] = node
        if node is None:
            node = RelayNode()
            if estate is not None:
                estate.heir(None, self.tally)
        node.tally = self.tally
        return node

    def place(self, index: int) -> tuple[int, int]:
        """Which of its inputs an item of the slice in hand is from, and its position there."""
        return self.lane, self.ends.inputs[self.lane].position(index + 1) - 1

    def bury(self, letter: DeadLetter) -> None:
        life = self.life
        if life is not None:
            life.store(lambda: (life.done, "taken"))
        self.world.dead_letters.append(letter)

    def void(self, ordinal: int) -> None:
        """What was said of the item with this ordinal, and of those behind it, is said again."""
        name, letters = self.spec.name, self.world.dead_letters
        self.world.dead_letters = [each for each in letters if each.stage != name or each.ordinal < ordinal]
        scheduler, spec = self.world.scheduler, self.spec
        self.stands = ordinal
        if len(spec.inputs) > 1:
            scheduler.void(spec.merge_name, self.reads, ordinal)
        for fork in forks_of(spec.route):
            tails = [self.world.channels[channel].tail for channel in leaves(fork)]
            scheduler.void(fork.name, self.world.counts.get(fork.name, 0), taken(fork, tails))

    def taken(self) -> None:
        """A slice is taken in hand; where its join was not asked for it, what was decided before a worker died still stands."""
        if len(self.spec.inputs) > 1 and not self.asked:
            self.stands += 1
            self.world.scheduler.void(self.spec.merge_name, self.reads, self.stands)
        self.asked = False

    def go(self, answer: int | None) -> None:
        """Goes on to the next wait, or the next read of a join."""
        self.moves += 1
        send, world = self.send, self.world
        try:
            while True:
                request = send(answer)  # type: ignore[arg-type]  # None at first, and where nothing was asked
                if type(request) is Choose:
                    answer = world.choose(request)
                elif type(request) is Merge or not request.ready():
                    self.request = request
                    return
                else:
                    answer = None
        except StopIteration:
            self.finished = True
        except Killed:
            self.die()
        except ItemFailed as failed:
            self.fail("", failed.error.error if isinstance(failed.error, StateLost) else failed)
        except Exception as error:
            self.fail("the worker itself", error)

    def die(self) -> None:
        """Its worker is gone: another will take its place, unless a state died with it."""
        assert self.life is not None
        assert self.estate is not None
        assert self.life.died is not None
        if self.world.observer is not None:
            self.world.observer.died(self.life.died)
        self.estate.died()
        stage = self.stage
        if stage is not None and stage.is_stateful and not stage.is_restorable and self.estate.has_begun:
            self.fail("", WorkerCrashed(f"the worker of stage {self.spec.name!r} died in the simulation; {NO_STATE}"))
        elif self.life.gives_up:
            self.fail("", WorkerCrashed(f"the workers of stage {self.spec.name!r} died one after the other, as it is recorded"))
        else:
            self.dead = True
            self.world.dead.append(self)

    def fail(self, where: str, error: BaseException) -> None:
        self.finished = True
        self.world.nodes.pop(self.spec.index, None)  # it may have been left in the middle of something
        failure = failure_of(self.spec.index, where, error)
        self.world.failures.append(failure)
        if self.world.observer is not None:
            self.world.observer.failed(self.spec.name, f"{failure.where}: {failure.text}")

    def tear_down(self) -> None:
        if self.stage is not None and self.seat.tears_down:
            self.stage.teardown()


class Memory:
    """What a world can go back to: all that those who have not finished may still change, as long as they are stateless."""

    __slots__ = ("asked", "channels", "counts", "log", "loops", "outputs", "source")

    def __init__(self, world: World) -> None:
        self.asked = world.scheduler.at
        self.source = world.source.head
        self.outputs = len(world.outputs)
        self.log = len(world.log)
        self.counts = dict(world.counts)
        self.channels: list[tuple[MemoryChannel, State]] = []
        self.loops: list[LoopState] = []
        for loop in world.active:
            self.channels += [(channel, channel.state()) for channel in loop.channels]
            notes = loop.notes.tolist() if loop.composite else None
            counts = loop.tally.counts() if loop.spec.stage is not None else ()
            self.loops.append((loop, loop.moves, loop.request, loop.reads, counts, notes))


class World:
    """One pipeline in memory; `run` it as often as wanted, each time with a scheduler that decides."""

    def __init__(
        self, plan: Plan, items: Sequence[object], observer: Observer | None = None, inspection: Inspection | None = None
    ) -> None:
        self.plan = plan
        self.observer = observer
        self.inspection = inspection
        self.nodes: dict[int, Node] = {}
        self.source = MemoryChannel(ROOMY)
        safe = seal if plan.copies else Lent
        self.items: list[object] = [item if is_atom(item) else safe(item) for item in items]
        self.channels = [MemoryChannel(channel.capacity, channel.index) for channel in plan.topology.channels]
        self.outputs: list[object] = []
        self.sink = CollectNode(self.outputs.extend)
        self.dead_letters: list[DeadLetter] = []
        self.failures: list[Failure] = []
        self.dead: list[Loop] = []
        self.log: list[Decision] = []
        self.counts: dict[str, int] = {}
        self.scheduler = Scheduler()
        self.deaths: dict[str, Life] = {}
        self.opened: dict[str, int] = {}  # how many lanes of an adapting fork are open, if that matters
        self.loops = [Loop(self, seat) for seat in plan.seats]
        self.loop_of = {loop.spec.index: loop for loop in self.loops}
        self.composite = any(loop.composite for loop in self.loops)
        self.active: list[Loop] = self.loops
        self.memories: list[Memory] = []  # along the schedule under way, where it may have to be gone back to
        self.goes_back = plan.is_stateless and observer is None and inspection is None and not plan.timers
        self.deciding = [loop for loop in self.loops if loop.decides]

    # ------------------------------------------------------------------------------------------------------------ one run

    def begin(self, scheduler: Scheduler, deaths: dict[str, Life] | None = None) -> None:
        """Everything as it is before the first item."""
        self.scheduler = scheduler
        self.deaths = deaths or {}
        self.waits = scheduler.waits
        self.asks_always = scheduler.asks_always
        self.asks_of_one = scheduler.asks_always or scheduler.waits  # is a read decided that has no other lane?
        if self.inspection is not None:
            self.inspection.begin()
        if self.deaths:
            self.memories.clear()
        elif self.go_back():
            return
        for channel in self.channels:
            channel.clear()
        self.source.clear()
        self.source.publish(len(self.items), self.items, Tag(RUN, 0, 0, 0, 0, 0))
        self.source.close(RUN)
        self.outputs.clear()
        self.dead_letters = []
        self.failures = []
        self.dead = []
        self.log = []
        self.counts = {}
        self.turned = False  # did a join read before one that would have been first?
        self.open_lanes()
        for loop in self.loops:
            loop.begin()
        self.active = [loop for loop in self.loops if not loop.finished]

    def go_back(self) -> bool:
        """Is there a place that this schedule comes by, too?  Then it begins there."""
        shared = self.scheduler.shared()
        while self.memories and self.memories[-1].asked > shared:
            self.memories.pop()
        if not self.memories:
            return False
        self.restore(self.memories[-1])
        self.scheduler.go_on(self.memories[-1].asked)
        return True

    def remember(self, ready: Sequence[Loop]) -> None:
        """Keeps the place where a decision is about to be taken: the first, and the others of those who come by again.

        Not while a record waits for room whose input or lane is decided: whoever takes that worker's place would ask again.
        """
        is_forced = len(ready) == 1 and len(ready[0].options) == 1
        if (is_forced and self.scheduler.shares) or self.deaths or self.failures or self.dead_letters:
            return
        for loop in self.deciding:
            if type(loop.request) is Full:
                return
        asked = self.scheduler.at if self.scheduler.shares else len(self.log)
        if (asked == 0 or self.scheduler.shares) and not (self.memories and self.memories[-1].asked >= asked):
            self.memories.append(Memory(self))

    def open_lanes(self) -> None:
        """How many lanes of an adapting fork are opened in this run: it shows where a lane says something at the end."""
        self.opened = {fork: self.decide(fork + LANES, range(lanes, 0, -1)) for fork, lanes in self.plan.telling_forks}
        for loop in self.loops:
            if is_shut(loop.spec, self.opened):
                for channel in leaves(loop.spec.route) if loop.spec.route is not None else ():
                    self.channels[channel].close(RUN)

    def finish(self) -> None:
        """Runs to where nobody can go on."""
        while True:
            ready = self.settle()
            if self.dead and self.comes_back(bool(ready)):
                self.restart(self.dead.pop(0))
            elif ready:
                if self.goes_back and (not self.log or self.scheduler.shares):
                    self.remember(ready)
                self.read(ready[0] if len(ready) == 1 else self.next_of(ready))
            else:
                return

    def comes_back(self, can_wait: bool) -> bool:
        """Does another take the place of the dead now?  Each death has one answer that says so, asked for or not."""
        point = RESTART + self.dead[0].spec.name
        if can_wait:
            return not self.decide(point, (0, 1))
        self.counts[point] = self.counts.get(point, 0) + 1
        return True

    def restart(self, loop: Loop) -> None:
        if self.observer is not None:
            self.observer.restarted(loop.spec.name)
        loop.be_born()
        self.active = [each for each in self.loops if not each.finished]

    def settle(self) -> list[Loop]:
        """Everybody goes on as far as they can without reading from a join; gives the joins that could read then."""
        looked_twice = not self.composite
        while True:
            moved = False
            ready: list[Loop] = []
            for loop in self.active:
                request = loop.request
                if type(request) is Merge:
                    loop.options = request.options()
                    if loop.options:
                        ready.append(loop)
                        continue
                    if not request.ready():
                        continue
                    loop.go(ALL_ENDED)
                elif request is None or (type(request) is not Choose and request.ready()):
                    loop.go(None)
                else:
                    continue
                moved = True
            if moved:
                looked_twice = not self.composite
                self.active = [loop for loop in self.active if not loop.finished and not loop.dead]
            elif looked_twice:
                return ready
            else:  # to look at an ordered join or a zip takes its marks away, and that makes room
                looked_twice = True

    def read(self, loop: Loop) -> None:
        """One read of a join, which is decided."""
        options, point, ordinal = loop.options, loop.merge_name, loop.reads
        lane = options[0]
        if len(options) > 1 or self.asks_of_one:
            lane = self.scheduler.pick(point, ordinal, options)
        loop.reads, loop.lane, loop.asked = ordinal + 1, lane, True
        decision = new(Decision, (point, ordinal, lane, options[0]))  # at half the cost of Decision(...)
        self.log.append(decision)
        if self.observer is not None:
            self.observer.decided(decision)
        loop.go(lane)
        if loop.finished or loop.dead:
            self.active = [each for each in self.active if each is not loop]

    def next_of(self, ready: list[Loop]) -> Loop:
        """Which of several joins reads next."""
        able = ready
        if self.waits:
            able = [loop for loop in ready if self.has_what_it_wants(loop)] or ready[:1]
            if (self.first_of(ready) or ready[0]) not in able:
                self.turned = True
            if len(able) == 1:
                return able[0]
        return self.first_of(able) or self.turn_of(able)

    def first_of(self, ready: list[Loop]) -> Loop | None:
        """The first that has all it can get, and loses nothing by reading now."""
        return next((loop for loop in ready if self.has_all_it_can_get(loop)), None)

    def turn_of(self, ready: list[Loop]) -> Loop:
        turn = self.scheduler.turn([loop.spec.merge_name for loop in ready], [loop.options for loop in ready])
        self.turned = self.turned or turn > 0
        if self.deaths:  # when another takes the place of the dead is counted in decisions, whichever join they are of
            self.note(Decision(TURN, self.counts.get(TURN, 0), turn, 0))
            self.counts[TURN] = self.counts.get(TURN, 0) + 1
        return ready[turn]

    def has_what_it_wants(self, loop: Loop) -> bool:
        wanted = self.scheduler.wants(loop.spec.merge_name, loop.reads)
        return wanted is None or wanted in loop.options

    def choose(self, choose: Choose) -> int:
        """The lane that a balancing fork gives its next record."""
        lanes = range(len(choose.lanes))
        if choose.adaptive:
            lanes = range(self.opened.get(choose.name, len(lanes)))
        return self.decide(choose.name, lanes, choose.items)

    def decide(self, point: str, options: Sequence[int], count: int = 1) -> int:
        """A decision about the next `count` of what its point counts."""
        ordinal = self.counts.get(point, 0)
        self.counts[point] = ordinal + count
        option = options[0]
        if len(options) > 1 or self.asks_always:
            option = self.scheduler.pick(point, ordinal, options)
        self.note(Decision(point, ordinal, option, options[0]))
        return option

    def runs_out(self, worker: str, place: tuple[int, int]) -> bool:
        """Does the item at this place of a worker's inputs take too long?"""
        point = worker + TIMER
        said = self.scheduler.timer(worker, place)
        if said is None:
            return bool(self.decide(point, (0, 1)))
        ordinal = self.counts.get(point, 0)
        self.counts[point] = ordinal + 1
        self.note(Decision(point, ordinal, said, 0))
        return bool(said)

    def note(self, decision: Decision) -> None:
        self.log.append(decision)
        if self.observer is not None:
            self.observer.decided(decision)

    def failure(self) -> Failure | None:
        """Which failure is the run's."""
        if not self.failures:
            return None
        failures = sorted(self.failures, key=lambda failure: failure.node)  # whoever failed first
        said = self.scheduler.stop([self.plan.topology.nodes[failure.node].name for failure in failures])
        if said is None:
            return failures[self.decide(STOP, range(len(failures)))]
        self.note(Decision(STOP, 0, said, 0))
        return failures[said]

    def decided(self) -> dict[str, int]:
        """How much was decided at each join and each fork."""
        return self.counts | {loop.spec.merge_name: loop.reads for loop in self.loops if len(loop.spec.inputs) > 1}

    # ------------------------------------------------------------------------------------------- what a join can still get

    def has_all_it_can_get(self, loop: Loop) -> bool:
        """Can none of the lanes that have nothing for this join get something before it reads?"""
        node = loop.spec.index
        for source in channels_of(loop.spec.inputs):
            channel = self.channels[source]
            if not channel.pending() and channel.closed != RUN and self.can_get(source, node, ()):
                return False
        return True

    def can_get(self, channel: int, without: int, asked: tuple[int, ...]) -> bool:
        """Could a channel get an item while the node `without` does nothing?"""
        return self.can_go_on(self.plan.topology.channels[channel].producer, without, asked)

    def can_go_on(self, node: int, without: int, asked: tuple[int, ...]) -> bool:
        if node == without or node in asked:  # who waits for itself in a circle gets nothing
            return False
        loop = self.loop_of[node]
        if loop.dead:
            return True
        request = loop.request
        asked = (*asked, node)
        if loop.finished:
            return False
        if isinstance(request, Full):
            consumers = [self.plan.topology.channels[c].consumer for c in lacking_room(request)]
            return all(self.can_go_on(consumer, without, asked) for consumer in consumers)
        if isinstance(request, Merge) and request.options():
            return True
        return any(self.can_get(channel, without, asked) for channel in channels_of(loop.spec.inputs))

    # ------------------------------------------------------------------------------------------------------ there and back

    def restore(self, memory: Memory) -> None:
        """Back to where `memory` was taken: workers that have moved since are replaced, as if they had died."""
        self.source.head = memory.source
        for channel, state in memory.channels:
            channel.restore(state)
        del self.outputs[memory.outputs :]
        self.log = self.log[: memory.log]
        self.counts = dict(memory.counts)
        self.dead_letters, self.failures, self.turned = [], [], False
        self.active = []
        for loop, moves, request, reads, counts, notes in memory.loops:
            self.active.append(loop)
            if loop.moves == moves:
                continue
            for at, word in enumerate(notes or ()):
                loop.notes[at] = word
            loop.reads = reads
            loop.tally = Tally()
            if counts:
                loop.tally.restore(counts)
            loop.be_born()
            if type(request) is Merge:
                loop.go(None)
            loop.moves = moves

    # ---------------------------------------------------------------------------------------------------------- what is stuck

    def waits_of(self) -> dict[int, Wait]:
        """What those who have not finished wait for."""
        return {loop.spec.index: self.wait_of(loop) for loop in self.loops if not loop.finished}

    def wait_of(self, loop: Loop) -> Wait:
        if isinstance(loop.request, Full):
            return Wait(WaitsFor.ROOM, tuple(lacking_room(loop.request)))
        lacking = [c for c in channels_of(loop.spec.inputs) if not self.channels[c].pending() and not self.channels[c].closed]
        return Wait(WaitsFor.ITEMS, tuple(lacking))

    def circle(self) -> Circle | None:
        """The pipes that wait for one another, once nobody can go on."""
        return find_cycle(self.plan.topology, self.waits_of())

    def states(self) -> dict[int, ChannelState]:
        return {channel.index: ChannelState(channel.queued(), channel.capacity) for channel in self.channels}


def lacking_room(full: Full[Blob]) -> list[int]:
    """The channels that have no room for what is to go out."""
    blob = full.blob
    ends = [end.channel if isinstance(end, Port) else end for end in full.outlets]
    return [end.index for end in ends if isinstance(end, MemoryChannel) and (blob is None or not end.fits(full.items, blob))]
