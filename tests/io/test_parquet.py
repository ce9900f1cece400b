"""Parquet files as pyarrow itself reads and writes them."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import BadRow, ConveyorError
from conveyor.io import Parquet
from conveyor.io.parquet import ParquetPosition
from tests.helpers import PROVE
from tests.io.crashes import drive, killed_and_resumed

pyarrow: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet: Any = pytest.importorskip("pyarrow.parquet")

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


class Row(NamedTuple):
    n: int
    name: str | None


def row(n: int) -> Row:
    return Row(n, None if n % 3 else f"name {n}")


def test_rows_come_in_order_from_any_position(tmp_path: Path) -> None:
    rows = [row(n) for n in range(40)]
    for name, part in (("b", rows[25:]), ("a", rows[:25])):
        table = pyarrow.Table.from_pylist([each._asdict() for each in part])
        parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7)
    source = Parquet(tmp_path / "*.parquet", Row)

    pairs = list(source.open(None))

    assert [each for each, _ in pairs] == rows
    positions: list[ParquetPosition] = [
        pickle.loads(pickle.dumps(position)) for _, position in pairs
    ]
    assert positions == sorted(positions)
    for read, position in enumerate(positions, 1):
        assert [each for each, _ in source.open(position)] == rows[read:]


def test_a_row_that_does_not_fit_says_which(tmp_path: Path) -> None:
    rows = [{"n": n, "name": 5 if n == 3 else None} for n in range(5)]
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)

    with pytest.raises(BadRow, match=f"^{path}:4: field 'name': 5 is no"):
        list(Parquet(path, Row))
    assert [each.n for each in Parquet(path, Row, on_error="skip")] == [0, 1, 2, 4]


def test_a_run_writes_one_file_that_pyarrow_reads(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    pl = Pipeline[int](start_method="fork").add(Processor(row))
    pl.drain(range(3000), into=Parquet(out))

    assert parquet.read_table(out).to_pylist() == [row(n)._asdict() for n in range(3000)]
    with pytest.raises(ZeroDivisionError):
        Pipeline[int](start_method="fork").add(Processor(lambda n: {"n": 1 // n})).drain(
            range(5, -1, -1), into=Parquet(out)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert parquet.read_table(out).num_rows == 3000


def test_one_file_cannot_be_appended_to(tmp_path: Path) -> None:
    sink = Parquet(tmp_path / "out.parquet")
    with pytest.raises(ConveyorError, match=r"cannot be appended to.*per_epoch=True"):
        sink.open(1)


def test_a_row_with_other_columns_is_refused(tmp_path: Path) -> None:
    sink = Parquet(tmp_path / "out.parquet")
    sink.open(0)
    sink.write([{"n": 1}, {"m": 2}])

    with pytest.raises(ValueError, match="a row has the columns m, and the file n"):
        sink.prepare(0)
    sink.abort()


EPOCHS = [[[row(0), row(1)], [row(2)]], [[row(3)]], [], [[row(n) for n in range(4, 50)]]]


def test_the_death_before_any_step_leaves_the_rows_of_an_undisturbed_run(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    make = partial(Parquet, tmp_path / "out", per_epoch=True)
    steps = drive(make, EPOCHS, tmp_path / "first", None)
    assert steps > 20

    for dies_at in range(0, steps, 1 if PROVE else 9):
        killed_and_resumed(make, EPOCHS, tmp_path / str(dies_at), [dies_at, dies_at // 2])
        assert [*Parquet(f"{tmp_path}/out/*", Row)] == [row(n) for n in range(50)], dies_at
        assert len(list((tmp_path / "out").iterdir())) == 3
