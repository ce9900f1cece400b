"""What may be done with a pipeline, and when: its states, and the calls that lead from one to the
next.

Knows: one table.  Must never know: pids, signals, what a run is made of.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from conveyor.errors import LifecycleError

__all__ = ["Call", "Lifecycle", "State"]


class State(Enum):
    DRAFT = "being written"
    FIXED = "closed, its topology fixed"
    OPEN = "open"
    INSIDE = "open inside `with`"
    RUNNING = "running"


class Call(Enum):
    ADD = "add()"
    OPEN = "open()"
    CLOSE = "close()"
    ENTER = "with"
    EXIT = "the end of `with`"
    START = "run() or stream()"
    BE_ADDED = "add(other)"


# In each state, what each call leads to: the next state, or why not.  START leads to RUNNING, and
# back again when the run has ended.
TABLE: Final[dict[State, dict[Call, State | str]]] = {
    State.DRAFT: {
        Call.ADD: State.DRAFT,
        Call.OPEN: State.OPEN,
        Call.CLOSE: "close(): the pipeline is not open",
        Call.ENTER: State.INSIDE,
        Call.START: State.RUNNING,
        Call.BE_ADDED: State.DRAFT,
    },
    State.FIXED: {
        Call.ADD: "add(): the topology is fixed once a pipeline has been opened or run; "
        "write a new Pipeline",
        Call.OPEN: State.OPEN,
        Call.CLOSE: "close(): the pipeline is not open any more",
        Call.ENTER: State.INSIDE,
        Call.START: State.RUNNING,
        Call.BE_ADDED: State.FIXED,
    },
    State.OPEN: {
        Call.ADD: "add(): the pipeline is open, so its topology is fixed; write a new Pipeline",
        Call.OPEN: "open(): the pipeline is open already",
        Call.CLOSE: State.FIXED,
        Call.ENTER: "with: the pipeline has been opened by open(); end that with close() first",
        Call.START: State.RUNNING,
        Call.BE_ADDED: "add(other): the other pipeline is open; close() it first",
    },
    State.INSIDE: {
        Call.ADD: State.INSIDE,
        Call.OPEN: "open(): inside `with` the pipeline is open already",
        Call.CLOSE: "close(): inside `with` the pipeline is closed at the end of the block",
        Call.ENTER: "with: the pipeline is inside a `with` block already",
        Call.EXIT: State.FIXED,
        Call.START: State.RUNNING,
        Call.BE_ADDED: State.INSIDE,
    },
    State.RUNNING: {
        Call.ADD: "add(): a run or stream of this pipeline is under way, and its topology is fixed",
        Call.OPEN: "open(): a run or stream of this pipeline is under way",
        Call.CLOSE: "close(): a run of this pipeline is under way; end it with stop() first",
        Call.ENTER: "with: a run or stream of this pipeline is under way",
        # For a moment: the run is told to end, and nothing is kept then.
        Call.EXIT: State.RUNNING,
        Call.START: "a run or stream of this pipeline is under way; a pipeline runs one at a time",
        Call.BE_ADDED: "add(other): a run or stream of the other pipeline is under way",
    },
}


class Lifecycle:
    """The state of one pipeline.

    >>> cycle = Lifecycle()
    >>> cycle.call(Call.OPEN)
    >>> cycle.call(Call.OPEN)
    Traceback (most recent call last):
    conveyor.errors.LifecycleError: open(): the pipeline is open already
    """

    def __init__(self) -> None:
        self.state = State.DRAFT
        self.fixed = False
        self.before_run = State.DRAFT

    def check(self, call: Call) -> State:
        """The state that a call leads to; raises `LifecycleError` if it does not fit."""
        if call is Call.ADD and self.fixed:
            late = TABLE[State.FIXED if self.state is State.INSIDE else self.state][Call.ADD]
            raise LifecycleError(str(late))
        if call is Call.BE_ADDED and self.fixed and self.state is State.INSIDE:
            raise LifecycleError(str(TABLE[State.OPEN][call]))  # its workers are kept
        target = TABLE[self.state].get(call, f"{call.value}: the pipeline is {self.state.value}")
        if isinstance(target, str):
            raise LifecycleError(target)
        return target

    def call(self, call: Call) -> None:
        target = self.check(call)
        if call is Call.START:
            self.before_run = self.state
        elif call is Call.EXIT:
            self.before_run = State.FIXED
        self.fixed = self.fixed or call in (Call.OPEN, Call.START)
        self.state = target

    def run_ended(self) -> None:
        """Back to where the pipeline was before its run."""
        if self.state is State.RUNNING:
            self.state = State.FIXED if self.before_run is State.DRAFT else self.before_run

    def forget(self) -> None:
        """Nothing is open or runs any more in this process: another one has it."""
        self.state = State.FIXED

    @property
    def is_in_use(self) -> bool:
        """Is the pipeline open, or is a run under way?"""
        return self.state in (State.OPEN, State.INSIDE, State.RUNNING)

    @property
    def is_warm(self) -> bool:
        """Are the workers to be kept for another run?"""
        return self.state in (State.OPEN, State.INSIDE) or (
            self.state is State.RUNNING and self.before_run in (State.OPEN, State.INSIDE)
        )
