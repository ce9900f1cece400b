"""Whether values are what stages take, and whether jobs depend on nothing else: looked at in a run
that is made for that.

This file knows what goes into a job and what comes out.  It must never know schedules or channels.

A function is called beside its perturbed copy, each with a copy of the item, and their results
are compared at once, so that the stage can be named.  The state of a class cannot be had twice:
there the perturbed copy runs alone, and the two runs of a schedule are compared as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias, cast

from conveyor.core.job_node import JobNode
from conveyor.core.steering import closes
from conveyor.errors import ConveyorError, NotDeterministic, StageTypeError
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import seal
from conveyor.items.short_repr import short_repr
from conveyor.sim.code.perturbed import perturbed_job, reordered
from conveyor.sim.determinism.global_changes import GlobalChanges
from conveyor.sim.determinism.likeness import alike, same_error
from conveyor.sim.interruption import pass_on
from conveyor.sim.prepare.bindings import PrivateBindings
from conveyor.sim.prepare.prepared import PreparedNode, calculates
from conveyor.stages import (
    Gives,
    Job,
    gathered,
    gives_of,
    is_async,
    job_of,
    only_function,
    written,
    yields_async,
)
from conveyor.typecheck.answers import Assignability
from conveyor.typecheck.type_forms import UNKNOWN
from conveyor.typecheck.type_words import words
from conveyor.typecheck.value_check import value_fits

__all__ = ["Inspection"]

AnyJob: TypeAlias = Callable[[object], object]


class Inspection:
    """Looks at the jobs of a world; `error` is the first that was wrong in a run, whatever the
    stage does with errors."""

    def __init__(self, *, perturbed: bool) -> None:
        self.perturbed = perturbed
        self.error: ConveyorError | None = None
        self.changes: dict[str, str] = {}  # of a global: the stage whose job changed it

    def begin(self) -> None:
        self.error = None
        self.changes = {}

    def found(self, error: ConveyorError) -> None:
        self.error = self.error or error

    def take(self, prepared: PreparedNode, node: JobNode) -> None:
        """From now on the node's job is looked at."""
        job = node.job
        if self.perturbed and not calculates(job):
            job = self.beside_perturbed(prepared, node)
        if prepared.taken is not UNKNOWN:
            job = self.checked(node, prepared.taken, job)
        if job is not node.job:
            node.wrap(job)

    def checked(self, node: JobNode, taken: object, job: AnyJob) -> AnyJob:
        def checked_job(item: object) -> object:
            # In most cases the type is just what is taken, and that is quick to see.
            if not is_same(type(item), taken) and value_fits(item, taken) is Assignability.NO:
                error = StageTypeError(
                    f"stage {node.policy.stage!r} takes {words(taken)}, but item {node.ordinal()} "
                    f"is {short_repr(item)}, which is of type {words(type(item))}"
                )
                self.found(error)
            return job(item)

        return checked_job

    def beside_perturbed(self, prepared: PreparedNode, node: JobNode) -> AnyJob:
        """The job, called beside its perturbed copy."""
        stage, private = prepared.copy()  # with a state of its own, if its function has one
        assert prepared.spec.stage is not None
        source = written(prepared.spec.stage)
        if only_function(stage) is None:
            # As it is written: what gathers what it yields is not the user's
            job = job_of(node.stage) if yields_async(node.stage) else node.job
            perturbed_copy = perturbed_job(job, source)
            if yields_async(node.stage):
                perturbed_copy = all_of(perturbed_copy)
            return lambda item: perturbed_copy(reordered(item))
        if is_async(stage):
            return self.awaited_beside_perturbed(node, stage, private, source)
        if private is None:
            perturbed_copy = perturbed_job(job_of(stage), source)
        else:
            made = private.instead(lambda: perturbed_job(job_of(stage), source))
            perturbed_copy = (
                private.iterated(made) if gives_of(stage) is Gives.EACH else private.called(made)
            )
        pair = PerturbedPair(self.watched(node), perturbed_copy, partial(self.differs, node))
        return pair.iterated if gives_of(stage) is Gives.EACH else pair.called

    def awaited_beside_perturbed(
        self,
        node: JobNode,
        stage: Job[object, object],
        private: PrivateBindings | None,
        source: object,
    ) -> AnyJob:
        """The same of an async function; its perturbed copy has an event loop of its own, so that
        it takes none of the item's time."""
        from conveyor.sim.code.virtual_loop import VirtualLoop  # it imports asyncio

        loop = VirtualLoop(node.policy.stage)

        def made() -> AnyJob:
            perturbed_copy = perturbed_job(job_of(stage), source)
            return all_of(perturbed_copy) if yields_async(stage) else perturbed_copy

        perturbed_copy = made() if private is None else private.instead(made)

        def run(item: object) -> object:
            return loop.run(cast("Awaitable[object]", perturbed_copy(item)))

        beside = run if private is None else private.called(run)
        return PerturbedPair(self.watched(node), beside, partial(self.differs, node)).awaited

    def watched(self, node: JobNode) -> AnyJob:
        """The node's job, with a look at the globals that its function names where it is at
        work."""
        changes = GlobalChanges(
            job_of(node.stage), lambda name: self.changes.setdefault(name, node.policy.stage)
        )
        if not changes.names:
            return node.job
        if is_async(node.stage):
            return changes.of_awaited(node.job)
        if gives_of(node.stage) is Gives.EACH:
            return changes.of_each(node.job)
        return changes.of_call(node.job)

    def differs(self, node: JobNode, item: object, one: CallOutcome, other: CallOutcome) -> None:
        self.found(
            NotDeterministic(
                f"the job of stage {node.policy.stage!r} is not deterministic: for item "
                f"{node.ordinal()}, {short_repr(item)}, it {one}; and then, when the time, chance "
                f"and the order of sets were other, it {other}. "
                "Jobs must depend on nothing but their item"
            )
        )


