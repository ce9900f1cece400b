"""A log that is written, rotated and emptied while it is followed loses no line, repeats none."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import BadRow
from conveyor.io import Directory, Follow

pytestmark = pytest.mark.timeout(100)


def followed(log: Path, **options: Any) -> Follow:
    return Follow(log, poll_s=0.001, idle_s=0.02, **options)


class Logger:
    """Writes numbered lines, as a program that writes a log does."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "a.log"
        self.log.touch()
        self.written: list[str] = []
        self.rotated = 0

    def line(self) -> None:
        line = f"line {len(self.written)}"
        self.written.append(line)
        with self.log.open("a") as file:
            file.write(f"{line}\n")

    def rotate(self) -> None:
        self.rotated += 1
        self.log.rename(self.log.with_name(f"a.log.{self.rotated}"))
        self.log.touch()

    def truncate(self) -> None:
        os.truncate(self.log, 0)


STEPS = st.lists(st.sampled_from(["line", "line", "rotate", "read", "truncate", "resume"]))


@given(STEPS)
def test_each_line_is_given_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    logger = Logger(tmp_path_factory.mktemp("logs"))
    source = followed(logger.log)
    lines: list[str] = []
    position = None
    stream: Iterator[tuple[str, Any]] = source.open(None)

    def read() -> None:
        nonlocal position
        while len(lines) < len(logger.written):
            line, position = next(stream)
            lines.append(line)

    for step in steps:
        if step == "read":
            read()
        elif step == "resume":
            stream = source.open(pickle.loads(pickle.dumps(position)))
        elif step == "truncate":
            read()  # what is gone before it was seen is gone
            logger.truncate()
        elif step == "rotate" and len(lines) < len(logger.written):
            read()  # between two looks a file may change its name once
            logger.rotate()
        else:
            getattr(logger, step)()
    read()

    assert lines == logger.written
    assert next(stream, None) is None


def test_a_line_is_given_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    stream = followed(log).open(None)

    assert next(stream)[0] == "one"
    log.open("a").close()
    with log.open("a") as file:
        file.write("o\nthree")
    assert next(stream)[0] == "two"
    assert next(stream, None) is None


def test_a_file_that_was_rotated_while_nothing_followed_it_is_read_to_its_end(
    tmp_path: Path,
) -> None:
    logger = Logger(tmp_path)
    for _ in range(3):
        logger.line()
    _, position = next(followed(logger.log).open(None))
    logger.rotate()
    logger.line()

    assert [line for line, _ in followed(logger.log).open(position)] == logger.written[1:]


def test_a_file_that_has_lost_its_name_is_read_until_another_has_it(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    stream = Follow(log, poll_s=0.001).open(None)
    assert next(stream)[0] == "one"

    with log.open("a") as file:  # as a program that has not been told of the rotation yet
        log.rename(tmp_path / "a.log.1")
        for number in range(3):
            file.write(f"late {number}\n")
            file.flush()
            assert next(stream)[0] == f"late {number}"
    log.write_text("new\n")

    assert next(stream)[0] == "new"


def test_another_file_of_the_same_length_is_not_taken_for_it(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    position = [position for _, position in followed(log).open(None)][-1]
    log.write_text("six\nten\nmore\n")  # in place: the file has the same number

    assert [line for line, _ in followed(log).open(position)] == ["six", "ten", "more"]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    assert list(followed(tmp_path / "none")) == []


def test_a_line_that_is_no_text_says_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n\xff\nthree\n")

    with pytest.raises(BadRow, match=f"^{log}:2: "):
        list(followed(log))
    assert list(followed(log, on_error="skip")) == ["one", "three"]


def test_a_line_that_is_left_out_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n\xff\n")

    assert list(followed(log, on_error="skip")) == ["one"]  # after several looks
    assert len(caplog.records) == 1


def test_told_to_end_it_still_gives_what_was_written_before(tmp_path: Path) -> None:
    logger = Logger(tmp_path)

    def is_ended() -> bool:
        if len(logger.written) < 5:
            logger.line()
            return False
        return True

    assert list(Follow(logger.log, poll_s=0.001, until=is_ended)) == logger.written
    assert len(logger.written) == 5
    assert list(Follow(tmp_path / "none", until=lambda: True)) == []


def test_told_to_end_it_does_so_while_lines_still_come(tmp_path: Path) -> None:
    logger = Logger(tmp_path)
    logger.line()
    lines: list[str] = []
    for line in Follow(logger.log, until=lambda: len(lines) >= 3):
        lines.append(line)
        logger.line()  # as a program that writes as fast as it is read
    assert lines == logger.written[:4]  # three, and the one that was there when it was told


def test_a_directory_told_to_end_still_gives_what_came_before(tmp_path: Path) -> None:
    def is_ended() -> bool:
        there = len(list(tmp_path.iterdir()))
        if there < 3:
            (tmp_path / f"{there}.csv").touch()
        return there == 3

    found = list(Directory(tmp_path, poll_s=0.001, until=is_ended))
    assert [path.name for path in found] == ["0.csv", "1.csv", "2.csv"]


def test_each_file_that_comes_is_given_once(tmp_path: Path) -> None:
    source = Directory(tmp_path, "*.csv", poll_s=0.001, idle_s=0.02)
    for name in ("b.csv", "a.csv", ".c.csv", "d.csv.part", "e.txt"):
        (tmp_path / name).touch()
    stream = source.open(None)

    (first, _), (second, position) = next(stream), next(stream)
    (tmp_path / "0.csv").touch()  # before those that were seen
    third, _ = next(stream)

    assert [first.name, second.name, third.name] == ["a.csv", "b.csv", "0.csv"]
    assert next(stream, None) is None
    assert [path.name for path, _ in source.open(pickle.loads(pickle.dumps(position)))] == ["0.csv"]


def test_files_that_are_moved_away_are_forgotten(tmp_path: Path) -> None:
    source = Directory(tmp_path, poll_s=0.001, idle_s=0.02)
    (tmp_path / "a").touch()
    stream = source.open(None)
    path, _ = next(stream)
    path.unlink()
    (tmp_path / "b").touch()

    assert next(stream)[1].names == ("b",)
