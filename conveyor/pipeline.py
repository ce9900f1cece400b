"""The pipeline as checkers read it: what each row of stages makes of the types on the open lanes.

Knows: the states that a pipeline can be in for a checker.  Must never know: what adding a stage or
a run does.
"""

# The overloads of `add` overlap where a stage could be of two shapes, which none is.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.builder import Builder
from conveyor.signatures import Undeclared

if TYPE_CHECKING:
    from conveyor._builder.engine import StartMethod, Stream
    from conveyor._builder.running import HowToRun
    from conveyor._builder.simulating import HowToExplore, HowToSimulate, Said
    from conveyor.report import RunResult
    from conveyor.signatures import (
        A1,
        A2,
        A3,
        A4,
        A5,
        A6,
        A7,
        A8,
        B1,
        B2,
        B3,
        B4,
        B5,
        B6,
        B7,
        B8,
        D1,
        D2,
        D3,
        D4,
        D5,
        D6,
        D7,
        T1,
        T2,
        T3,
        T4,
        T5,
        T6,
        T7,
        AddAStageFirst,
        Closes,
        ClosesAsNeeded,
        ClosesLanes,
        ForPyright,
        JoinTheOpenLanesFirst,
        Left,
        New,
        Opens,
        OpensAsNeeded,
        OpensLanes,
        OpensSome,
        PassesALane,
        RowDoesNotFitTheLanes,
        Stage,
        Step1,
        Step2,
        Step3,
        Step4,
        Step5,
        Step6,
        Step7,
        Step8,
        Turn1,
        Turn2,
        Turn3,
        Turn4,
        ZipsLanes,
    )
    from conveyor.sim.search.exploration import Exploration
    from conveyor.sim.search.simulation import Simulation
    from conveyor.stages import Fork, Job, Merge, Pipe

    AnyStage: TypeAlias = (
        Job[Any, Any] | Pipe | Fork | Merge
    )  # Job first: it is what gives a lambda its context

