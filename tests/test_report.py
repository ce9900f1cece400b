"""What a run tells about itself."""

from __future__ import annotations

from typing import Any

import pytest

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
    assert lines[4:] == ["2.000 s in all; times in seconds"]


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
