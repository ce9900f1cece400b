"""What all jobs share, whatever becomes of their results."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from enum import Enum
from typing import Any, ClassVar, Final, Never, Protocol, assert_never, runtime_checkable

from typing_extensions import TypeVar

from conveyor.errors import TopologyError
from conveyor.signatures import TakesALane
from conveyor.stages.callables import (
    check_is_called,
    check_takes_as_job,
    is_async_function,
    is_async_generator,
    name_of,
)
from conveyor.stages.resources import (
    GivenTwo,
    Resource,
    checked_setup,
    is_opened_async,
    opened_async,
)
from conveyor.stages.stage import (
    ON_ERROR,
    OnError,
    Stage,
    StageOptions,
    checked_count,
    checked_name,
    checked_timeout,
)

__all__ = [
    "Gives",
    "Job",
    "Restorable",
    "check_works",
    "concurrency_of",
    "cores_of",
    "gives_of",
    "interleaves",
    "is_async",
    "is_plain",
    "job_of",
    "keeps_outputs",
    "only_function",
    "only_reads",
    "policy_of",
    "written",
    "yields_async",
]

# A lambda on its own says nothing of what it takes.
In = TypeVar("In", contravariant=True, default=Any)
Out = TypeVar("Out", covariant=True, default=Never)  # what gives nothing but None gives nothing


class Gives(Enum):
    """What a job gives for an item, by what its function returns.

    Everything that treats jobs differently asks this, and nothing asks for their classes: a new
    kind of job is a class that says which of these it is.
    """

    RESULT = "the result, if it is not None"
    EVERY_RESULT = "the result, whatever it is"
    ITEM = "the item, if the result is true"
    SAME_ITEM = "the item, whatever the result is"
    EACH = "each element of the result"
    UNOPENED = "the item, which nothing looks at"


DEFAULT_CONCURRENCY: Final = 64  # items of an async job
# What jobs may be given several items at once.
SIDE_BY_SIDE: Final = (Gives.RESULT, Gives.ITEM, Gives.EACH)


@runtime_checkable
class Restorable(Protocol):
    """A stateful processor that survives its worker."""

    def snapshot(self) -> object:
        """The state, as something that can be pickled."""
        ...

    def restore(self, state: Any, /) -> None:
        """Called behind `setup` in a new worker, with what `snapshot` gave last."""
        ...


class Job(Stage, TakesALane[In, Out]):
    """A stage that does work: in a real run it has a process of its own.

    What it is to be built on: `Processor`, `FlatMap` or `Filter`.
    """

    # Said by each kind, and by no class that is derived from one.  None: of no kind, so that
    # nothing knows how it runs.
    _stage_gives: ClassVar[Gives | None] = None

    # What `setup=` has made in this worker.
    _stage_resource: Resource | None = None

    def _take(
        self,
        fn: Callable[..., object] | None,
        name: str | None,
        on_error: OnError,
        retries: object,
        timeout_s: object,
        read_only: object,
        setup: Callable[[], object] | None = None,
        cores: object = 1,
        concurrency: object = None,
        ordered: object = True,
    ) -> None:
        kind = type(self).__name__
        if fn is None and not self.is_stateful:
            raise TopologyError(
                f"{kind}() has nothing to do: give it a function, or subclass it and write "
                "process()"
            )
        make = checked_setup(kind, setup, fn)
        if fn is not None:
            check_is_a_job(self, kind, fn, is_given_two=make is not None)
        if on_error not in ON_ERROR:
            raise TopologyError(
                f"{kind}: on_error is {on_error!r}; it must be one of "
                f"{', '.join(map(repr, ON_ERROR))}"
            )
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise TopologyError(
                f"{kind}: retries is {retries!r}; it must be a whole number, 0 or more"
            )
        if callable(getattr(self, "snapshot", None)) != callable(getattr(self, "restore", None)):
            raise TopologyError(f"{kind}: write both snapshot() and restore(state), or neither")
        if not isinstance(read_only, bool):
            raise TopologyError(f"{kind}: read_only is {read_only!r}; it must be True or False")
        check_concurrency(self, kind, fn, concurrency, ordered)
        self.stage_options = StageOptions(
            checked_name(kind, name),
            fn,
            on_error,
            retries,
            checked_timeout(kind, timeout_s),
            read_only,
            make,
            checked_count(kind, "cores", cores),
            None if concurrency is None else checked_count(kind, "concurrency", concurrency),
            ordered is True,
        )

    @property
    def is_stateful(self) -> bool:
        """Was this stage written as a class, whose state lives as long as its worker?"""
        return "_stage_gives" not in vars(type(self))

    @property
    def is_restorable(self) -> bool:
        """Can its state be saved, and given to another worker?"""
        return self.is_stateful and isinstance(self, Restorable)

    def _default_name(self) -> str:
        return (
            type(self).__name__ if self.stage_options.fn is None else name_of(self.stage_options.fn)
        )

    # Each of the three may be an `async def`, too: it is awaited then.

    def setup(self) -> Awaitable[None] | None:
        """Called once in each worker process, before its first item."""
        make = self.stage_options.setup
        if make is None:
            return None
        made = make()
        if is_opened_async(made, is_async(self)):
            return self._take_async(made)
        self._stage_resource = Resource(made)
        return None

    async def _take_async(self, made: object) -> None:
        self._stage_resource = await opened_async(made, is_async(self))

    def finish(self) -> Iterable[Out] | Awaitable[Iterable[Out]] | AsyncIterable[Out]:
        """Called at the end of every run; what it gives is sent on after all other outputs."""
        return ()

    def teardown(self) -> Awaitable[None] | None:
        """Called once in each worker process, when it stops."""
        return None if self._stage_resource is None else self._stage_resource.close()

    def __repr__(self) -> str:
        fn = self._default_name() if self.stage_options.fn is not None else ""
        return f"{type(self).__name__}({fn})"


def gives_of(job: Job[Any, Any]) -> Gives:
    """What the job gives for an item; raises `TopologyError` for a class that is of no kind."""
    gives = job._stage_gives  # pyright: ignore[reportPrivateUsage]  # as a method would
    if gives is None:
        raise TopologyError(
            f"{type(job).__name__} is derived from Job itself, so that nothing is known of how it "
            "runs; derive it from Processor, FlatMap or Filter"
        )
    return gives


def policy_of(job: Job[Any, Any]) -> tuple[OnError, int, float | None]:
    """What becomes of an item whose job fails, after how many attempts more, and how many seconds
    an attempt may take."""
    return job.stage_options.on_error, job.stage_options.retries, job.stage_options.timeout_s


def concurrency_of(job: Job[Any, Any]) -> int | None:
    """How many items the job may have in hand at once; None: it takes them one by one."""
    said = job.stage_options.concurrency
    return DEFAULT_CONCURRENCY if said is None and is_async(job) else said


def is_async(job: Job[Any, Any]) -> bool:
    """Does it give what is to be awaited?"""
    return is_async_function(called_by(job, job.stage_options.fn))


def yields_async(job: Job[Any, Any]) -> bool:
    """Does it give an asynchronous generator?"""
    return is_async_generator(called_by(job, job.stage_options.fn))


def interleaves(job: Job[Any, Any]) -> bool:
    """Do its calls share a state, and go on in turns wherever they await something?"""
    return job.is_stateful and is_async(job)


def keeps_outputs(job: Job[Any, Any]) -> bool:
    """Do its outputs leave only when a state is saved that knows of them?"""
    return interleaves(job) and job.is_restorable


def called_by(job: Job[Any, Any], fn: object) -> object:
    """What is called with each item, as it is written: `fn`, or the method of a class."""
    return getattr(job, "process", None) if fn is None else fn


def check_concurrency(
    job: Job[Any, Any],
    kind: str,
    fn: object,
    concurrency: object,
    ordered: object,
) -> None:
    """Raises `TopologyError` for what is said of items in hand at once, and cannot be meant."""
    if not isinstance(ordered, bool):
        raise TopologyError(f"{kind}: ordered is {ordered!r}; it must be True or False")
    awaits = is_async_function(called_by(job, fn))
    if concurrency is not None and fn is None and not awaits:
        raise TopologyError(
            f"{kind}: concurrency is for functions, and for classes with an async process(): "
            f"threads would change what a {kind} keeps from one item to the next at the same time; "
            "write async def process(self, item), or leave out concurrency"
        )
    is_concurrent = concurrency is not None or awaits
    if not ordered and not is_concurrent:
        raise TopologyError(
            f"{kind}: ordered=False says nothing where items are taken one by one: say how many "
            "may be in hand at once, concurrency=8"
        )


def is_plain(job: Job[Any, Any]) -> bool:
    """Was nothing said of how it is to be run, and of items that fail?"""
    return (
        not job.is_stateful
        and job.stage_options._replace(name=None, fn=None, read_only=False) == StageOptions()
    )


def only_reads(job: Job[Any, Any]) -> bool:
    """Does the job promise that it does not change its items, and keeps none?"""
    return job.stage_options.read_only


def cores_of(job: Job[Any, Any] | None) -> int:
    """How many cores a worker of the job can use at once, by threads of its own."""
    return 1 if job is None else job.stage_options.cores


def only_function(job: Job[Any, Any]) -> Callable[..., object] | None:
    """The function that is all there is to a stage; None for a class, and where `setup=` makes
    something beside it."""
    options = job.stage_options
    return options.fn if options.setup is None and not job.is_stateful else None


def written(job: Job[Any, Any]) -> Callable[..., object]:
    """What the user wrote to be called: a function, or the method of a class."""
    if job.stage_options.fn is not None:
        return job.stage_options.fn
    process: Callable[..., object] | None = getattr(job, "process", None)
    if process is None:
        raise TopologyError(f"{type(job).__name__} has no process() method")
    return process


def job_of(job: Job[Any, Any]) -> Callable[[object], object]:
    """What is called with each item; of a stage that has a `setup=`, once that was called."""
    made = job._stage_resource  # pyright: ignore[reportPrivateUsage]  # as a method would
    return written(job) if made is None else GivenTwo(written(job), made.value).call


def check_is_a_job(job: Job[Any, Any], kind: str, fn: object, is_given_two: bool) -> None:
    """Raises `TopologyError` for what cannot be the function of a job."""
    if isinstance(fn, Stage):
        raise TopologyError(
            f"{kind}({fn!r}): {fn!r} is a stage already; add it as it is, without {kind} around it"
        )
    if inspect.isclass(fn) and issubclass(fn, Stage):
        raise TopologyError(
            f"{kind}({fn.__name__}): {fn.__name__} is a class of stages already; add one: "
            f"{fn.__name__}(...)"
        )
    if not callable(fn):
        raise TopologyError(f"{kind} takes a function of one item, not {fn!r}")
    check_works(job, f"{kind}({name_of(fn)})", fn, is_given_two)


def check_works(
    job: Job[Any, Any], what: str, fn: Callable[..., object], is_given_two: bool = False
) -> None:
    """Raises `TopologyError` for a function that cannot be called so, or would not work when it
    is."""
    check_takes_as_job(what, fn, is_given_two)
    gives = gives_of(job)
    instead = instead_of_a_generator(gives, name_of(fn))
    may_await = gives in SIDE_BY_SIDE
    if may_await and is_async_generator(fn) and gives is not Gives.EACH:
        raise TopologyError(
            f"{what}: {name_of(fn)} is an async generator function; FlatMap({name_of(fn)}) gives "
            "all that it yields"
        )
    check_is_called(what, fn, instead, "item, made" if is_given_two else "item", may_await)


def instead_of_a_generator(gives: Gives, name: str) -> str | None:
    """What to write in place of a generator function; None where one is welcome."""
    match gives:
        case Gives.RESULT:
            return (
                "a Processor gives at most one item for each: "
                f"FlatMap({name}) gives all that it yields"
            )
        case Gives.ITEM:
            return "a generator is always true: give a function that returns True or False"
        case Gives.SAME_ITEM:
            return "nothing would run what it yields: give a function that returns"
        case Gives.EVERY_RESULT | Gives.EACH | Gives.UNOPENED:
            return None
        case _:
            assert_never(gives)
