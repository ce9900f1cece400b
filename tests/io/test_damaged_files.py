"""What is wrong with a file is told with its name and line; nothing of it is lost in silence."""

from __future__ import annotations

import csv
import errno
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import BadRow, ConveyorError
from conveyor.io import Csv, Follow, JsonLines, Lines, Parquet, SqlTable


def by_zstandard() -> Any:
    return pytest.importorskip("zstandard", reason="zstandard is not installed")


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda data: bytes(by_zstandard().compress(data)),
}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_packed_file_that_is_cut_anywhere_gives_its_first_rows_and_then_an_error(
    suffix: str, on_error: Any, tmp_path: Path
) -> None:
    lines = [f"line {n}" for n in range(30)]
    parts = [PACKERS[suffix]("".join(f"{line}\n" for line in some).encode())
             for some in (lines[:10], lines[10:20], lines[20:])]  # fmt: skip
    whole = dict(zip(accumulate(map(len, parts)), (10, 20, 30), strict=True)) | {0: 0}
    at = tmp_path / f"a.txt{suffix}"

    for cut in range(sum(map(len, parts)) + 1):
        at.write_bytes(b"".join(parts)[:cut])
        found: list[str] = []
        error: BadRow | None = None
        try:
            found.extend(Lines(at, on_error=on_error))
        except BadRow as raised:
            error = raised

        if cut in whole:
            assert error is None
            assert found == lines[: whole[cut]]
        else:
            assert error is not None
            assert error.file == str(at)
            assert 1 <= error.line <= len(lines) + 1


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kind", [Csv, JsonLines, Lines])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_packed_file_that_is_damaged_or_not_packed_is_named(
    suffix: str, kind: Any, on_error: Any, tmp_path: Path
) -> None:
    packed = PACKERS[suffix](b"1\n2\n")
    (tmp_path / f"more{suffix}").write_bytes(packed + b"and more")
    (tmp_path / f"plain{suffix}").write_bytes(b"1\n2\n")
    if suffix == ".gz":
        (tmp_path / "checksum.gz").write_bytes(packed[:-8] + bytes(4) + packed[-4:])

    for path in tmp_path.iterdir():
        with pytest.raises(BadRow, match=rf"^{path}:\d+: the file is damaged, or not whole: "):
            list(kind(path, on_error=on_error))


class FailingDisk(io.BytesIO):
    """Gives the first bytes of a file, and fails."""

    def read(self, size: int | None = -1, /) -> bytes:
        self.fail_behind(20)
        return super().read(min(size or 0, 12))

    def readline(self, size: int | None = -1, /) -> bytes:
        self.fail_behind(2)
        return super().readline(size)

    def fail_behind(self, offset: int) -> None:
        if self.tell() > offset:
            raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("suffix", ["", *PACKERS])