def is_same(one: object, other: object) -> bool:
    return one is other


class CallOutcome(NamedTuple):
    """What came of a call."""

    result: object
    error: BaseException | None

    def __str__(self) -> str:
        if self.error is not None:
            return f"raised {type(self.error).__name__}: {self.error}"
        return "gave nothing more" if self.result is NOTHING else f"gave {short_repr(self.result)}"

    @property
    def is_of_another_loop(self) -> bool:
        """Did it wait for a lock, or a queue, that all calls share, and that asyncio lets no other
        event loop use?"""
        is_asyncio = isinstance(self.error, RuntimeError)
        return is_asyncio and "bound to a different event loop" in str(self.error)

    def is_like(self, other: CallOutcome) -> bool:
        if self.error is None or other.error is None:
            return self.error is other.error and alike(self.result, other.result)
        return same_error(self.error, other.error)


NOTHING: Final = object()


class PerturbedPair(NamedTuple):
    """A job and its perturbed copy, called side by side."""

    job: AnyJob
    perturbed_copy: AnyJob
    differs: Callable[[object, CallOutcome, CallOutcome], None]

    def called(self, item: object) -> object:
        copy = copied(item)
        return self.compared(copy, called(self.job, item))

    async def awaited(self, item: object) -> object:
        copy = copied(item)
        try:
            one = CallOutcome(await cast("Awaitable[object]", self.job(item)), None)
        except Exception as error:  # as in `called`; but what is cancelled has no outcome
            pass_on(error)
            one = CallOutcome(None, error)
        return self.compared(copy, one)

    def compared(self, item: object, one: CallOutcome) -> object:
        """What came of the call, beside what comes of the perturbed copy for such an item."""
        other = called(self.perturbed_copy, reordered(copied(item)))
        if not (one.is_like(other) or other.is_of_another_loop):
            self.differs(item, one, other)
        if one.error is not None:
            raise one.error
        return one.result

    def iterated(self, item: object) -> object:
        """Inspects a job that gives several results, as they are taken."""
        copy = copied(item)
        results = self.job(item)
        return (
            self.results(cast("Iterable[object]", results), copy)
            if isinstance(results, Iterable)
            else results
        )

    def results(self, results: Iterable[object], item: object) -> Iterator[object]:
        others = outcomes(
            lambda: cast("Iterable[object]", self.perturbed_copy(reordered(copied(item))))
        )
        end = CallOutcome(NOTHING, None)
        for one, other in zip_longest(outcomes(lambda: results), others, fillvalue=end):
            if not one.is_like(other):
                self.differs(item, one, other)
            if one.error is not None:
                raise one.error
            if one is end:
                return
            yield one.result


def all_of(job: AnyJob) -> AnyJob:
    """The job of an asynchronous generator, which gathers what it yields."""
    return lambda item: gathered(cast("AsyncIterable[object]", job(item)))


def called(job: AnyJob, item: object) -> CallOutcome:
    try:
        return CallOutcome(job(item), None)
    except BaseException as error:  # raised again, once the perturbed copy was called
        pass_on(error)
        return CallOutcome(None, error)


def outcomes(call: Callable[[], Iterable[object]]) -> Iterator[CallOutcome]:
    try:
        for result in call():
            yield CallOutcome(result, None)
    except BaseException as error:  # as above
        if closes(error):
            raise
        pass_on(error)
        yield CallOutcome(None, error)


def copied(item: object) -> object:
    return item if is_atom(item) else seal(item).open()
