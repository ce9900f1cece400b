"""What a run tells about itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from operator import methodcaller
from typing import Any
from xml.etree import ElementTree

import pytest

from conveyor.drawing.figure import Arrow, Box, Figure, Shape
from conveyor.report import DeadLetter, Report, RunResult, StageReport, Tally


def stage(name: str, **numbers: Any) -> StageReport:
    return StageReport(name, "Processor", **numbers)


def report(*stages: StageReport, notes: tuple[str, ...] = ()) -> Report:
    return Report({each.name: each for each in stages}, 2.0, notes)


def test_a_report_is_a_table_with_the_columns_that_are_always_there() -> None:
    parse = stage(
        "parse",
        items_in=10,
        items_out=8,
        passed=8,
        dropped=2,
        busy_s=1.5,
        waiting_s=0.25,
        batches=4,
    )
    lines = str(report(parse, stage("a longer name"))).splitlines()

    assert (
        lines[0].split()
        == "stage items_in items_out passed dropped busy waiting blocked batches".split()
    )
    assert set(lines[1]) == {"-", " "}
    assert lines[2].split() == "parse 10 8 8 2 1.500 0.250 0.000 4".split()
    assert lines[3] == "a longer name" + lines[3][13:]
    assert lines[3][13:].split() == "0 0 0 0 0.000 0.000 0.000 0".split()
    assert lines[4].split() == "total 2 1.500 0.250 0.000".split()
    assert lines[5] == "2.000 s in all; times in seconds"


def test_the_columns_of_a_table_end_one_below_the_other() -> None:
    lines = str(report(stage("one", items_in=123456789012), stage("two"))).splitlines()

    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[2].index("123456789012") + 12 == lines[3].index("  0  ") + 3


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [("skipped", 3, "3"), ("pid", 77, "77"), ("restarts", 1, "1"), ("left_over", 2, "2")],
)
def test_a_column_is_shown_where_one_stage_has_something_in_it(
    column: str, value: int, shown: str
) -> None:
    with_it, without = stage("one", **{column: value}), stage("two")
    head, _, one, two, *_ = str(report(with_it, without)).splitlines()

    at = head.split().index(column)
    assert one.split()[at] == shown
    assert two.split()[at] == ("-" if column == "pid" else "0")
    assert column not in str(report(without))


def test_notes_stand_below() -> None:
    assert str(report(stage("one"), notes=("a note", "another"))).splitlines()[-2:] == [
        "a note",
        "another",
    ]


def test_a_report_of_nothing_has_its_heads() -> None:
    assert str(Report()).splitlines()[0].split()[0] == "stage"


def test_what_is_in_hand_is_what_nothing_has_become_of() -> None:
    assert (
        Tally(
            items_in=20, passed=1, dropped=2, skipped=3, dead_lettered=4, failed=5, flushed=100
        ).in_hand
        == 5
    )


def test_a_result_is_a_list_with_a_report_and_its_dead_letters() -> None:
    letter = DeadLetter("stage", 3, "item", ValueError(), 1)
    there = report(stage("one"))
    result = RunResult([1, 2], there, [letter])

    assert result == [1, 2]
    assert result.report is there
    assert result.dead_letters == (letter,)
    assert RunResult[int]() == []
    assert RunResult[int]().report == Report()


def test_the_stage_that_is_busy_all_the_time_sets_the_pace() -> None:
    verdict = report(stage("parse", busy_s=1.94), stage("count", busy_s=0.1)).verdict

    assert verdict.startswith("parse is busy 97% of the time, and sets the pace: balance it")
    assert verdict.endswith("1.0 jobs were at work at once, on average")


def test_a_stage_that_waits_is_not_told_to_use_more_cores() -> None:
    verdict = report(stage("fetch", busy_s=1.94, side_by_side=63.6)).verdict

    assert verdict.startswith(
        "fetch is busy 97% of the time, with 64 items in hand on average, and sets the pace: more "
        "concurrency would help"
    )
    assert "lanes" not in verdict


def test_lanes_are_judged_together() -> None:
    lanes = [stage(f"job/{lane}", busy_s=1.8) for lane in range(3)]

    assert report(stage("parse", busy_s=1.9), *lanes).verdict.startswith("parse is busy 95%")
    assert "job is busy 90% of the time, and sets the pace: more lanes" in report(*lanes).verdict


def test_so_are_lanes_of_a_fork_in_the_lanes_of_another() -> None:
    lanes = [stage(f"job/{outer}/{lane}", busy_s=1.8) for outer in range(2) for lane in range(2)]

    assert report(*lanes).verdict.startswith("job is busy 90% of the time, and sets the pace: more")


@pytest.mark.parametrize(
    ("first", "last", "pace"),
    [
        ({"waiting_s": 1.9}, {"waiting_s": 1.9}, "the source sets the pace"),
        ({"blocked_s": 1.9}, {"blocked_s": 1.8}, "the reader of the results sets the pace"),
    ],
)
def test_what_is_outside_sets_the_pace_where_every_stage_waits(
    first: dict[str, float], last: dict[str, float], pace: str
) -> None:
    waits = report(stage("parse", busy_s=0.1, **first), stage("count", busy_s=0.05, **last))

    assert pace in waits.verdict
    assert pace in str(waits)


def test_where_no_time_was_measured_nothing_is_said_of_it() -> None:
    assert report(stage("parse", items_in=3)).verdict == ""
    assert Report().verdict == ""


def test_a_report_as_data_has_the_names_of_the_attributes() -> None:
    told = report(stage("parse", items_in=3, busy_s=0.5), notes=("a note",))

    assert told.to_dict()["stages"] == {"parse": asdict(told.stages["parse"])}
    assert json.loads(told.to_json()) == told.to_dict()
    assert told.to_dict()["notes"] == ["a note"]


def test_a_picture_of_a_run_has_the_figures_in_the_boxes_of_their_stages() -> None:
    boxes = [Box("source", shape=Shape.END), Box("parse"), Box("sink", shape=Shape.END)]
    figure = Figure(boxes, [Arrow(0, 1), Arrow(1, 2)])
    parse = stage("parse", items_in=2000, items_out=1990, busy_s=1.0, skipped=10)
    root = ElementTree.fromstring(Report({"parse": parse}, 2.0, figure=figure).picture())

    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["source", "parse, 2,000 in, 1,990 out, busy 50%, 10 skipped", "sink"]


# As a notebook asks for it.
in_a_notebook = methodcaller("_repr_html_")


def test_a_notebook_shows_the_table_and_what_a_name_is_cannot_break_it() -> None:
    shown = in_a_notebook(report(stage("<b>", items_in=7), notes=("1 < 2",)))

    assert "<td>&lt;b&gt;</td><td>7</td>" in shown
    assert "1 &lt; 2" in shown
    assert shown.startswith("<div><table>")
