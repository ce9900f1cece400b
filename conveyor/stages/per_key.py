"""A stateful processor for each key: `PerKey`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Hashable, Iterator
from copy import deepcopy
from operator import attrgetter
from typing import Any, ClassVar, TypeAlias

from conveyor.stages.callables import name_of
from conveyor.stages.job import Gives, In, Job, Out, Restorable
from conveyor.stages.jobs import Processor
from conveyor.stages.keyed import Keyed, check_key, finished, made_by, set_up
from conveyor.stages.stage import OnError, checked_count, checked_seconds
from conveyor.stages.state_job import CannotGoBack, Incremental, check_is_function, parts_of
from conveyor.stages.timed import Timed

__all__ = ["PerKey"]


# The number of the next key, the time, those that are due, and of each key itself, its number, last
# use, in items and in seconds, and state.
States: TypeAlias = tuple[
    int, int, list[Hashable], list[Hashable], list[int], list[int], list[float], list[object]
]
Changes: TypeAlias = tuple[States, list[Hashable]]


class PerKey(Incremental[In, Out], Timed):
    """A stateful processor for each key: every item goes to the one of `key(item)`.

    `make` is a subclass of `Processor`, or a function without arguments that makes one; it is
    called at a key's first item, and `setup` on what it made.  `finish` is called on each at the
    end of the run, in the order in which the keys first appeared, `teardown` when the worker stops.
    Beyond `max_keys` the key that was used least recently is finished, and forgotten, before the
    new key's item; so is one that had no item for `idle_s` seconds, also while no item comes.  In
    the simulator that is a decision (`docs/simulation.md`).  Keys that are equal are the same key;
    they must be hashable.

    If the class has `snapshot` and `restore` the states outlive their worker, and only those of
    keys that had items are saved; if it has not, the death of the worker ends the run.  With
    `on_error` or `retries` an item that fails leaves its key's state as it was.

    A function `make` is called once when the stage is made, too, to see what it gives.  Raises
    `TopologyError` if `key` cannot be called with one argument, `make` does not make a processor,
    or an option is out of range.

    >>> from conveyor import Pipeline, Processor
    >>> class Total(Processor[tuple[str, int], tuple[str, int]]):
    ...     def setup(self):
    ...         self.total = 0
    ...     def process(self, item):
    ...         self.total += item[1]
    ...         return item[0], self.total
    >>> keyed = PerKey(lambda item: item[0], Total)
    >>> Pipeline[tuple[str, int]]().add(keyed).run([("a", 1), ("b", 2), ("a", 3)])
    [('a', 1), ('b', 2), ('a', 4)]
    """

    def __init__(
        self,
        key: Callable[[In], Hashable],
        make: Callable[[], Processor[In, Out]],
        *,
        max_keys: int | None = None,
        idle_s: float | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None:
        check_is_function("PerKey: key", key, "one required argument, the item", 1)
        self.key = key
        self.make = make
        # Of the kind that it makes; a worker has no use for it.
        self.sample: Processor[In, Out] | None = made_by(make)
        self.restores = isinstance(self.sample, Restorable)
        self.tears_down = (
            type(self.sample).teardown is not Job.teardown
            or self.sample.stage_options.setup is not None
        )
        self.max_keys = None if max_keys is None else checked_count("PerKey", "max_keys", max_keys)
        self.idle_s = (
            None if idle_s is None else checked_seconds("PerKey", "idle_s", idle_s, ", or None")
        )
        self._take(None, name, on_error, retries, None, read_only=False)

    @property
    def _stage_gives(self) -> Gives:  # type: ignore[override]  # it depends on the options
        """What lets go of keys gives what they finish with, too."""
        return Gives.RESULT if self.max_keys is None else Gives.EACH

    @property
    def is_restorable(self) -> bool:
        return self.restores

    def _default_name(self) -> str:
        return name_of(self.make)

    def __getstate__(self) -> dict[str, object]:
        state: dict[str, object] = {**vars(self), "sample": None}
        return state

    def __repr__(self) -> str:
        return f"PerKey({name_of(self.key)}, {name_of(self.make)})"

    # ---------------------------------------------------------------------------
    # items

    def setup(self) -> None:
        super().setup()
        self.gone: list[Processor[In, Out]] = []  # finished, and to be torn down
        self.is_careful = self.guards or self._lets_go

    @property
    def _lets_go(self) -> bool:
        """Are there keys that are finished before the run is?"""
        return self.max_keys is not None or self.idle_s is not None

    def _begin(self) -> None:
        self.live: dict[Hashable, Keyed] = {}
        self.is_by_use = True  # are those that were used least recently the first?
        self.number = 0  # of the next key
        self.time = 0  # of the last use, in items
        self.touched: dict[Hashable, Keyed] = {}  # since the state was saved
        self.removed: dict[Hashable, None] = {}
        self.going: dict[Hashable, Keyed] = {}  # to be let go of: they are not live any more
        self.is_going_saved = True
        # Restored: numbers, last uses and states of keys that have no processor yet, and those that
        # are going.
        self.kept: dict[Hashable, tuple[int, int, float, object]] = {}
        self.kept_going: list[Hashable] = []

    def process(self, item: In, /) -> object:
        """What the processor of its key gives; with `max_keys`, all outputs."""
        if self.is_careful:
            return self._process_with_care(item)
        key = self.key(item)
        keyed = self.live.get(key) or self._new(key)
        self.touched[key] = keyed
        return keyed.call(item)

    def _process_with_care(self, item: In) -> object:
        """The same, where keys may have to be let go of, or an item may fail and the run goes
        on."""
        self._revive()
        self.undo = []
        key = self.key(item)
        outputs: list[object] = []
        keyed = self.live.get(key)
        if keyed is None:
            while self.max_keys is not None and len(self.live) >= self.max_keys:
                outputs += self._let_go(self._oldest())
            keyed = self._new(key)
        elif self.guards:
            self.undo.append(self._mark(keyed))
        self.touched[key] = keyed
        result = keyed.call(item)
        if self._lets_go:
            self._use(keyed)
        if self.max_keys is None:
            return result
        return outputs if result is None else [*outputs, result]

    def _new(self, key: Hashable) -> Keyed:
        """Makes the processor of a key that is not there."""
        check_key(key)
        keyed = Keyed(key, self.number, self._made())
        if self.guards:
            self._mark(keyed)  # what cannot be put back is known before its first item
            self.undo.append(lambda: self._forget(keyed))
        self.live[key] = keyed
        self.number += 1
        return keyed

    def _made(self) -> Processor[In, Out]:
        job = self.make()
        set_up(job)
        return job

    def _forget(self, keyed: Keyed) -> None:
        """As if the key, which is the newest, had never been there."""
        del self.live[keyed.key]
        self.touched.pop(keyed.key, None)
        self.number = keyed.number
        self._is_gone(keyed)

    def _use(self, keyed: Keyed) -> None:
        """Notes that the key is now the one that was used last."""
        before = keyed.used, keyed.at

        def unused() -> None:
            (keyed.used, keyed.at), self.is_by_use = before, False

        if self.guards:
            self.undo.append(unused)
        self.time += 1
        keyed.used, keyed.at = self.time, self._now
        self.live[keyed.key] = self.live.pop(keyed.key)

    def _oldest(self) -> Keyed:
        """The key that was used least recently."""
        if not self.is_by_use:
            by_use = sorted(self.live.values(), key=attrgetter("used"))
            self.live, self.is_by_use = {keyed.key: keyed for keyed in by_use}, True
        return next(iter(self.live.values()))

    def _let_go(self, keyed: Keyed) -> list[Out]:
        """Finishes a key and forgets it; gives what it finishes with."""
        key = keyed.key
        was_touched, was_removed = key in self.touched, key in self.removed

        def take_back() -> None:
            self.live[key], self.is_by_use = keyed, False
            if was_touched:
                self.touched[key] = keyed
            if not was_removed:
                del self.removed[key]

        if self.guards:
            self.undo.append(self._mark(keyed))
        outputs = list(finished(keyed.job))
        if self.guards:
            self.undo.append(take_back)
        del self.live[key]
        self.touched.pop(key, None)
        self.removed[key] = None
        self._is_gone(keyed)
        return outputs

    def _mark(self, keyed: Keyed) -> Callable[[], None]:
        """What puts the state of a key back to how it is now."""
        job = keyed.job
        if self.restores:
            state = pickle.dumps(keyed.snapshot(), pickle.HIGHEST_PROTOCOL)
            return lambda: self._remake(keyed, state)
        if not job.is_stateful:
            return lambda: None
        try:
            before = deepcopy(vars(job))
        except Exception as error:
            raise CannotGoBack(
                f"{self!r}: with on_error or retries an item that fails leaves the state as it "
                f"was, and that of {type(job).__name__} cannot be copied ({error}): write "
                "snapshot() and restore(state)"
            ) from error

        def back() -> None:
            vars(job).clear()
            vars(job).update(before)

        return back

    def _remake(self, keyed: Keyed, state: bytes) -> None:
        """Another processor for a key, with the state that was kept."""
        again: Any = self._made()
        again.restore(pickle.loads(state))
        self._is_gone(keyed)
        keyed.take(again)

    def _is_gone(self, keyed: Keyed) -> None:
        if self.tears_down and keyed.job not in self.gone:
            self.gone.append(keyed.job)

    # ---------------------------------------------------------------------------
    # keys that are idle

    # What is due comes by last use, and at the end all comes in the order of first items.
    _differs_at_end: ClassVar[bool] = True

    @property
    def _watches_time(self) -> bool:
        return self.idle_s is not None

    def _deadline(self) -> float | None:
        self._revive()
        return self._oldest().at + self.idle_s if self.live and self.idle_s is not None else None

    def _come_due(self) -> None:
        keyed = self._oldest()
        self.going[keyed.key] = self.live.pop(keyed.key)
        self.is_going_saved = False

    @property
    def _is_due(self) -> bool:
        return bool(self.going or self.kept_going)

    def _due(self) -> Iterator[Out]:
        self._revive()
        while self.going:
            key, keyed = next(iter(self.going.items()))
            yield from finished(keyed.job)
            self.touched.pop(key, None)
            self.removed[key] = None
            del self.going[key]
            self._is_gone(keyed)
            self.is_going_saved = False

    # ---------------------------------------------------------------------------
    # the end

    def finish(self) -> Iterator[Out]:
        self._revive()
        for keyed in sorted(self.live.values(), key=attrgetter("number")):
            yield from finished(keyed.job)
        for keyed in self.live.values():
            self._is_gone(keyed)
        self._begin()

    def teardown(self) -> None:
        errors: list[BaseException] = []
        for job in [*self.gone, *(keyed.job for keyed in self.live.values())]:
            try:
                job.teardown()
            except BaseException as error:  # raised once all have had their turn
                errors.append(error)
        if errors:
            raise errors[0]

    # ---------------------------------------------------------------------------
    # the state

    def snapshot(self) -> States:
        self._revive()
        self.touched.clear()
        self.removed.clear()
        self.is_going_saved = True
        return self._states_of([*self.live.values(), *self.going.values()])

    def restore(self, state: States, /) -> None:
        self._apply((state, []))

    def _changes(self) -> Changes | None:
        if not self.touched and not self.removed and self.is_going_saved:
            return None
        changes = (self._states_of(self.touched.values()), list(self.removed))
        self.touched.clear()
        self.removed.clear()
        self.is_going_saved = True
        return changes

    def _apply(self, changes: Changes, /) -> None:
        (self.number, self.time, self.kept_going, keys, *columns), removed = changes
        for key in removed:
            self.kept.pop(key, None)
        self.kept.update(zip(keys, zip(*columns, strict=True), strict=True))
        self.is_careful = True

    def _parts(self, n: int) -> Iterator[States | Changes]:
        self._revive()
        keys = [*self.live, *self.going]
        for at, some in enumerate(parts_of(keys, n)):
            there = [self.live.get(key) or self.going.get(key) for key in some]
            states = self._states_of([keyed for keyed in there if keyed is not None])
            yield (states, []) if at else states

    def _states_of(self, keyed: Collection[Keyed]) -> States:
        """Column by column: so there is less to be pickled."""
        return (
            self.number,
            self.time,
            list(self.going),
            [each.key for each in keyed],
            [each.number for each in keyed],
            [each.used for each in keyed],
            [each.at for each in keyed],
            [each.snapshot() for each in keyed],
        )

    def _revive(self) -> None:
        """Makes the processors of the keys whose states were restored, if there are any."""
        if not self.kept:
            return
        for key, (number, used, at, state) in self.kept.items():
            job: Any = self._made()
            job.restore(state)
            keyed = self.live[key] = Keyed(key, number, job)
            keyed.used, keyed.at, self.is_by_use = used, at, False
        self.going = {key: self.live.pop(key) for key in self.kept_going}
        self.kept, self.kept_going = {}, []
        self.is_careful = self.guards or self._lets_go
