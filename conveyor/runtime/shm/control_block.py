"""The words that workers and parent write for one another beside the channels.

This file knows what each word says, and which side writes it.  It must never know what follows from
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from conveyor.core.channel import Note
from conveyor.core.crashes import Moment, WorkerDeath
from conveyor.core.journal import PAGE_SIZE
from conveyor.report import COUNTS as KINDS_OF_COUNTS
from conveyor.report import Tally
from conveyor.runtime.step.contract import WaitReason

__all__ = ["FORK_WORDS", "NODE_WORDS", "PIPELINE_WORDS", "ControlBlock", "NodeBlock"]

# Words of the whole pipeline.  The parent writes all but the last two, which any worker sets.
RUN, STOP, RECORDING, GUIDED, LEVELS, LEVELS_SIZE, TRACING, KEEPING = range(8)
ATTENTION, LOGGED = 16, 17
PIPELINE_WORDS: Final = 32

# Words of one node, all written by its worker but the last, which is the parent's.
DONE, BEGUN, BUSY, WAITING, BLOCKED, BATCHES = range(6)
HAND_INPUT, HAND_FIRST, HAND_END, RUNNING, ITEM_AT, ITEM_SINCE = range(6, 12)
SEVERAL: Final = 1 << 63  # a part of ITEM_AT: there are others, and any can have been what killed
ANY_ITEM: Final = (1 << 64) - 1  # as ITEM_AT: any of several can be the one that takes too long
WAIT_KIND, WAIT_CHANNELS, WAIT_ITEMS, SLEEPS, EVER_HELD, LIFE, SOFT_LIMITS_LIFTED = range(12, 19)
MOVING, SAMPLED_JOBS, SAMPLED, IN_HAND, ANY_IN_HAND = range(19, 24)
COUNTS: Final = 24
NODE_WORDS: Final = 64

# How far a worker has come since it was started.
UNBORN, SETTING_UP, READY = range(3)

# Words of one adapting fork: how many lanes are open (the parent writes it), and wanted (the worker
# that forks does).
OPEN, WANTED = 0, 1
FORK_WORDS: Final = 16


class ControlBlock:
    """The words of the whole pipeline, of its adapting forks and its zips."""

    def __init__(
        self,
        words: memoryview[int],
        forks: Mapping[str, memoryview[int]],
        zips: Mapping[str, memoryview[int]],
    ) -> None:
        self.words = words
        self.forks = forks
        self.zips = zips

    @property
    def run(self) -> int:
        return self.words[RUN]

    @run.setter
    def run(self, run: int) -> None:
        self.words[RUN] = run

    @property
    def stopping(self) -> bool:
        return self.words[STOP] != 0

    def stop(self) -> None:
        self.words[STOP] = 1

    @property
    def recording(self) -> bool:
        """Is what is decided in this run to be noted?"""
        return self.words[RECORDING] != 0

    def record(self, recording: bool) -> None:
        self.words[RECORDING] = recording

    @property
    def tracing(self) -> bool:
        """Is what is done in this run to be noted, and when?"""
        return self.words[TRACING] != 0

    def trace(self, tracing: bool) -> None:
        self.words[TRACING] = tracing

    @property
    def keeping(self) -> bool:
        """Do barriers go through the channels?  It is said before any worker starts."""
        return self.words[KEEPING] != 0

    def keep(self, keeping: bool) -> None:
        self.words[KEEPING] = keeping

    @property
    def guided(self) -> bool:
        """May slices grow with what is queued, as nobody sees a result before the run ends?"""
        return self.words[GUIDED] != 0

    def guide(self, guided: bool) -> None:
        self.words[GUIDED] = guided

    def request_attention(self) -> None:
        """Asks the parent to read the ledgers, and which lanes are wanted."""
        self.words[ATTENTION] = 1

    def take_attention_request(self) -> bool:
        if self.words[ATTENTION]:
            self.words[ATTENTION] = 0
            return True
        return False

    def has_logged(self) -> None:
        """Says that there are new records of jobs."""
        self.words[LOGGED] = 1

    def take_logged(self) -> bool:
        if self.words[LOGGED]:
            self.words[LOGGED] = 0
            return True
        return False

    @property
    def levels(self) -> tuple[int, int]:
        """How often the levels of loggers were told, and how many bytes they take."""
        return self.words[LEVELS], self.words[LEVELS_SIZE]

    def tell_levels(self, size: int) -> None:
        self.words[LEVELS_SIZE] = size
        self.words[LEVELS] += 1

    def open_lanes(self, fork: str) -> int:
        return self.forks[fork][OPEN]

    def set_open_lanes(self, fork: str, lanes: int) -> None:
        self.forks[fork][OPEN] = lanes

    def wanted_lanes(self, fork: str) -> int:
        return self.forks[fork][WANTED]

    def want_lanes(self, fork: str, lanes: int) -> None:
        self.forks[fork][WANTED] = lanes

    def read_zip(self, name: str) -> tuple[int, int]:
        """The tuples that a zip gave in this run, and the items that it could not pair."""
        run, tuples, left_over, *_ = read_whole(self.zips[name])
        return (tuples, left_over) if run == self.run else (0, 0)


class NodeBlock:
    """The words of one node."""

    def __init__(self, words: memoryview[int]) -> None:
        self.words = words
        self.counts = Note(words[COUNTS : COUNTS + Note.words_for(PAGE_SIZE)])

    @property
    def done(self) -> int:
        """The last run that the worker has finished."""
        return self.words[DONE]

    @done.setter
    def done(self, run: int) -> None:
        self.words[DONE] = run

    def begin(self, run: int) -> bool:
        """Called by a worker that starts on a run; was another worker at it before?"""
        if self.words[BEGUN] == run:
            return True
        self.words[EVER_HELD] = self.has_begun()
        for word in (*range(BUSY, SLEEPS), MOVING, SAMPLED_JOBS, SAMPLED, IN_HAND, ANY_IN_HAND):
            self.words[word] = 0
        self.words[BEGUN] = run
        return False

    def has_begun_with(self, run: int) -> bool:
        return self.words[BEGUN] == run

    def hold(self, source: int, first: int, end: int) -> None:
        """Items [first, end) of an input are taken in hand."""
        words = self.words
        words[HAND_END] = 0
        words[HAND_INPUT] = source
        words[HAND_FIRST] = first
        words[HAND_END] = end

    def hold_more(self, first: int, items: int) -> None:
        """The job of this node begins with items that came of the slice in hand, those from `first`
        on in its own count."""
        words = self.words
        if not words[HAND_END]:
            words[HAND_FIRST] = first
        words[HAND_END] = first + items

    def hold_nothing(self) -> None:
        self.words[HAND_END] = 0

    def set_running(self, number: int) -> None:
        """Which job is at work on what is in hand, counted from 1; 0: none is."""
        self.words[RUNNING] = number

    def set_item(self, position: int, since: int) -> None:
        """Which item a job with a time limit is at, and since when."""
        words = self.words
        words[ITEM_SINCE] = 0  # whoever is killed between these has not had the time of another
        words[ITEM_AT] = position
        words[ITEM_SINCE] = since

    def set_no_item(self) -> None:
        """The job is at no item."""
        self.words[ITEM_SINCE] = 0

    def set_oldest(self, position: int, since: int) -> None:
        """Which of several items has been at its job for the longest, and since when."""
        self.set_item(position | SEVERAL, since)

    def set_any_item(self, since: int) -> None:
        """Since when the first of several items is at its job, whichever it is."""
        self.set_item(ANY_ITEM, since)

    @property
    def item_since(self) -> int:
        return self.words[ITEM_SINCE]

    def has_begun(self) -> bool:
        """Has any worker of this node ever taken an item in hand?"""
        return self.words[HAND_END] != 0 or self.words[EVER_HELD] != 0

    @property
    def running(self) -> int:
        return self.words[RUNNING]

    def is_setting_up(self) -> None:
        self.words[LIFE] = SETTING_UP

    def is_ready(self) -> None:
        self.words[LIFE] = READY

    def moment(self, run: int, has_input: bool) -> Moment:
        """What the worker, which is dead, was about; `has_input`: there is some for it."""
        words = self.words
        if words[LIFE] != READY:
            return Moment.SETTING_UP if words[LIFE] else Moment.STARTING
        has_work = words[BEGUN] == run and (has_input or words[RUNNING] != 0)
        return Moment.AT_WORK if has_work and not words[WAIT_KIND] else Moment.IDLE

    def take_death(self, run: int, running: bool, timed_out: bool, how: str) -> WorkerDeath | None:
        """What a worker had in hand, now that it is dead; the next has nothing in hand yet.

        `running`: was it the job of this node that was at work?
        """
        words = self.words
        death = None
        at = words[ITEM_AT]
        is_known = words[ITEM_SINCE] and at != ANY_ITEM and (timed_out or not at & SEVERAL)
        if words[BEGUN] == run and words[HAND_END]:
            death = WorkerDeath(
                input=words[HAND_INPUT],
                first=words[HAND_FIRST],
                end=words[HAND_END],
                at=at & ~SEVERAL if is_known else None,
                running=running,
                timed_out=timed_out,
                how=how,
            )
        words[EVER_HELD] = self.has_begun()
        words[HAND_END] = words[RUNNING] = words[ITEM_SINCE] = words[WAIT_KIND] = words[LIFE] = 0
        return death

    def set_wait_reason(self, reason: WaitReason) -> None:
        words = self.words
        words[WAIT_CHANNELS], words[WAIT_ITEMS] = reason.channels, reason.items
        words[SLEEPS] += 1
        words[WAIT_KIND] = reason.kind

    def is_awake(self) -> None:
        self.words[WAIT_KIND] = 0

    def wait_reason(self) -> WaitReason:
        words = self.words
        return WaitReason(words[WAIT_KIND], words[WAIT_CHANNELS], words[WAIT_ITEMS])

    @property
    def sleeps(self) -> int:
        """How often the worker went to sleep."""
        return self.words[SLEEPS]

    @property
    def soft_limits_lifted(self) -> bool:
        """Has the worker to go beyond what it measures, because nothing can go on before?"""
        return self.words[SOFT_LIMITS_LIFTED] != 0

    def lift_soft_limits(self) -> None:
        """From now on, and as long as the pipeline is open."""
        self.words[SOFT_LIMITS_LIFTED] = 1

    def write_times(self, busy: int, waiting: int, blocked: int, batches: int) -> None:
        words = self.words
        words[BUSY], words[WAITING] = busy, waiting
        words[BLOCKED], words[BATCHES] = blocked, batches

    def add_in_hand(self, items: int, nanoseconds: int, busy: int) -> None:
        """So many items were in hand for so long, and the worker was busy for that long by now."""
        self.words[IN_HAND] += items * nanoseconds
        self.words[ANY_IN_HAND] += nanoseconds * (items > 0)
        self.words[BUSY] = busy

    @property
    def side_by_side(self) -> float:
        """How many items were in hand at once, on average, while any was."""
        return self.words[IN_HAND] / max(1, self.words[ANY_IN_HAND])

    def times(self) -> tuple[int, int, int, int]:
        """Busy, waiting and blocked nanoseconds, and batches."""
        words = self.words
        return words[BUSY], words[WAITING], words[BLOCKED], words[BATCHES]

    def write_moving(self, nanoseconds: int) -> None:
        self.words[MOVING] = nanoseconds

    def add_sample(self, in_jobs: int, nanoseconds: int) -> None:
        self.words[SAMPLED_JOBS] += in_jobs
        self.words[SAMPLED] += nanoseconds

    def pace(self) -> tuple[int, int, int]:
        """Nanoseconds that the worker was moving items; and, of those slices in which that was
        looked at, how long the jobs themselves took, and how long all did."""
        words = self.words
        return words[MOVING], words[SAMPLED_JOBS], words[SAMPLED]

    def tally(self, run: int) -> Tally:
        page = read_whole(self.words[COUNTS : COUNTS + Note.words_for(PAGE_SIZE)])
        return Tally(*page[PAGE_SIZE - KINDS_OF_COUNTS :]) if page[0] == run else Tally()


def read_whole(words: memoryview[int]) -> list[int]:
    """The newest note of another process, which may be writing the next."""
    note = Note(words)
    while True:
        number = words[0]
        values = note.newest()
        if words[0] == number:
            return values
