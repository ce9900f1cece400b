"""Jobs with state in every place where a script can keep it: a simulation gives what a run gives,
and changes nothing here.

Prints a line for each that is not right, and "done".
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, ClassVar

from conveyor import FlatMap, Pipeline, Processor, ReplicatingFork, Zip

count = 0
SEEN: list[int] = []
CACHE: dict[int, int] = {}
LOCK = threading.Lock()
limit = 2


class Over(Processor[int, int]):
    kept: ClassVar[list[int]] = []

    def process(self, item: int, /) -> int:
        SEEN.append(item)
        self.kept.append(item)
        return len(SEEN) * 100 + len(self.kept) * 10 + (item > limit)


class Helper:
    made = 0

    def __init__(self) -> None:
        Helper.made += 1

    @property
    def over(self) -> int:
        return limit

    @staticmethod
    def kept(item: int) -> None:
        CACHE[item] = item

    @classmethod
    def named(cls) -> str:
        return cls.__name__


class Registry:
    known: ClassVar[dict[int, type]] = {}


ALIAS = Registry.known


class Only:
    one: ClassVar[Only | None] = None

    def __new__(cls) -> Only:
        if cls.one is None:
            cls.one = super().__new__(cls)
            cls.one.calls = 0
        return cls.one

    calls: int


class Level(Enum):
    LOW = 1
    HIGH = 2

    def __init__(self, _number: int) -> None:
        self.uses = 0

    def is_over(self) -> bool:
        return self.value > limit


def counts(item: int) -> int:
    global count
    count += 1
    return count


def appends(item: int) -> int:
    SEEN.append(item)
    return len(SEEN)


def shares_with_a_class(item: int) -> int:
    Helper.kept(item)
    return len(CACHE)


def counts_in_a_class(item: int) -> tuple[int, int, str]:
    Helper()
    return Helper.made, Helper().over, Helper.named()


def registers(item: int) -> tuple[int, bool]:
    Registry.known[item] = Helper
    return len(ALIAS), ALIAS is Registry.known


def has_one(item: int) -> int:
    only = Only()
    only.calls += 1
    return only.calls


def has_attributes(item: int) -> int:
    has_attributes.calls = getattr(has_attributes, "calls", 0) + 1  # type: ignore[attr-defined]
    return has_attributes.calls  # type: ignore[attr-defined, no-any-return]


def gives_a_class_an_attribute(item: int) -> int:
    Helper.fresh = getattr(Helper, "fresh", 0) + 1  # type: ignore[attr-defined]
    return Helper.fresh  # type: ignore[attr-defined, no-any-return]


def has_a_default(item: int, seen: list[int] = []) -> int:  # noqa: B006  # as is often written
    seen.append(item)
    return len(seen)


def makes_a_global(item: int) -> int:
    global FRESH
    FRESH = globals().get("FRESH", 0) + 1  # type: ignore[name-defined]
    return FRESH  # type: ignore[name-defined, no-any-return]


@functools.lru_cache
def cached(item: int) -> int:
    return counts(item)


def uses_a_cache(item: int) -> int:
    with LOCK:
        return cached(item % 2)


def told_by_an_enumeration(item: int) -> tuple[bool, Level]:
    return Level(1 + item % 2).is_over(), Level.LOW


def marks_a_member(item: int) -> tuple[int, int]:
    Level.LOW.uses += 1
    Level.HIGH.marked = getattr(Level.HIGH, "marked", 0) + 1  # type: ignore[attr-defined]
    return Level.LOW.uses, Level.HIGH.marked  # type: ignore[attr-defined]


def gives_several(item: int) -> Iterator[int]:
    for _ in range(item % 3):
        yield counts(item)


def makes_a_closure() -> Callable[[int], tuple[int, int]]:
    seen: list[int] = []
    calls = 0

    class Local:
        made = 0

        def add(self, item: int) -> None:
            seen.append(item)
            Local.made += 1

    def job(item: int) -> tuple[int, int]:
        nonlocal calls
        calls += 1
        Local().add(item)
        return len(seen) * 10 + calls, Local.made

    return job


CLOSURE = makes_a_closure()
JOBS: list[Callable[[int], Any]] = [
    *(counts, appends, shares_with_a_class, counts_in_a_class, registers, has_one, has_attributes),
    *(
        gives_a_class_an_attribute,
        has_a_default,
        makes_a_global,
        uses_a_cache,
        told_by_an_enumeration,
        CLOSURE,
        marks_a_member,
    ),
    lambda item: len([SEEN.append(item)]) * len(SEEN),  # type: ignore[func-returns-value]
    functools.partial(has_a_default, seen=[1, 2]),
]
CODE = (Over, Helper, Registry, Only, Level, *(job for job in JOBS if hasattr(job, "__closure__")))

# What Python itself keeps with a class once it was asked: how its objects are pickled, and since
# 3.14 what its annotations are.
KEPT_BY_PYTHON = ("__slotnames__", "__annotate_func__", "__annotations_cache__")
OF_THE_TEST = ("name", "pl", "before", "simulated", "explored", "run")


def state() -> list[object]:
    """All that a simulation might change: what there is, by its identity and by what it shows."""
    names = {
        name: value
        for name, value in globals().items()
        if name not in OF_THE_TEST and not name.startswith("__")
    }
    inside = [
        (
            id(each),
            [(name, id(value)) for name, value in vars(each).items() if name not in KEPT_BY_PYTHON],
        )
        for each in CODE
    ]
    closed = [cell.cell_contents for cell in getattr(CLOSURE, "__closure__", ())]
    defaults = [getattr(job, "__defaults__", None) for job in JOBS]
    members = [vars(member) for member in Level]
    shown = [
        members,
        count,
        SEEN,
        CACHE,
        Over.kept,
        Helper.made,
        Registry.known,
        Only.one,
        defaults,
        closed,
        cached.cache_info(),
    ]
    return [[(name, id(value)) for name, value in names.items()], inside, repr(shown)]


def is_same(wanted: list[Any], run: Any) -> bool:
    return list(run) == wanted


def two(stages: Callable[[], Any]) -> Any:
    return Pipeline[int]().add(ReplicatingFork(2)).add(stages(), stages()).add(Zip(2))


ITEMS = [1, 2, 3, 2]
PIPELINES: list[tuple[str, Callable[[], Any]]] = [
    *(
        (
            getattr(job, "__name__", "partial"),
            functools.partial(two, functools.partial(Processor, job)),
        )
        for job in JOBS
    ),
    ("a class", lambda: two(Over)),
    ("several", lambda: two(lambda: FlatMap(gives_several))),
]

for name, pl in PIPELINES:
    before = state()
    simulated = list(pl().simulate(ITEMS))
    if state() != before:
        print(f"{name}: a simulation has changed the program")
    explored = pl().explore(ITEMS, functools.partial(is_same, simulated), schedules=3)
    if explored.failure is not None or state() != before:
        print(f"{name}: {explored.failure}")
    run = list(pl().run(ITEMS))
    if run != simulated:
        print(f"{name}: a run gives {run}, and a simulation {simulated}")

limit = 0
if list(Pipeline[int]().add(Over()).simulate([1])) != [111]:
    print("a global that is changed does not show")
if (Over().process(1), Helper().over) != (111, 0):
    print("the program's own classes do not see it")
print("done")