@pytest.mark.parametrize("kind", [Csv, JsonLines, Lines])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_disk_that_fails_is_no_damage_of_the_file_and_no_bad_row(
    suffix: str, kind: Any, on_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PACKERS.get(suffix, bytes)(b"1\n2\n3\n4\n" * 10)

    def whole(_path: str) -> FailingDisk:
        return FailingDisk(data)

    monkeypatch.setattr("conveyor.io.reading.whole", whole)

    with pytest.raises(OSError, match="Input/output error"):
        list(kind(f"a{suffix}", on_error=on_error))


def test_a_schema_that_runs_out_of_something_does_not_end_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n2\n")

    with pytest.raises(BadRow, match=r"a.csv:2: "):
        list(Csv(tmp_path / "a.csv", RunsOut))


@dataclass
class RunsOut:
    n: int

    def __post_init__(self) -> None:
        next(iter(()))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"a,\xff\n", r"1: 'utf-8' codec can't decode byte 0xff"),
        (b'"a"b,c\n', "1: .* expected after"),
        (b'"a,b\n1,2\n', "2: unexpected end of data"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_names_of_columns_that_cannot_be_read_are_said_to_be_where_they_are(
    header: bytes, said: str, on_error: Any, tmp_path: Path
) -> None:
    at = tmp_path / "a.csv"
    at.write_bytes(header + b"1,2\n" * ("end" not in said))

    with pytest.raises(BadRow, match=f"^{at}:{said}") as raised:
        list(Csv(at, on_error=on_error))
    assert (raised.value.file, raised.value.line) == (str(at), int(said[0]))


@pytest.mark.parametrize("names", ["a,b", '"a","b"', '"a",b'])
def test_a_byte_order_mark_is_no_part_of_a_name(names: str, tmp_path: Path) -> None:
    at = tmp_path / "a.csv"
    at.write_text(f"{names}\n1,2\n3,4\n", encoding="utf-8-sig")

    rows = list(Csv(at).open(None))

    assert [row for row, _ in rows] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert [row for row, _ in Csv(at).open(rows[0][1])] == [{"a": "3", "b": "4"}]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_is_shorter_than_what_was_read_of_it_is_not_the_same(
    suffix: str, tmp_path: Path
) -> None:
    at = tmp_path / f"a.txt{suffix}"
    pack = PACKERS.get(suffix, bytes)
    at.write_bytes(pack(b"1\n2\n3\n"))
    (*_, (_, position)) = Lines(at).open(None)
    assert list(Lines(at).open(position)) == []

    at.write_bytes(pack(b"1\n2\n"))
    with pytest.raises(ConveyorError, match=f"{at} was read up to line 3, byte 6, and ends before"):
        list(Lines(at).open(position))


def sunk(make: Callable[[], Any], *epochs: list[Any]) -> Any:
    """Each epoch is of a program of its own; gives what reads it."""
    for number, items in enumerate(epochs):
        sink = make()
        sink.open(number)
        sink.write(items)
        sink.prepare(number)
        sink.commit(number)
    return make()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_whose_name_does_not_say_how_it_is_packed_is_read_as_it_was_written(
    compression: Any, suffix: str, tmp_path: Path
) -> None:
    if compression == "zstd":
        by_zstandard()

    def table() -> Csv:
        return Csv(tmp_path / f"a{suffix}", compression=compression)

    def lines() -> Lines:
        return Lines(tmp_path / f"b{suffix}", compression=compression)

    assert list(sunk(table, [{"a": 1}], [{"a": 2}])) == [{"a": "1"}, {"a": "2"}]
    assert list(sunk(lines, ["1"], ["2"])) == ["1", "2"]


FIELDS = st.text(st.sampled_from('ab,"\r\n ;')) | st.integers() | st.none()


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=5))
def test_what_is_written_as_csv_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, Any]]
) -> None:
    at = tmp_path_factory.mktemp("csv") / "a.csv"
    items = [{"one": one, "other": other} for one, other in rows]
    expected = [
        {name: "" if value is None else str(value) for name, value in item.items()}
        for item in items
    ]

    assert list(sunk(lambda: Csv(at), items)) == expected
    with at.open(newline="") as file:
        assert list(csv.DictReader(file, strict=True)) == expected


def test_what_is_no_file_of_parquet_is_named(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    at, damaged = tmp_path / "a.parquet", tmp_path / "b.parquet"
    import_module("pyarrow.parquet").write_table(
        arrow.table({"a": [f"row {n}" for n in range(5000)]}), at, row_group_size=2500
    )
    data = bytearray(at.read_bytes())
    for cut in (b"", data[:-10], b"a,b\n1,2\n3,4\n5,6\n7,8\n"):
        damaged.write_bytes(cut)
        with pytest.raises(BadRow, match=f"^{damaged}:1: the file is damaged, or not whole: "):
            list(Parquet(damaged, on_error="skip"))

    second = import_module("pyarrow.parquet").ParquetFile(at).metadata.row_group(1).column(0)
    start = second.dictionary_page_offset or second.data_page_offset
    data[start : start + 40] = b"\xff" * 40
    damaged.write_bytes(data)
    found: list[Any] = []
    with pytest.raises(BadRow, match=f"^{damaged}:2501: the file is damaged, or not whole: "):
        found.extend(Parquet(damaged))


def test_an_error_of_a_database_says_which_it_is_of(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    url = f"sqlite:///{tmp_path}/a.db"

    with pytest.raises(Exception, match="no such table: t") as raised:
        list(SqlTable(url, "t", key="n"))
    assert raised.value.__notes__ == [f"It is of {url}."]


def test_what_cannot_be_packed_or_told_apart_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match='compression is "gzip" or "zstd", not'):
        Lines("a", compression="bz2")  # type: ignore[arg-type]  # a mistake  # pyright: ignore
    with pytest.raises(ValueError, match="lines of utf-16 do not end in the byte 10"):
        Follow("a", encoding="utf-16")
