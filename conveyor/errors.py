"""Every error that Conveyor raises, and what each one means.

Knows: the words.  Must never know: how anything runs.

    ConveyorError
    ├── TopologyError            the pipeline cannot be built this way
    │   └── StageTypeError       ... because a stage does not fit the type of its lane
    ├── LifecycleError           the call does not fit what the pipeline is doing now
    ├── RunError                 a run could not deliver all results
    │   ├── RunStopped           it was ended from outside: by stop(), or as its stream was closed
    │   ├── JobExited            a job raised SystemExit, KeyboardInterrupt or the like
    │   ├── JobRaised            a job raised an exception that cannot travel between processes
    │   ├── NotPicklable         an item, a result or a stage cannot be pickled or unpickled
    │   ├── WorkerCrashed        a worker process died
    │   │   └── HostLost         ... because its machine is gone from the cluster
    │   ├── PoisonItem           ... each time it was given the same item
    │   ├── ItemTimeout          an item took longer than its stage allows
    │   ├── BadRow               a row of a source cannot be read
    │   ├── LateItem             an item came when all windows that it belongs to had been given out
    │   ├── Deadlock             bounded pipes wait for one another in a circle
    │   ├── SharedMemoryFull     there is no room for the pipeline's channels
    │   └── TooFewDescriptors    this process may not open as many files as the pipeline needs
    ├── NotSimulated             a job awaits what is outside of the simulator
    ├── ScheduleMismatch         a schedule does not fit the pipeline it is replayed on
    ├── CheckpointMismatch       a checkpoint is of another pipeline, source or sink
    └── NotDeterministic         the same schedule gives something else when it is run again
    ImplicitPipeWarning          (UserWarning) a strict pipeline had a pipe put in
    LikelyMistakeWarning         (UserWarning) what is run can be run, and is hardly meant

A job's own `Exception` is none of these: it keeps its type and gains a note that says where it was
raised.
"""

from __future__ import annotations

__all__ = [
    "BadRow",
    "CheckpointMismatch",
    "ConveyorError",
    "Deadlock",
    "HostLost",
    "ImplicitPipeWarning",
    "ItemTimeout",
    "JobExited",
    "JobRaised",
    "LateItem",
    "LifecycleError",
    "LikelyMistakeWarning",
    "NotDeterministic",
    "NotPicklable",
    "NotSimulated",
    "PoisonItem",
    "RunError",
    "RunStopped",
    "ScheduleMismatch",
    "SharedMemoryFull",
    "StageTypeError",
    "TooFewDescriptors",
    "TopologyError",
    "WorkerCrashed",
]


class ConveyorError(Exception):
    """The root of every error that is Conveyor's own."""


class TopologyError(ConveyorError):
    """The pipeline cannot be built this way; what was refused had no effect."""


class StageTypeError(TopologyError):
    """A stage takes something else than its lane carries."""


class LifecycleError(ConveyorError):
    """The call does not fit what the pipeline is doing: opened twice, added to after a run, and so
    on."""


class RunError(ConveyorError):
    """A run ended before it could deliver all its results."""


class RunStopped(RunError):
    """A run was ended before its time, by `stop()` or by another thread that closed its stream."""


class JobExited(RunError):
    """A job raised `SystemExit`, `KeyboardInterrupt` or another exception that is no `Exception`,
    such as a `CancelledError` of asyncio that is not its run's.

    The original is the `__cause__`.  It is a failure of its item, as any `Exception` is, to which
    `on_error` and `retries` of the stage apply.
    """


class JobRaised(RunError):
    """A job raised an exception that does not survive pickling; its type, text and traceback are in
    the message."""


class NotPicklable(RunError):
    """An item, a result or a stage cannot be pickled, or cannot be unpickled where it arrived.

    What belongs to one process, such as a connection, is made where it is used: `setup=`.
    """


class WorkerCrashed(RunError):
    """A worker died by a signal, or left without finishing its work, and none could take its place:
    it happened again and again, or its state was lost, as its class has no `snapshot`."""


class HostLost(WorkerCrashed):
    """A machine of a cluster is gone, and the workers there with it, and the run cannot go on
    without it; `machine` is its number among those of the pipeline, 0 if that is not known."""

    machine: int = 0


class PoisonItem(RunError):
    """Several workers died on the same item; `on_error="dead_letter"` would put it aside."""


class ItemTimeout(RunError):
    """An item took longer than its stage's `timeout_s`, in each of its attempts."""


class BadRow(RunError):
    """A row of a source cannot be read; `file` and `line`, counted from 1, say where it stands.

    What is wrong with it is the `__cause__`.
    """

    file: str = ""
    line: int = 0


class LateItem(RunError):
    """An item came to a `Window` when all windows that it belongs to had been given out.

    It never ends a run: `late=` of the window says what becomes of the item.
    """

    on_error: str = "skip"


class Deadlock(RunError):
    """Bounded pipes wait for one another in a circle; one with more capacity would end it, and the
    message says which."""


class SharedMemoryFull(RunError):
    """The system has no shared memory left for the pipeline's channels; `conveyor doctor` says how
    much there is."""


class TooFewDescriptors(RunError):
    """This process may not open as many files as the pipeline's channels and workers need; raise
    `ulimit -n`."""


class ScheduleMismatch(ConveyorError):
    """A schedule or a recording does not fit the pipeline or the items it is replayed on."""


class CheckpointMismatch(ConveyorError):
    """A checkpoint is of another pipeline, source or sink than it is to be used with; the message
    names the difference, and `Checkpoint(directory, fresh=True)` begins again."""


class NotDeterministic(ConveyorError):
    """A job gives something else for the same items when it is run again: it depends on more than
    its item."""


class NotSimulated(ConveyorError):
    """An async job awaits what the simulator does not know: a socket, a thread, a process.  Hand
    the job its client, so that a test can hand it another."""


class ImplicitPipeWarning(UserWarning):
    """A pipe that a strict pipeline expects to be written was put in silently."""


class LikelyMistakeWarning(UserWarning):
    """What is run can be run, and is hardly meant: the letters of a string as items, or a job that
    only changes its worker's copy of a list."""
