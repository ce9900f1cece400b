"""A pipeline as it is being written: rows of stages are taken one after the other.

Knows: the draft, and when it may still change.  Must never know: how a pipeline runs or is
simulated, or which rows a checker accepts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeGuard

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.engine import begun_by, engine_for, session_on, start_of
from conveyor.core.lifecycle import Call
from conveyor.errors import ImplicitPipeWarning, TopologyError
from conveyor.signatures import Undeclared

# A world is imported when it is first run in; and what builds, when a pipeline is first built: a
# worker that imports the module of its job imports this with it, and never builds any.
if TYPE_CHECKING:
    from conveyor._builder.engine import StartMethod
    from conveyor.core.engine import Engine
    from conveyor.graph.draft import SubPipeline
    from conveyor.graph.topology import Topology
    from conveyor.stages import OnError

    AnyPipeline: TypeAlias = "Drafting[Any, *tuple[Any, ...]]"

__all__ = ["Drafting", "fail_by"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right


class Drafting(Generic[In, *Row]):
    """Rows of stages, and the session in which they are used.

    How the types of the lanes follow from the stages is said in `Pipeline`.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        start_method: StartMethod | None = None,
        initializer: Callable[[], object] | None = None,
        preload: Sequence[str] = (),
        name: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        from conveyor.graph.draft import Draft
        from conveyor.stages import checked_name

        self._name = checked_name("Pipeline", name)
        self._draft = Draft(strict=strict)
        self._start = start_of(start_method, initializer, preload)
        self._engine = engine
        self._session = session_on(self._default_engine())

    def _default_engine(self) -> Engine:
        """Where the pipeline runs, unless a run says otherwise."""
        chosen = self._engine
        return engine_for(self._start) if chosen is None else begun_by(chosen, self._start)

    # Any: what a row makes of the open lanes is told by the overloads in `_rows.pyi`.
    def add(self, *stages: Any) -> Any:
        """Adds a row of stages, which takes all open lanes from left to right; gives the pipeline
        itself.

        Another pipeline, open nowhere and under way nowhere, stands for its stages: it takes one
        lane and gives those that it has open.  Their names begin with its name, if it has one
        (`clean/parse`).  What is added to it later does not show.

        Raises `TopologyError` if the row does not fit, `StageTypeError` if annotations tell that a
        stage does not take what its lane carries, `LifecycleError` if the topology is fixed or a
        pipeline that is added is in use; the pipeline is then as it was.
        """
        from conveyor.graph.implicit_pipes import implicit_pipes
        from conveyor.typecheck.stage_types import declared_input

        self._session.check(Call.ADD)
        before = (
            self._draft if self._draft.rows else self._draft.declare(declared_input(self, Drafting))
        )
        parts = [stage for stage in stages if is_pipeline(stage)]
        after = before.add([self._part(stage) if is_pipeline(stage) else stage for stage in stages])
        if before.strict:
            for sentence in implicit_pipes(before, after):
                warnings.warn(sentence, ImplicitPipeWarning, stacklevel=2)
        self._draft = after
        if any(part._start.preload for part in parts):
            self._start = self._start.preloading(*(part._start for part in parts))
            self._session.engine = self._default_engine()
        return self

    def _part(self, other: AnyPipeline) -> SubPipeline:
        """Another pipeline as a stage of this one; raises if it cannot be."""
        from conveyor.graph.draft import SubPipeline
        from conveyor.typecheck.stage_types import declared_input

        where = f"row {self._draft.rows + 1}"
        if other is self:
            raise TopologyError(
                f"{where}: a pipeline cannot be added to itself; add a copy: copy.copy(pl)"
            )
        other._session.check(Call.BE_ADDED)
        if other._start.initializer not in (None, self._start.initializer):
            raise TopologyError(
                f"{where}: {other!r} has an initializer of its own, and workers have that of the "
                "pipeline that is run: give it to that one, Pipeline(initializer=...)"
            )
        return SubPipeline(other._draft, declared_input(other, Drafting), other._name)

    def __repr__(self) -> str:
        from conveyor.graph.draft import SubPipeline

        return repr(SubPipeline(self._draft, name=self._name))

    @property
    def topology(self) -> Topology:
        """The frozen graph of what `run` executes.  Raises `TopologyError` if the pipeline is not
        complete."""
        self._draft.check_complete("topology")
        return self._compiled_for(self._session.engine)

    def _compiled_for(self, engine: Engine) -> Topology:
        from conveyor.core.engine import ChoosesLanes
        from conveyor.graph.compiler import compile_topology
        from conveyor.graph.lanes import adaptive_forks, chosen_lanes, widest

        draft = self._draft
        chosen: Mapping[str, int] = {}
        if isinstance(engine, ChoosesLanes):
            chosen = chosen_lanes(draft, engine.lanes_of)
        if set(adaptive_forks(draft)) <= chosen.keys():
            lanes = max(chosen.values(), default=1)
        else:
            # Where each lane can use several cores, there are so many fewer lanes.
            lanes = max(1, engine.lanes() // widest(draft))
        return compile_topology(draft, lanes, chosen)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, made by `copy` or by pickle, has the same stages; it is not open, and runs
        nothing."""
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._session = session_on(self._default_engine())


def is_pipeline(thing: object) -> TypeGuard[AnyPipeline]:
    return isinstance(thing, Drafting)


def fail_by(pipeline: AnyPipeline, on_error: OnError) -> None:
    """Says what becomes of items that fail, of every job and fork of the pipeline that would let
    one end the run; raises `LifecycleError` if the pipeline is in use."""
    from conveyor.stages import Job, SelectingFork

    pipeline._session.check(Call.ADD)  # pyright: ignore[reportPrivateUsage]  # as a method would
    for place in pipeline._draft.places:  # pyright: ignore[reportPrivateUsage]  # the same
        stage = place.stage
        fails = isinstance(stage, Job | SelectingFork)
        if fails and stage.stage_options.on_error == "raise":
            stage.stage_options = stage.stage_options._replace(on_error=on_error)
