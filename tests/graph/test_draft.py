"""Rows on open lanes: what fits, and why something does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import TopologyError
from conveyor.graph.draft import Draft, Frame, Port
from conveyor.graph.implicit_pipes import implicit_pipes
from conveyor.stages import (
    BalancingFork,
    FanIn,
    Fork,
    Job,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    Stage,
    Zip,
)
from tests.jobs import double, increment

Rows = Sequence[Sequence[Any]]


def job() -> Processor[int, int]:
    return Processor(double)


def drafted(*rows: Sequence[Any], strict: bool = False) -> Draft:
    draft = Draft(strict)
    for row in rows:
        draft = draft.add(row)
    return draft


def refused(draft: Draft, *row: Any) -> str:
    before = (draft.places, draft.lanes, draft.rows)
    with pytest.raises(TopologyError) as failed:
        draft.add(row)
    assert (draft.places, draft.lanes, draft.rows) == before
    return str(failed.value)


class KeyedFork(Fork):
    """To the compiler of a graph it must not look like a fork that it knows."""


class Interleave(FanIn):
    n = 2


class Batch(Job[int, list[int]]):
    def process(self, item: int) -> list[int]:
        return [item]


FORK2: Rows = [[ReplicatingFork(2)]]
ADAPTING: Rows = [[BalancingFork()]]

REFUSALS: list[tuple[str, Rows, list[Any], str]] = [
    ("nothing", [], [], r"row 1: add\(\) was given no stage"),
    (
        "a function",
        [],
        [double],
        "row 1, lane 1: <function double at .* is not a stage; wrap it: Processor",
    ),
    (
        "a class of stages",
        FORK2,
        [Pipe(), Pipe],
        "row 2, lane 2: .* is not a stage; make one: Pipe",
    ),
    ("a number", FORK2, [3, 4], "row 2, lane 1: 3 is not a stage; stages are jobs"),
    ("a stage that is none of the kinds", [], [Stage()], "is a stage of an unknown kind"),
    (
        "a fork of a kind of its own",
        [[Pipe()]],
        [KeyedFork(2, "key")],
        r"row 2, lane 1: KeyedFork\(2\) is a stage of an unknown kind: .*derive KeyedFork from",
    ),
    (
        "a merge of a kind of its own",
        FORK2,
        [Interleave()],
        r"row 2, lane 1: .* is a stage of an unknown kind: .*derive Interleave from",
    ),
    (
        "a job of a kind of its own",
        FORK2,
        [Pipe(), Batch()],
        r"row 2, lane 2: Batch is derived from Job itself, .*derive it from Processor, FlatMap",
    ),
    (
        "a join first",
        [],
        [Join(2)],
        r"row 1, lane 1: a pipeline cannot begin with Join\(2\): .* a Pipe or a fork",
    ),
    ("a zip first", [], [Zip(1)], r"row 1, lane 1: a pipeline cannot begin with Zip\(1\)"),
    (
        "too few",
        FORK2,
        [job()],
        (
            r"row 2: Processor\(double\) takes 1 lane, but 2 lanes are open; a row of 2 stages"
            r" would fit"
        ),
    ),
    (
        "too many",
        [[job()]],
        [job(), Pipe()],
        r"row 2: Processor\(double\), Pipe\(16384\) take 2 lanes, but 1 lane is open; one pro",
    ),
    (
        "a join that is too wide",
        FORK2,
        [Join(3)],
        r"Join\(3\) takes 3 lanes, but 2 lanes are open; .* or Join\(2\)",
    ),
    (
        "a Join() outside",
        [[job()]],
        [Join()],
        r"row 2, lane 1: Join\(\) without a number closes .*; say how many lanes it takes",
    ),
    (
        "a Join() in a fork",
        FORK2,
        [Join(), Pipe()],
        "this lane is not one of them; join the lanes of 'replicating_fork' first",
    ),
    (
        "a Join() in a fork in an adapting one",
        [*ADAPTING, [ReplicatingFork(2)]],
        [Join(), Join()],
        "join the lanes of 'replicating_fork' first",
    ),
    (
        "a join out of an adapting fork",
        [[ReplicatingFork(2)], [Pipe(), BalancingFork()]],
        [Join(2)],
        (
            r"row 3, lane 1: Join\(2\) takes lane 2 out of 'balancing_fork', .* put a Join\(\)"
            r" before it"
        ),
    ),
    (
        "a zip out of an adapting fork",
        [[ReplicatingFork(2)], [BalancingFork(), Pipe()]],
        [Zip(2)],
        r"Zip\(2\) takes lane 1 out of 'balancing_fork'",
    ),
    (
        "ordered without a fork",
        [[job()]],
        [Join(1, ordered=True)],
        "needs the lanes of one fork, and there is no fork before it",
    ),
    (
        "ordered, of two forks",
        [[ReplicatingFork(2)], [ReplicatingFork(1), ReplicatingFork(1)]],
        [Join(2, ordered=True)],
        "must take all lanes of one fork, and nothing else; 'replicating_fork#2' has 1 lane",
    ),
    (
        "ordered, of too few lanes",
        [[ReplicatingFork(3)]],
        [Join(2, ordered=True), Pipe()],
        "'replicating_fork' has 3 lanes",
    ),
    (
        "ordered, of lanes of unequal depth",
        [[ReplicatingFork(2)], [ReplicatingFork(1), Pipe()]],
        [Join(2, ordered=True)],
        "must take all lanes of one fork",
    ),
    (
        "ordered, of a lane that is open inside",
        [[ReplicatingFork(2)], [Pipe(), ReplicatingFork(1)]],
        [Join(2, ordered=True)],
        "must take all lanes of one fork",
    ),
    (
        "ordered around first come",
        [[ReplicatingFork(2)], [Pipe(), ReplicatingFork(2)], [Pipe(), Join(2)]],
        [Join(2, ordered=True)],
        "cannot give back the order of 'replicating_fork': in its lane 2 a join that is first come",
    ),
    (
        "ordered around a zip",
        [[ReplicatingFork(2)], [ReplicatingFork(2), Pipe()], [Zip(2), Pipe()]],
        [Join(2, ordered=True)],
        "in its lane 1 a join that is first come, first served, or a zip, has lost it",
    ),
    (
        "ordered around an adapting fork that is joined first come",
        [[ReplicatingFork(1)], [BalancingFork()], [Join()]],
        [Join(1, ordered=True)],
        "in its lane 1",
    ),
    (
        "ordered Join() around first come",
        [*ADAPTING, [ReplicatingFork(2)], [Join(2)]],
        [Join(ordered=True)],
        "cannot give back the order of 'balancing_fork'",
    ),
]


@pytest.mark.parametrize(
    ("rows", "row", "text"), [each[1:] for each in REFUSALS], ids=[each[0] for each in REFUSALS]
)
def test_a_row_that_does_not_fit_is_refused_with_its_place_and_a_cure(
    rows: Rows, row: list[Any], text: str
) -> None:
    assert re.search(text, refused(drafted(*rows), *row))


STRICT: list[tuple[list[Any], str]] = [
    ([Pipe()], "a strict pipeline begins with a processor"),
    ([ReplicatingFork(2)], "or leave out strict=True"),
    ([Join(1)], "begin with a Processor$"),
]


@pytest.mark.parametrize(("row", "text"), STRICT, ids=[text for _, text in STRICT])
def test_a_strict_pipeline_begins_with_a_processor(row: list[Any], text: str) -> None:
    assert re.search(text, refused(Draft(strict=True), *row))
    assert drafted([job()], strict=True).rows == 1


ACCEPTED: dict[str, Rows] = {
    "nested and ordered": [
        [ReplicatingFork(2)],
        [Pipe(), BalancingFork(2)],
        [Pipe(), Pipe(), Pipe()],
        [Pipe(), Join(2, ordered=True)],
        [Join(2, ordered=True)],
    ],
    "adapting in a lane": [
        [ReplicatingFork(2)],
        [BalancingFork(), Pipe()],
        [job(), Pipe()],
        [Join(), Pipe()],
        [Join(2)],
    ],
    "adapting in adapting, ordered": [
        [BalancingFork()],
        [BalancingFork(max_lanes=2)],
        [job()],
        [Join(ordered=True)],
        [Join(ordered=True)],
    ],
    "joined over two forks": [
        [ReplicatingFork(2)],
        [ReplicatingFork(2), ReplicatingFork(2)],
        [Join(3), Pipe()],
        [Join(2)],
    ],
    "joined inside an adapting fork": [[BalancingFork()], [ReplicatingFork(2)], [Zip(2)], [Join()]],
    "ordered inside first come": [
        [ReplicatingFork(2)],
        [ReplicatingFork(2), Pipe()],
        [Join(2, ordered=True), Pipe()],
        [Join(2)],
    ],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_fits_is_complete_with_one_open_lane(name: str) -> None:
    draft = drafted(*ACCEPTED[name])
    draft.check_complete("run()")

    assert len(draft.lanes) == 1
    assert draft.lanes[0].frames == ()


@given(
    st.lists(st.sampled_from(["job", "pipe", "fork", "join"]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_a_row_takes_every_open_lane_from_left_to_right(kinds: list[str], random: Any) -> None:
    draft, width = drafted([job()]), 1
    for kind in kinds:
        row: list[Stage] = [job() if kind == "job" else Pipe() for _ in range(width)]
        at = random.randrange(width)
        if kind == "fork":
            row[at] = ReplicatingFork(n := random.randint(1, 3))
            width += n - 1
        if kind == "join":
            n = random.randint(1, width - at)
            row[at : at + n] = [Join(n)]
            width -= n - 1
        before = draft.lanes
        draft = draft.add(row)
        assert len(draft.lanes) == width
        added = draft.places[-len(row) :]
        assert [source for place in added for source in place.sources] == [
            lane.port for lane in before
        ]


def test_a_lane_knows_the_forks_around_it() -> None:
    draft = drafted([ReplicatingFork(2)], [Pipe(), BalancingFork(2)])

    assert [lane.frames for lane in draft.lanes] == [
        (Frame(0, 0),),
        (Frame(0, 1), Frame(2, 0)),
        (Frame(0, 1), Frame(2, 1)),
    ]
    assert [lane.port for lane in draft.lanes] == [Port(1, 0), Port(2, 0), Port(2, 1)]
    joined = draft.add([Pipe(), Join(2)])
    assert [lane.frames for lane in joined.lanes] == [
        (Frame(0, 0),),
        (Frame(0, 1, scrambled=True),),
    ]
    ordered = draft.add([Pipe(), Join(2, ordered=True)])
    assert [lane.frames for lane in ordered.lanes] == [(Frame(0, 0),), (Frame(0, 1),)]
    assert [place.undoes for place in ordered.places] == [None, None, None, None, 2]


def test_names_that_are_taken_are_numbered() -> None:
    names: Rows = [
        [job()],
        [Processor(double, name="double#2")],
        [job()],
        [job()],
        [Pipe(name="increment")],
        [Processor(increment)],
    ]

    assert [place.name for place in drafted(*names).places] == [
        "double",
        "double#2",
        "double#3",
        "double#4",
        "increment",
        "increment#2",
    ]


INCOMPLETE: list[tuple[Rows, str]] = [
    ([], "run(): the pipeline has no stage yet; add one first"),
    ([*FORK2], "run(): 2 lanes are open after row 1; join them first: add(Join(2))"),
    (
        [*ADAPTING, [job()]],
        (
            "run(): the lanes of 'balancing_fork' are still open after row 2; join them first:"
            " add(Join())"
        ),
    ),
]


@pytest.mark.parametrize(("rows", "text"), INCOMPLETE, ids=[text for _, text in INCOMPLETE])
def test_what_is_not_complete_is_not_run(rows: Rows, text: str) -> None:
    with pytest.raises(TopologyError) as failed:
        drafted(*rows).check_complete("run()")
    assert str(failed.value) == text


def test_one_open_lane_is_enough() -> None:
    drafted([job()]).check_complete("run()")
    drafted([ReplicatingFork(1)]).check_complete("run()")


PIPES: list[tuple[str, Rows, list[Any], list[str]]] = [
    ("job, job", [[job()]], [Processor(increment)], ["'double' and 'increment'"]),
    ("job, pipe", [[job()]], [Pipe()], []),
    ("pipe, job", [[job()], [Pipe()]], [Processor(increment)], []),
    ("job, fork", [[job()]], [ReplicatingFork(2)], ["'double' and 'replicating_fork'"]),
    (
        "fork, job and fork",
        [[job()], *FORK2],
        [Processor(increment), BalancingFork(1)],
        ["'replicating_fork' and 'balancing_fork'"],
    ),
    ("jobs, join", [[job()], *FORK2, [job(), Pipe()]], [Join(2)], ["'double#2' and 'join'"]),
    ("join, job", [[job()], *FORK2, [Pipe(), Pipe()], [Join(2)]], [Processor(increment)], []),
    ("first", [], [job()], []),
]


@pytest.mark.parametrize(
    ("rows", "row", "between"), [each[1:] for each in PIPES], ids=[each[0] for each in PIPES]
)
def test_a_strict_pipeline_says_where_it_puts_in_a_pipe(
    rows: Rows, row: list[Any], between: list[str]
) -> None:
    before = drafted(*rows, strict=True)
    said = implicit_pipes(before, before.add(row))

    assert said == [
        f"row {len(rows) + 1}: a pipe was put in between {pair}; write Pipe() to say so"
        for pair in between
    ]
