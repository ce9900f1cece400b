"""Windows of time: compared with a slow model that looks through all windows with each item, in
order and under deaths."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from random import Random
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conveyor.windows
from conveyor import (
    Late,
    Pipe,
    Pipeline,
    Processor,
    Session,
    Sliding,
    Tumbling,
    Window,
    Windowed,
)
from conveyor.errors import LateItem, TopologyError
from tests.core.world import World, compiled
from tests.helpers import pipeline

Event = tuple[int, str, int]  # time, key, value

REFUSED_VALUE = 3


def time_of(item: Event) -> int:
    return item[0]


def key_of(item: Event) -> str:
    return item[1]


def gathered(values: list[int], item: Event) -> list[int]:
    """Changes its state before it refuses an item."""
    values.append(item[2])
    if item[2] == REFUSED_VALUE:
        raise ValueError(item)
    return values


def both(one: list[int], other: list[int]) -> list[int]:
    one.extend(other)
    return one


# ---------------------------------------------------------------------------------- the slow model


@dataclass
class Slow:
    """All windows, in a list, in the order in which they were opened."""

    over: Tumbling | Sliding | Session
    lateness: int
    in_order_of_coming: bool  # are sessions folded again, or merged?
    windows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    watermark: float = -math.inf
    came: int = 0

    def spans(self, time: int) -> list[tuple[Any, Any]]:
        if isinstance(self.over, Session):
            return [(time, time + self.over.gap_s)]
        size = self.over.size_s
        every = size if isinstance(self.over, Tumbling) else self.over.every_s
        starts = [
            every * number for number in range(time // int(every) - 8, time // int(every) + 2)
        ]
        return [(start, start + size) for start in starts if start <= time < start + size]

    def add(self, time: int, key: object, value: int) -> list[Any] | None:
        """What is given out with an item; None if it is late."""
        spans = self.spans(time)
        if isinstance(self.over, Session):
            ((start, end),) = spans
            near = [
                each
                for each in self.windows
                if each["key"] == key and each["start"] < end and start < each["end"]
            ]
            if not near and end <= self.watermark:
                return None
            near.sort(key=lambda each: each["start"])
            items = [item for each in near for item in each["items"]]
            if self.in_order_of_coming:
                items.sort()
            first = self.windows.index(min(near, key=self.windows.index)) if near else None
            one = {
                "key": near[0]["key"] if near else key,
                "start": min([start, *(each["start"] for each in near)]),
                "end": max([end, *(each["end"] for each in near)]),
                "items": [*items, (self.came, value)],
            }
            if first is None:
                self.windows.append(one)
            else:
                self.windows[first] = one
            self.windows = [each for each in self.windows if each not in near or each is one]
        else:
            left = [span for span in spans if span[1] > self.watermark]
            if spans and not left:
                return None
            for start, end in left:
                same: Any = [w for w in self.windows if (w["key"], w["start"]) == (key, start)]
                if not same:
                    same = [{"key": key, "start": start, "end": end, "items": []}]
                    self.windows += same
                same[0]["items"].append((self.came, value))
        self.came += 1
        self.watermark = max(self.watermark, time - self.lateness)
        return self.due(self.watermark)

    def due(self, until: float) -> list[Any]:
        due = [each for each in self.windows if each["end"] <= until]
        self.windows = [each for each in self.windows if each["end"] > until]
        due.sort(key=lambda each: (each["end"], each["start"]))
        return [
            Windowed(
                each["key"],
                each["start"],
                each["end"],
                [value for _, value in each["items"]],
                len(each["items"]),
            )
            for each in due
        ]


def expected(
    items: list[Event],
    over: Tumbling | Sliding | Session,
    lateness: int,
    keyed: bool,
    merges: bool,
) -> list[Any]:
    """What comes out with late="emit"; what `fold` refuses is as if it had never come."""
    model = Slow(over, lateness, not merges)
    out: list[Any] = []
    for item in items:
        before = [dict(each, items=list(each["items"])) for each in model.windows]
        state = (model.watermark, model.came)
        given = model.add(item[0], item[1] if keyed else None, item[2])
        if given is None:
            out.append(Late(item))
        elif item[2] == REFUSED_VALUE and model.spans(item[0]):
            model.windows, (model.watermark, model.came) = before, state
        else:
            out += given
    return out + model.due(math.inf)


overs = st.one_of(
    st.builds(Tumbling, st.integers(1, 6)),
    st.builds(Sliding, st.integers(1, 6), st.integers(1, 4)),
    st.builds(Session, st.integers(1, 5)),
)
events = st.lists(
    st.tuples(st.integers(-5, 25), st.sampled_from("ab"), st.integers(0, 4)), max_size=20
)


def window(
    over: Any, lateness: int, keyed: bool, merges: bool, on_error: str = "skip", late: str = "emit"
) -> Any:
    make: Any = Window
    return make(
        over,
        time=time_of,
        key=key_of if keyed else None,
        fold=gathered,
        initial=[],
        lateness_s=lateness,
        late=late,
        merge=both if merges and isinstance(over, Session) else None,
        on_error=on_error,
    )


cases = (events, overs, st.integers(0, 6), st.booleans(), st.booleans())


@settings(max_examples=300)
@given(*cases, st.integers(1, 5))
def test_windows_are_those_of_the_slow_model(
    items: list[Event], over: Any, lateness: int, keyed: bool, merges: bool, slices: int
) -> None:
    stage = window(over, lateness, keyed, merges)
    world = World(compiled([stage], [Pipe(3)]), slices=lambda: slices)
    outputs = expected(items, over, lateness, keyed, merges)
    for _ in range(2):  # no window is left over for the next run
        assert world.run(items, lambda options: 0) == outputs


@settings(max_examples=300)
@given(*cases, st.integers(1, 5), st.integers(0, 60), st.integers(0, 5))
def test_a_death_at_any_store_is_not_to_be_seen(
    items: list[Event],
    over: Any,
    lateness: int,
    keyed: bool,
    merges: bool,
    slices: int,
    store: int,
    again: int,
) -> None:
    world = World(
        compiled([window(over, lateness, keyed, merges)], [Pipe(3)]),
        slices=lambda: slices if world.workers["window"].life.dies_before is not None else 1,
        kill=("window", store),
        again=again,
    )
    assert world.run(items, Random(store).randrange) == expected(
        items, over, lateness, keyed, merges
    )


@pytest.mark.processes
@pytest.mark.parametrize("over", [Tumbling(7), Sliding(9, 4), Session(3)])
def test_both_worlds_give_the_same(over: Any) -> None:
    items = [(n + n * n % 11, "ab"[n * n % 3 % 2], n % 6) for n in range(200)]
    for merges in (False, True):
        pl = pipeline().add(window(over, 4, True, merges))
        assert pl.run(items) == pl.simulate(items) == expected(items, over, 4, True, merges)


# ------------------------------------------------------------------------------------ what is late


def counted(over: Any, late: Literal["skip", "dead_letter"]) -> Any:
    return Window[Any, Windowed[None, int]](
        over, time=lambda item: item, fold=lambda count, item: count + 1, initial=0, late=late
    )


@pytest.mark.processes
def test_late_items_are_skipped_and_counted_or_become_dead_letters() -> None:
    items = [1, 12, 3, 13, 9]
    for late in ("skip", "dead_letter"):
        pl = pipeline().add(counted(Tumbling(10), late))
        for result in (pl.run(items), pl.simulate(items)):
            assert [(each.start, each.value) for each in result] == [(0, 1), (10, 2)]
            told = result.report.stages["window"]
            assert (told.skipped, told.dead_lettered) == ((2, 0) if late == "skip" else (0, 2))
            letters = [] if late == "skip" else [3, 9]
            assert [letter.item for letter in result.dead_letters] == letters
            for letter in result.dead_letters:
                assert isinstance(letter.exception, LateItem)
                assert letter.attempts == 1


def test_an_item_that_belongs_to_no_window_is_not_late() -> None:
    sliding = Sliding(2, 5)
    result = pipeline().add(counted(sliding, "dead_letter")).simulate([0, 3, 6, 8, 4])
    assert [(each.start, each.end, each.count) for each in result] == [(0, 2, 1), (5, 7, 1)]
    assert result.dead_letters == ()


# ----------------------------------------------------------------------------------- types of times


BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)  # comes twice that night


def test_start_and_end_are_of_the_type_of_the_times() -> None:
    cases: list[tuple[list[Any], float, Any, Any]] = [
        ([5], 2, 4, 6),
        ([5], 2.0, 4, 6),
        ([5.5], 2, 4.0, 6.0),
        ([-0.5], 2.0, -2.0, 0.0),
        (
            [HALF_PAST],
            3600.0,
            datetime(2024, 10, 27, 0, tzinfo=UTC),
            datetime(2024, 10, 27, 1, tzinfo=UTC),
        ),
    ]
    for items, size, start, end in cases:
        (found,) = pipeline().add(counted(Tumbling(size), "skip")).simulate(items)
        assert (found.start, found.end) == (start, end)
        assert (type(found.start), type(found.end)) == (type(start), type(end))


def test_a_window_says_how_long_it_is_in_seconds_of_whatever_times() -> None:
    noon = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert Windowed("a", noon, noon + timedelta(minutes=1.5), 0, 1).length_s == 90
    assert Windowed("a", 10, 40, 0, 1).length_s == 30
    assert Windowed("a", 10.25, 40.0, 0, 1).length_s == 29.75
    with pytest.raises(TypeError, match="no two times of one type"):
        _ = Windowed("a", noon, 40.0, 0, 1).length_s


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    items = [HALF_PAST, HALF_PAST.replace(fold=1), HALF_PAST + timedelta(hours=1)]
    found = pipeline().add(counted(Tumbling(3600), "skip")).simulate(items)
    assert [each.start.hour for each in found] == [0, 1, 2]  # in UTC


@given(st.lists(st.floats(-1e6, 1e6), max_size=8), st.floats(0.01, 50.0), st.floats(0.01, 50.0))
def test_floats_lie_in_their_windows(times: list[float], size: float, every: float) -> None:
    for over in (Tumbling(size), Sliding(size, max(every, size / 20))):
        stage: Any = Window(
            over,
            time=lambda item: item,
            fold=lambda found, item: [*found, item],
            initial=list[float](),
            lateness_s=4e6,
        )
        found = pipeline().add(stage).simulate(times)
        for each in found:
            assert each.value
            assert all(each.start <= time < each.end for time in each.value)
        if isinstance(over, Tumbling):
            assert sorted(time for each in found for time in each.value) == sorted(times)


def same(item: Any) -> Any:
    return item


WRONG: list[tuple[list[Any], type[Exception], str]] = [
    ([1, 2.0], TypeError, "a time of type float came behind others of type int"),
    ([1.0, HALF_PAST], TypeError, "a time of type datetime came behind others of type float"),
    ([math.nan], ValueError, "nan is no time"),
    ([math.inf], ValueError, "inf is no time"),
    ([True], TypeError, "True is no time"),
    (["now"], TypeError, "'now' is no time: an int or a float, in seconds, or a datetime"),
    ([Fraction(1, 2)], TypeError, "is no time"),
    ([datetime(2024, 1, 1)], ValueError, "has no time zone"),  # the mistake
    ([1e300], ValueError, "too far from 0"),
]


@pytest.mark.parametrize("over", [Tumbling(1), Session(1)])
@pytest.mark.parametrize("key", [math.nan, ("a", math.nan)])
def test_a_key_that_is_not_equal_to_itself_is_the_items_failure(over: Any, key: Any) -> None:
    window = Window(over, time=same, key=lambda item: key, fold=max, initial=0)

    with pytest.raises(ValueError, match="not equal to itself"):
        pipeline().add(window).simulate([1])


@pytest.mark.parametrize(("items", "error", "text"), WRONG)
def test_what_is_no_time_is_the_items_failure(
    items: list[Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        pipeline().add(counted(Tumbling(10.0), "skip")).simulate(items)


FIRST, LAST = (each.replace(tzinfo=UTC) for each in (datetime.min, datetime.max))
WEST, EAST = (timezone(timedelta(hours=hours)) for hours in (-5, 5))


@pytest.mark.parametrize(
    ("over", "wrong"),
    [
        (Tumbling(3600), LAST),
        (Tumbling(3600), datetime.max.replace(tzinfo=WEST)),  # in UTC there is none
        (Tumbling(7 * 86_400), FIRST),  # it begins in the week before
        (Sliding(7200, 3600), LAST - timedelta(hours=1)),
        (Session(1), LAST - timedelta(seconds=0.5)),
        (Session(1), datetime.min.replace(tzinfo=EAST)),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_window_for_whose_end_there_is_no_datetime_is_its_items_failure(
    over: Any, wrong: datetime, on_error: Any
) -> None:
    right = datetime(2024, 1, 1, tzinfo=UTC)
    items = [wrong, right] if wrong < right else [right, wrong]
    pl = pipeline().add(
        Window[Any, Any](
            over, time=same, fold=lambda count, item: count + 1, initial=0, on_error=on_error
        )
    )
    if on_error == "raise":
        with pytest.raises(ValueError, match="no datetime") as caught:
            pl.simulate(items)
        assert f"item {items.index(wrong)}: " in caught.value.__notes__[0]
    else:
        result = pl.simulate(items)
        alone = pl.simulate([right])
        assert list(result) == list(alone)
        assert result.report.stages["window"].skipped == 1


def test_a_window_may_end_where_the_last_datetime_is() -> None:
    noon = datetime(9999, 12, 31, 12, tzinfo=UTC)
    (found,) = (
        pipeline().add(counted(Session((LAST - noon).total_seconds()), "skip")).simulate([noon])
    )
    assert (found.start, found.end) == (noon, LAST)


def test_times_in_whole_seconds_have_no_windows_of_half_a_second() -> None:
    with pytest.raises(ValueError, match=r"0\.5 s is no length between times of type int"):
        pipeline().add(counted(Tumbling(0.5), "skip")).simulate([1])


# ---------------------------------------------------------------------------------- what is refused


def say(**options: Any) -> Callable[[], object]:
    make: Any = Window
    usual: dict[str, Any] = {
        "over": Tumbling(1), "time": time_of, "fold": gathered, "initial": 0
    }  # fmt: skip
    return lambda: make(**usual | options)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Tumbling(0), "Tumbling: size_s is 0; it must be a number of seconds above 0"),
    (lambda: Sliding(1, -1), "Sliding: every_s is -1"),
    (lambda: Session(math.nan), "Session: gap_s is nan"),
    (lambda: Tumbling(True), "Tumbling: size_s is True"),
    (say(over=60), "Window: over is 60; it must be Tumbling(size_s), Sliding(size_s, every_s) or"),
    (say(time=3), "Window: time is 3; it must be a function of one required argument, the item"),
    (say(key=gathered), "Window: key: the function must take exactly one required argument"),
    (say(fold=time_of), "Window: fold: the function must take exactly two required arguments"),
    (say(lateness_s=-1), "Window: lateness_s is -1; it must be a number of seconds of at least 0"),
    (say(late="drop"), "Window: late is 'drop'; it must be one of 'skip', 'dead_letter', 'emit'"),
    (say(merge=both), "Window: merge is for sessions, and no others are merged"),
    (say(on_error="no"), "Window: on_error is 'no'"),
]


@pytest.mark.parametrize(("make", "text"), REFUSED)
def test_what_cannot_be_meant_is_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(TopologyError) as refused:
        make()
    assert text in str(refused.value)


def takes_windowed(window: Windowed[str, int]) -> int:
    return window.value


def takes_text(text: str) -> str:
    return text


def total(state: int, item: Event) -> int:
    return state + item[2]


def test_what_a_lane_carries_is_followed_through_a_window() -> None:
    pl: Any = Pipeline[Event]()
    sums: Any = Window(Tumbling(1), time=time_of, key=key_of, fold=total, initial=0)
    pl = pl.add(sums)
    with pytest.raises(TopologyError, match="takes str, but the lane carries Windowed"):
        pl.add(Processor(takes_text))
    assert pl.add(Processor(takes_windowed)).simulate([(1, "a", 5)]) == [5]
    untyped: Any = Pipeline[int]()
    with pytest.raises(TopologyError, match="but the lane carries int"):
        untyped.add(sums)
    of_text: Any = Pipeline[str]()
    with pytest.raises(TopologyError, match=r"its time takes tuple.*, but the lane carries str"):
        of_text.add(Window(Tumbling(1), time=time_of, fold=lambda s, item: s, initial=0))


def test_the_module_of_windows_has_them_all() -> None:
    assert conveyor.windows.Window is Window
    assert {each.__module__ for each in (Window, Windowed, Late, Session)} == {"conveyor.stages"}
