"""Folds over windows of time: `Window`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import datetime
from functools import reduce
from operator import attrgetter
from typing import Any, ClassVar, Final, Literal, TypeAlias, overload

from typing_extensions import TypeVar

from conveyor.errors import LateItem, TopologyError
from conveyor.stages.callables import name_of
from conveyor.stages.job import Gives
from conveyor.stages.keyed import check_key
from conveyor.stages.open_windows import Open, OpenWindows, Rows, items_of
from conveyor.stages.spans import (
    Holding,
    Late,
    Number,
    Session,
    Sliding,
    Tumbling,
    Windowed,
    bounds_of,
    checked_seconds,
    holding,
    length_of,
    number_of,
    time_of,
)
from conveyor.stages.stage import OnError
from conveyor.stages.state_job import Incremental, Initial, check_is_function, fresh

__all__ = ["Window"]

T = TypeVar("T", default=Any)
K = TypeVar("K", bound=Hashable)
S = TypeVar("S")
Item = TypeVar("Item")
Out = TypeVar("Out", default=Any)

Time: TypeAlias = float | datetime
WhatOfLate: TypeAlias = Literal["skip", "dead_letter", "emit"]
LATE: Final = ("skip", "dead_letter", "emit")


# The type of times, the greatest, and how many items were folded.
Progress: TypeAlias = tuple[type | None, Number, int]


class Window(Incremental[T, Out]):
    """Folds the items of each window of time, for each key, and gives each window out once.

    `over` says which windows there are: `Tumbling`, `Sliding` or `Session`.  `time(item)` gives
    seconds, as int or float, or a datetime with a time zone; windows are aligned to 0, which is the
    epoch in UTC.  In each window `value` becomes `fold(value, item)` with each item, beginning with
    a copy of `initial`.

    The *watermark* is the greatest time so far, less `lateness_s` seconds.  A window is given out
    as a `Windowed` as soon as the watermark comes to its end; those that end first come first, then
    those that start first, then those whose key came first.  What is open at the end of the run is
    given out then.  An item is late if all windows that it belongs to have been given out: `late`
    says whether it is skipped and counted, becomes a dead letter, or is given out as `Late`.

    Sessions that an item bridges become one.  Their values are put together by `merge(a, b)`, a
    being that of the earlier; without it the items of both are folded again, in the order in which
    they came, and are kept until then.

    The windows outlive their worker.  With `on_error` or `retries` an item that fails leaves them
    as they were.  Raises `TopologyError` for what is out of range or cannot be called so.

    >>> from conveyor import Pipeline
    >>> sums = Window(
    ...     Tumbling(10), time=lambda item: item[0], fold=lambda total, item: total + item[1],
    ...     initial=0,
    ... )
    >>> windows = Pipeline[tuple[int, int]]().add(sums).run([(1, 5), (12, 1), (7, 9), (14, 2)])
    >>> [(window.start, window.value) for window in windows]
    [(0, 5), (10, 3)]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.EACH

    @overload
    def __init__(
        self: Window[Item, Windowed[None, S]],
        over: Tumbling | Sliding | Session,
        *,
        time: Callable[[Item], Time],
        key: None = None,
        fold: Callable[[S, Item], S],
        initial: Initial[S],
        lateness_s: float = 0.0,
        late: Literal["skip", "dead_letter"] = "skip",
        merge: Callable[[S, S], S] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Window[Item, Windowed[K, S]],
        over: Tumbling | Sliding | Session,
        *,
        time: Callable[[Item], Time],
        key: Callable[[Item], K],
        fold: Callable[[S, Item], S],
        initial: Initial[S],
        lateness_s: float = 0.0,
        late: Literal["skip", "dead_letter"] = "skip",
        merge: Callable[[S, S], S] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Window[Item, Windowed[None, S] | Late[Item]],
        over: Tumbling | Sliding | Session,
        *,
        time: Callable[[Item], Time],
        key: None = None,
        fold: Callable[[S, Item], S],
        initial: Initial[S],
        lateness_s: float = 0.0,
        late: Literal["emit"],
        merge: Callable[[S, S], S] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Window[Item, Windowed[K, S] | Late[Item]],
        over: Tumbling | Sliding | Session,
        *,
        time: Callable[[Item], Time],
        key: Callable[[Item], K],
        fold: Callable[[S, Item], S],
        initial: Initial[S],
        lateness_s: float = 0.0,
        late: Literal["emit"],
        merge: Callable[[S, S], S] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None: ...
    def __init__(
        self,
        over: Tumbling | Sliding | Session,
        *,
        time: Callable[[Any], Time],
        key: Callable[[Any], Hashable] | None = None,
        fold: Callable[[Any, Any], object],
        initial: object,
        lateness_s: float = 0.0,
        late: WhatOfLate = "skip",
        merge: Callable[[Any, Any], object] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None:
        check_window(over, time, key, fold, lateness_s, late, merge)
        self.over = over
        self.time = time
        self.key = key
        self.fold = fold
        self.initial = initial
        self.lateness_s = lateness_s
        self.late: WhatOfLate = late
        self.merge = merge
        self.is_session = isinstance(over, Session)
        self.keeps_items = self.is_session and merge is None
        self._take(None, name, on_error, retries, None, read_only=False)

    def __repr__(self) -> str:
        return f"Window({self.over}, fold={name_of(self.fold)})"

    # ---------------------------------------------------------------------------
    # items

    def _begin(self) -> None:
        self.kind: type | None = None  # of times
        self.top: Number = 0  # the greatest, once there was one
        self.came = 0  # items that were folded
        self.open = OpenWindows(self._add_undo if self.guards else None)

    def _add_undo(self, step: Callable[[], object]) -> None:
        self.undo.append(step)

    def process(self, item: T, /) -> list[Any]:
        """The windows that are given out behind this item."""
        if self.guards:
            self._remember()
        kind, time = number_of(self.time(item))
        if kind is not self.kind:
            self._begin_with(kind, time)
        key = None if self.key is None else self.key(item)
        windows = self._session(key, time) if self.is_session else self._aligned(key, time)
        if windows is None:
            return self._too_late(item)
        for window in windows:
            self.open.touch(window)
            if self.keeps_items:
                window.keep(self.came, item)
            window.value = self.fold(window.value, item)
            window.count += 1
        self.came += 1
        if time > self.top:
            self.top = time
        due = self.open.take_due(self._watermark)
        return list(self._in_turn(due)) if due else due

    def _remember(self) -> None:
        kind, top, came, number = self.kind, self.top, self.came, self.open.number

        def as_before() -> None:
            self.kind, self.top, self.came, self.open.number = kind, top, came, number

        self.undo = [as_before]

    def _begin_with(self, kind: type, time: Number) -> None:
        """Takes the type of the first time; raises `TypeError` if others came before."""
        if self.kind is not None:
            raise TypeError(
                f"a time of type {kind.__name__} came behind others of type {self.kind.__name__}: "
                "those of one run must be of one type"
            )
        self._measure(kind)
        self.kind, self.top = kind, time

    def _measure(self, kind: type) -> None:
        """Works out all lengths in the numbers of these times."""
        if isinstance(self.over, Session):
            self.gap = length_of(kind, self.over.gap_s)
        else:
            self.holding: Holding = holding(self.over, kind)
        self.lateness = self.lateness_s * 1_000_000 if kind is datetime else self.lateness_s
        self.first, self.last = bounds_of(kind)

    @property
    def _watermark(self) -> Number:
        return self.top - self.lateness

    def _aligned(self, key: Hashable, time: Number) -> list[Open] | None:
        """The open windows that a time belongs to; None if all have been given out."""
        watermark = self._watermark
        found: list[Open] = []
        is_late = False
        for number, start, end in self.holding(time):
            if end <= watermark:
                is_late = True
                continue
            known = self.open.at.get((key, number))
            if known:
                found.append(known[0])
                continue
            self._check_bounds(start, end)
            found.append(self._opened(key, (key, number), start, end))
        return found if found or not is_late else None

    def _session(self, key: Hashable, time: Number) -> list[Open] | None:
        """The same of the session that it belongs to."""
        end = time + self.gap
        self._check_bounds(time, end)
        near = [each for each in self.open.at.get(key, ()) if each.start < end and time < each.end]
        if not near:
            return None if end <= self._watermark else [self._opened(key, key, time, end)]
        session = near[0] if len(near) == 1 else self._merged(near)
        self.open.touch(session)
        session.start, session.end = min(session.start, time), max(session.end, end)
        return [session]

    def _check_bounds(self, start: Number, end: Number) -> None:
        """Raises `ValueError` for a window that could not be given out."""
        if not self.first <= start <= end <= self.last:
            raise ValueError(
                "a window that this item belongs to begins before the year 1, or ends behind the "
                "year 9999, in UTC: there is no datetime for that"
            )

    def _opened(self, key: Hashable, place: Hashable, start: Number, end: Number) -> Open:
        check_key(key)
        window = self.open.opened(key, place, start, end)
        window.value = fresh(self.initial)
        return window

    def _merged(self, sessions: list[Open]) -> Open:
        """One session in the place of several."""
        sessions.sort(key=attrgetter("start"))
        first = sessions[0]
        number, end = min(each.number for each in sessions), max(each.end for each in sessions)
        one = Open(number, first.key, first.place, first.start, end)
        one.count = sum(each.count for each in sessions)
        if self.merge is None:
            one.items = sorted(item for each in sessions for item in each.items)
            one.value = reduce(self.fold, items_of(sessions), fresh(self.initial))
        else:
            for each in sessions:
                self.open.touch(each)
            one.value = reduce(self.merge, [each.value for each in sessions])
        for each in sessions:
            self.open.remove(each)
        self.open.insert(one)
        return one

    def _too_late(self, item: T) -> list[Any]:
        if self.late == "emit":
            return [Late(item)]
        error = LateItem("all windows that this item belongs to had been given out")
        error.on_error = self.late
        raise error

    def _in_turn(self, windows: Iterable[Open]) -> Iterator[Windowed[Any, Any]]:
        for each in sorted(windows, key=attrgetter("end", "start", "number")):
            assert self.kind is not None
            start, end = time_of(self.kind, each.start), time_of(self.kind, each.end)
            yield Windowed(each.key, start, end, each.value, each.count)

    def finish(self) -> Iterator[Any]:
        yield from self._in_turn(self.open.by_number.values())
        self._begin()

    # ---------------------------------------------------------------------------
    # the state

    def snapshot(self) -> tuple[Progress, Rows]:
        return (self.kind, self.top, self.came), self.open.all_rows()

    def restore(self, state: tuple[Progress, Rows], /) -> None:
        self._apply(state)

    def _changes(self) -> tuple[Progress, Rows] | None:
        return (self.kind, self.top, self.came), self.open.new_rows()

    def _parts(self, n: int) -> Iterator[tuple[Progress, Rows]]:
        for rows in self.open.parts(n):
            yield (self.kind, self.top, self.came), rows

    def _apply(self, changes: tuple[Progress, Rows], /) -> None:
        (self.kind, self.top, self.came), rows = changes
        if self.kind is not None:
            self._measure(self.kind)
        self.open.apply(rows)


def check_window(
    over: object, time: Any, key: Any, fold: Any, lateness_s: object, late: object, merge: Any
) -> None:
    """Raises `TopologyError` for what cannot be meant."""
    if not isinstance(over, Tumbling | Sliding | Session):
        raise TopologyError(
            f"Window: over is {over!r}; it must be Tumbling(size_s), Sliding(size_s, every_s) or "
            "Session(gap_s)"
        )
    one, two = "one required argument, the item", "two required arguments, the state and the item"
    check_is_function("Window: time", time, one, 1)
    if key is not None:
        check_is_function("Window: key", key, one, 1)
    check_is_function("Window: fold", fold, two, 2)
    checked_seconds("Window: lateness_s", lateness_s, "of at least 0")
    if late not in LATE:
        raise TopologyError(
            f"Window: late is {late!r}; it must be one of {', '.join(map(repr, LATE))}"
        )
    if merge is not None:
        check_is_function("Window: merge", merge, "two required arguments, two states", 2)
        if not isinstance(over, Session):
            raise TopologyError("Window: merge is for sessions, and no others are merged")
