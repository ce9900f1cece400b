"""A file sink that is killed before any of its steps, and resumed, holds what an undisturbed one
holds."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import Sink
from conveyor.io import Csv, JsonLines, Lines
from conveyor.transfer.contract import Undoable
from tests.helpers import PROVE
from tests.io.crashes import drive, killed_and_resumed

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]

EPOCHS = [[["a", "b"], ["c"]], [["d"]], [], [["e" * 20_000], ["f"]], [["g"]]]
ALL = [line for epoch in EPOCHS for items in epoch for line in items]


def rows(lines: list[str]) -> list[dict[str, str]]:
    return [{"name": line, "size": str(len(line))} for line in lines]


def as_rows() -> list[Any]:
    return [[rows(items) for items in epoch] for epoch in EPOCHS]


CASES: dict[str, tuple[Callable[[Path], Any], list[Any], list[Any]]] = {
    "lines": (lambda at: Lines(at / "out.txt"), EPOCHS, ALL),
    "gzip": (lambda at: Lines(at / "out.txt.gz"), EPOCHS, ALL),
    "zstd": (lambda at: Lines(at / "out.txt.zst"), EPOCHS, ALL),
    "json": (lambda at: JsonLines(at / "out.jsonl"), EPOCHS, ALL),
    "csv": (lambda at: Csv(at / "out.csv"), as_rows(), rows(ALL)),
    "a csv file an epoch": (lambda at: Csv(at / "out", per_epoch=True), as_rows(), rows(ALL)),
    "a file an epoch": (
        lambda at: JsonLines(at / "out", per_epoch=True, compression="gzip"),
        EPOCHS,
        ALL,
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Callable[[Path], Any], list[Any], list[Any]]:
    if request.param == "zstd":
        pytest.importorskip("zstandard", reason="zstandard is not installed")
    return CASES[request.param]


def found(sink: Any, at: Path) -> list[Any]:
    """What is in the files that a sink has written, as its own kind of source reads them."""
    if sink.per_epoch:
        return [*type(sink)(f"{at}/out/[!.]*")]
    return [*sink]


def test_the_death_before_any_step_leaves_the_results_of_an_undisturbed_run(
    case: tuple[Callable[[Path], Any], list[Any], list[Any]], tmp_path: Path
) -> None:
    make, epochs, expected = case
    first = tmp_path / "undisturbed"
    (first / "manifest").mkdir(parents=True)
    steps = drive(partial(make, first), epochs, first / "manifest", None)
    assert steps > 25

    for dies_at in range(0, steps, 1 if PROVE else 7):
        at = tmp_path / str(dies_at)
        at.mkdir()
        deaths = [dies_at, dies_at // 2]
        killed_and_resumed(partial(make, at), epochs, at / "manifest", deaths)
        assert found(make(at), at) == expected, dies_at
        assert not [name for name in os.listdir(at) if name.endswith((".part", ".new"))]


def test_a_file_that_is_replaced_is_there_as_it_was_until_the_first_epoch_is_whole(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.txt"
    out.write_text("before\n")
    sink: Sink[str] = Lines(out)

    sink.open(0)
    sink.write(["after"])
    assert out.read_text() == "before\n"
    sink.prepare(0)
    assert out.read_text() == "before\n"
    sink.commit(0)
    assert out.read_text() == "after\n"


def test_a_run_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("before\n")
    sink = Lines(out)

    sink.open(0)
    sink.write(["after"])
    sink.abort()

    assert out.read_text() == "before\n"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("a secret\n")
    out.chmod(0o600)
    sink = Lines(out)

    sink.open(0)
    sink.write(["another"])
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    sink.prepare(0)
    sink.commit(0)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_what_is_no_file_is_refused_before_the_run_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    link = tmp_path / "link"
    link.symlink_to(pipe)

    for sink in (Lines(pipe), Lines(link), Csv("/dev/null")):
        with pytest.raises(OSError, match="is no file: results go into a new file, which would"):
            sink.open(0)
    with pytest.raises(IsADirectoryError, match="per_epoch=True writes a file an epoch into one"):
        Lines(folder).open(0)
    assert pipe.is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


def test_a_later_epoch_that_fails_is_cut_off(tmp_path: Path) -> None:
    sink = Lines(tmp_path / "out.txt.gz")
    for epoch in range(2):
        if not epoch:
            sink.open(0)
        sink.write([f"epoch {epoch}"])
        sink.prepare(epoch)
        sink.commit(epoch)
    sink.write(["lost"])
    sink.abort()

    assert gzip.decompress((tmp_path / "out.txt.gz").read_bytes()) == b"epoch 0\nepoch 1\n"


def test_files_of_later_epochs_go_when_an_earlier_one_begins_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sink = JsonLines(out, per_epoch=True)
    sink.open(0)
    for epoch in range(4):
        sink.write([epoch])
        sink.prepare(epoch)
        if epoch < 3:
            sink.commit(epoch)
    (out / "notes.txt").touch()  # which is no epoch's

    JsonLines(out, per_epoch=True).open(2)
    assert sorted(os.listdir(out)) == [
        "epoch-00000000.jsonl",
        "epoch-00000001.jsonl",
        "notes.txt",
    ]
    assert isinstance(sink, Undoable)
    sink.discard()
    assert os.listdir(out) == ["notes.txt"]


def test_a_plain_run_leaves_one_file(tmp_path: Path) -> None:
    sink = Lines(tmp_path / "out.txt")
    sink.open(0)
    sink.prepare(0)
    sink.commit(0)

    assert os.listdir(tmp_path) == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == ""


def test_a_file_that_someone_else_has_cut_is_refused(tmp_path: Path) -> None:
    sink = Lines(tmp_path / "out.txt")
    sink.open(0)
    for epoch in range(2):
        sink.write(["a line"])
        sink.prepare(epoch)
        sink.commit(epoch)
    (tmp_path / "out.txt").write_text("a")

    with pytest.raises(Exception, match="is not as the checkpoint left it: it has 1 bytes"):
        Lines(tmp_path / "out.txt").open(2)