__all__ = ["AdaptivePipeline", "Pipeline", "StatementPipeline", "UncheckedPipeline", "WidePipeline"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Lane = TypeVar("Lane", default=Any)


class Pipeline(Builder[In, *Row], Generic[In, *Row]):
    """A pipeline: rows of stages, added one after the other, and run as often as wanted.

    `strict` holds the stricter rules of construction: it begins with a processor, and a pipe that
    is put in silently raises an `ImplicitPipeWarning`.  `start_method` is multiprocessing's;
    without it, what the environment variable CONVEYOR_START_METHOD says, or "forkserver".

    >>> from conveyor import Filter, Processor
    >>> pl = Pipeline[int]().add(Processor(lambda x: x + 1)).add(Filter(lambda x: x % 2))
    >>> pl.run(range(5))
    [1, 3, 5]
    """

    if TYPE_CHECKING:

        def __new__(
            cls, *, strict: bool = False, start_method: StartMethod | None = None
        ) -> Pipeline[In, *tuple[()]]: ...

    # What mypy reads, which looks here before it looks at __new__; pyright reads __new__.
    def __init__(
        self: Pipeline[In, *tuple[()]],  # pyright: ignore[reportInvalidTypeVarUse]
        *,
        strict: bool = False,
        start_method: StartMethod | None = None,
    ) -> None:
        super().__init__(strict=strict, start_method=start_method)

    # The overloads of `add` are generated: python tools/generate_signatures.py
    @overload
    def add(self: Pipeline[Undeclared, *tuple[()]], stage: Job[A1, B1], /) -> Pipeline[A1, B1]: ...
    @overload
    def add(
        self: Pipeline[Undeclared, *tuple[()]], *stages: AnyStage
    ) -> StatementPipeline[Any]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], pipe: PassesALane, /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[1]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[2]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[3]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[4]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[5]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[6]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[7]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In, In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: OpensLanes[Literal[8]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, In, In, In, In, In, In, In, In]: ...
    @overload
    def add(
        self: Pipeline[In, A1], pipe: PassesALane, /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[1]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[2]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[3]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[4]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[5]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[6]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[7]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1, A1, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], fork: OpensLanes[Literal[8]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1, A1, A1, A1, A1, A1, A1, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], join: ClosesLanes[Literal[1]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1]: ...
    @overload
    def add(
        self: Pipeline[In, A1], zip: ZipsLanes[Literal[1]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, tuple[A1]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2], join: ClosesLanes[Literal[2]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1 | A2]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2], zip: ZipsLanes[Literal[2]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, tuple[A1, A2]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3], join: ClosesLanes[Literal[3]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, A1 | A2 | A3]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3], zip: ZipsLanes[Literal[3]], /, **only: Unpack[ForPyright]
    ) -> Pipeline[In, tuple[A1, A2, A3]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4],
        join: ClosesLanes[Literal[4]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, A1 | A2 | A3 | A4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4],
        zip: ZipsLanes[Literal[4]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, tuple[A1, A2, A3, A4]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5],
        join: ClosesLanes[Literal[5]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, A1 | A2 | A3 | A4 | A5]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5],
        zip: ZipsLanes[Literal[5]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, tuple[A1, A2, A3, A4, A5]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6],
        join: ClosesLanes[Literal[6]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, A1 | A2 | A3 | A4 | A5 | A6]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6],
        zip: ZipsLanes[Literal[6]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, tuple[A1, A2, A3, A4, A5, A6]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7],
        join: ClosesLanes[Literal[7]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, A1 | A2 | A3 | A4 | A5 | A6 | A7]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7],
        zip: ZipsLanes[Literal[7]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, tuple[A1, A2, A3, A4, A5, A6, A7]]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7, A8],
        join: ClosesLanes[Literal[8]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, A1 | A2 | A3 | A4 | A5 | A6 | A7 | A8]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7, A8],
        zip: ZipsLanes[Literal[8]],
        /,
        **only: Unpack[ForPyright],
    ) -> Pipeline[In, tuple[A1, A2, A3, A4, A5, A6, A7, A8]]: ...
    @overload
    def add(self: Pipeline[In, *tuple[()]], stage: Stage[In, B1], /) -> Pipeline[In, B1]: ...
    @overload
    def add(self: Pipeline[In, *tuple[()]], fork: OpensAsNeeded, /) -> AdaptivePipeline[In, In]: ...
    @overload
    def add(self: Pipeline[In, *tuple[()]], fork: OpensSome, /) -> WidePipeline[In, In]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], fork: Opens[In, tuple[*New]], /
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(self: Pipeline[In, A1], stage: Stage[A1, B1], /) -> Pipeline[In, B1]: ...
    @overload
    def add(self: Pipeline[In, A1], fork: OpensAsNeeded, /) -> AdaptivePipeline[In, A1]: ...
    @overload
    def add(self: Pipeline[In, A1], fork: OpensSome, /) -> WidePipeline[In, A1]: ...
    @overload
    def add(self: Pipeline[In, A1], fork: Opens[A1, tuple[*New]], /) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, *tuple[()]], stage: AddAStageFirst, /, *stages: AddAStageFirst
    ) -> StatementPipeline[In]: ...
    @overload
    def add(
        self: Pipeline[In, A1, *Left], join: Closes[tuple[A1, *Left], B1], /
    ) -> Pipeline[In, B1]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2], stage1: Stage[A1, B1], stage2: Stage[A2, B2], /
    ) -> Pipeline[In, B1, B2]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        /,
    ) -> Pipeline[In, B1, B2, B3]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, B1, B2, B3, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        stage5: Stage[A5, B5],
        /,
    ) -> Pipeline[In, B1, B2, B3, B4, B5]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        stage5: Stage[A5, B5],
        stage6: Stage[A6, B6],
        /,
    ) -> Pipeline[In, B1, B2, B3, B4, B5, B6]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        stage5: Stage[A5, B5],
        stage6: Stage[A6, B6],
        stage7: Stage[A7, B7],
        /,
    ) -> Pipeline[In, B1, B2, B3, B4, B5, B6, B7]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7, A8],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        stage5: Stage[A5, B5],
        stage6: Stage[A6, B6],
        stage7: Stage[A7, B7],
        stage8: Stage[A8, B8],
        /,
    ) -> Pipeline[In, B1, B2, B3, B4, B5, B6, B7, B8]: ...
    @overload
    def add(
        self: Pipeline[In, A1, *Left, A2],
        stage1: Turn1[tuple[A1, *Left], tuple[()], tuple[()], tuple[*New]],
        stage2: Stage[A2, B2],
        /,
    ) -> Pipeline[In, *New, B2]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, *Left], tuple[()], tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left],
        stage1: Turn1[tuple[A1, A2, *Left], tuple[()], T1, D1],
        stage2: Turn2[T1, D1, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, *Left, A2, A3],
        stage1: Turn1[tuple[A1, *Left], tuple[()], tuple[()], tuple[*New]],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        /,
    ) -> Pipeline[In, *New, B2, B3]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left, A3],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, *Left], tuple[()], tuple[()], tuple[*New]],
        stage3: Stage[A3, B3],
        /,
    ) -> Pipeline[In, B1, *New, B3]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Turn3[tuple[A3, *Left], tuple[()], tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, B2, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left, A3],
        stage1: Turn1[tuple[A1, A2, *Left], tuple[()], T1, D1],
        stage2: Turn2[T1, D1, tuple[()], tuple[*New]],
        stage3: Stage[A3, B3],
        /,
    ) -> Pipeline[In, *New, B3]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, A3, *Left], tuple[()], T1, D1],
        stage3: Turn3[T1, D1, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left],
        stage1: Turn1[tuple[A1, A2, A3, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Turn3[T2, D2, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, *Left, A2, A3, A4],
        stage1: Turn1[tuple[A1, *Left], tuple[()], tuple[()], tuple[*New]],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, *New, B2, B3, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left, A3, A4],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, *Left], tuple[()], tuple[()], tuple[*New]],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, B1, *New, B3, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left, A4],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Turn3[tuple[A3, *Left], tuple[()], tuple[()], tuple[*New]],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, B1, B2, *New, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, *Left],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Stage[A3, B3],
        stage4: Turn4[tuple[A4, *Left], tuple[()], tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, B2, B3, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, *Left, A3, A4],
        stage1: Turn1[tuple[A1, A2, *Left], tuple[()], T1, D1],
        stage2: Turn2[T1, D1, tuple[()], tuple[*New]],
        stage3: Stage[A3, B3],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, *New, B3, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left, A4],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, A3, *Left], tuple[()], T1, D1],
        stage3: Turn3[T1, D1, tuple[()], tuple[*New]],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, B1, *New, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, *Left],
        stage1: Stage[A1, B1],
        stage2: Stage[A2, B2],
        stage3: Turn3[tuple[A3, A4, *Left], tuple[()], T1, D1],
        stage4: Turn4[T1, D1, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, B2, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, *Left, A4],
        stage1: Turn1[tuple[A1, A2, A3, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Turn3[T2, D2, tuple[()], tuple[*New]],
        stage4: Stage[A4, B4],
        /,
    ) -> Pipeline[In, *New, B4]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, *Left],
        stage1: Stage[A1, B1],
        stage2: Turn2[tuple[A2, A3, A4, *Left], tuple[()], T1, D1],
        stage3: Step3[T1, D1, T2, D2],
        stage4: Turn4[T2, D2, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, B1, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, *Left],
        stage1: Turn1[tuple[A1, A2, A3, A4, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Step3[T2, D2, T3, D3],
        stage4: Turn4[T3, D3, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, *Left],
        stage1: Step1[tuple[A1, A2, A3, A4, A5, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Step3[T2, D2, T3, D3],
        stage4: Step4[T3, D3, T4, D4],
        stage5: Step5[T4, D4, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, *Left],
        stage1: Step1[tuple[A1, A2, A3, A4, A5, A6, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Step3[T2, D2, T3, D3],
        stage4: Step4[T3, D3, T4, D4],
        stage5: Step5[T4, D4, T5, D5],
        stage6: Step6[T5, D5, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7, *Left],
        stage1: Step1[tuple[A1, A2, A3, A4, A5, A6, A7, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Step3[T2, D2, T3, D3],
        stage4: Step4[T3, D3, T4, D4],
        stage5: Step5[T4, D4, T5, D5],
        stage6: Step6[T5, D5, T6, D6],
        stage7: Step7[T6, D6, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, A2, A3, A4, A5, A6, A7, A8, *Left],
        stage1: Step1[tuple[A1, A2, A3, A4, A5, A6, A7, A8, *Left], tuple[()], T1, D1],
        stage2: Step2[T1, D1, T2, D2],
        stage3: Step3[T2, D2, T3, D3],
        stage4: Step4[T3, D3, T4, D4],
        stage5: Step5[T4, D4, T5, D5],
        stage6: Step6[T5, D5, T6, D6],
        stage7: Step7[T6, D6, T7, D7],
        stage8: Step8[T7, D7, tuple[()], tuple[*New]],
        /,
    ) -> Pipeline[In, *New]: ...
    @overload
    def add(
        self: Pipeline[In, A1, *Left],
        stage: RowDoesNotFitTheLanes,
        /,
        *stages: RowDoesNotFitTheLanes,
    ) -> StatementPipeline[In]: ...
    # End of what is generated.
    def add(self, *stages: Any) -> object:  # type: ignore[misc]  # `only` is for a checker: nobody can give it
        """Adds a row of stages, which takes all open lanes from left to right; gives the pipeline
        itself.

        Raises `TopologyError` if the row does not fit, `StageTypeError` if annotations tell that a
        stage does not take what its lane carries, `LifecycleError` if the topology is fixed; the
        pipeline is then as it was.
        """
        return self._add(stages)

    @overload
    def __enter__(self: Pipeline[Undeclared, *tuple[()]]) -> StatementPipeline[Any]: ...
    @overload
    def __enter__(self: Pipeline[In, *tuple[()]]) -> StatementPipeline[In]: ...
    @overload
    def __enter__(self) -> Self: ...
    def __enter__(self) -> object:
        return self._enter()


if TYPE_CHECKING:

    class StatementPipeline(Pipeline[Any, *tuple[Any, ...]], Generic[In]):
        """What `with Pipeline() as pl` gives: stages are added to one variable, whose type cannot
        follow them.

        Checkers accept any row here; the plugin for mypy follows it, and `add` itself checks it
        when the pipeline is built.
        """

        def add(self, *stages: AnyStage) -> StatementPipeline[In]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            raise NotImplementedError

        def run(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], **options: Unpack[HowToRun]
        ) -> RunResult[Any]:
            raise NotImplementedError

        def stream(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], **options: Unpack[HowToRun]
        ) -> Stream[Any]:
            raise NotImplementedError

        def simulate(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], **options: Unpack[HowToSimulate]
        ) -> Simulation[Any, In]:
            raise NotImplementedError

        def explore(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            items: Iterable[In],
            check: Callable[[Simulation[Any, In]], object] | None = None,
            **options: Unpack[HowToExplore],
        ) -> Exploration[Any]:
            raise NotImplementedError

        def replay(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], schedule: Said
        ) -> Simulation[Any, In]:
            raise NotImplementedError

        def count(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In]
        ) -> int | None:
            raise NotImplementedError

        def __enter__(self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise NotImplementedError

    class UncheckedPipeline(StatementPipeline[In], Generic[In]):
        """What the plugin for mypy makes of a pipeline that it follows no further."""

    class OpenLanes(Generic[In]):
        """What cannot be run before its lanes are joined."""

        def run(self, items: JoinTheOpenLanesFirst) -> RunResult[Any]:
            raise NotImplementedError

        def stream(self, items: JoinTheOpenLanesFirst) -> Stream[Any]:
            raise NotImplementedError

        def simulate(
            self, items: JoinTheOpenLanesFirst, **options: Unpack[HowToSimulate]
        ) -> Simulation[Any]:
            raise NotImplementedError

        def explore(
            self,
            items: JoinTheOpenLanesFirst,
            check: Callable[[Simulation[Any]], object] | None = None,
            **options: Unpack[HowToExplore],
        ) -> Exploration[Any]:
            raise NotImplementedError

        def replay(self, items: JoinTheOpenLanesFirst, schedule: Said) -> Simulation[Any]:
            raise NotImplementedError

        def count(self, items: JoinTheOpenLanesFirst) -> int | None:
            raise NotImplementedError

        def __enter__(self) -> StatementPipeline[In]:
            raise NotImplementedError

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            raise NotImplementedError

    class WidePipeline(OpenLanes[In], Generic[In, Lane]):
        """A pipeline with lanes of one type, nobody knows how many: behind a fork whose width is
        not a literal, or beyond 8."""

        @overload
        def add(self, join: ClosesLanes[Any], /) -> Pipeline[In, Lane]: ...
        @overload
        def add(self, zip: ZipsLanes[Any], /) -> Pipeline[In, tuple[Lane, ...]]: ...
        @overload
        def add(self, *stages: Stage[Lane, B1]) -> WidePipeline[In, B1]: ...
        @overload
        def add(
            self, *stages: Stage[Lane, Lane] | OpensLanes[Any] | ClosesLanes[Any]
        ) -> WidePipeline[In, Lane]: ...
        @overload
        def add(
            self, stage: RowDoesNotFitTheLanes, /, *stages: RowDoesNotFitTheLanes
        ) -> StatementPipeline[In]: ...
        def add(self, *stages: Any) -> Any:
            raise NotImplementedError

    class AdaptivePipeline(OpenLanes[In], Generic[In, Lane]):
        """A pipeline whose `BalancingFork()` decides how many lanes it has: what follows is written
        once, up to `Join()`."""

        @overload
        def add(self, join: ClosesAsNeeded, /) -> Pipeline[In, Lane]: ...
        @overload
        def add(self, *stages: Stage[Lane, B1]) -> AdaptivePipeline[In, B1]: ...
        @overload
        def add(
            self, *stages: Stage[Lane, Lane] | OpensLanes[Any] | ClosesLanes[Any]
        ) -> AdaptivePipeline[In, Lane]: ...
        @overload
        def add(
            self, stage: RowDoesNotFitTheLanes, /, *stages: RowDoesNotFitTheLanes
        ) -> StatementPipeline[In]: ...
        def add(self, *stages: Any) -> Any:
            raise NotImplementedError

else:
    StatementPipeline = UncheckedPipeline = WidePipeline = AdaptivePipeline = Pipeline
