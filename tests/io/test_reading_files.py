"""Files give what the standard library reads in them, from the beginning and from any position."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Pipeline, Processor
from conveyor.errors import BadRow
from conveyor.io import Csv, JsonLines, Lines

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=8)


class Named(TypedDict):
    name: str
    size: NotRequired[int | None]


@dataclass
class Typed:
    name: str
    day: date
    sizes: list[float]
    is_new: bool = False


class Pair(NamedTuple):
    name: str
    size: int = 0


@dataclass
class Nested:
    best: Pair
    others: dict[str, list[Pair]]
    place: tuple[int, str, Pair | None]
    sizes: tuple[float, ...] = ()


def resumed_anywhere(source: Any, expected: list[Any]) -> None:
    """The source gives what is expected, from each position the rest; positions are in order."""
    pairs = list(source.open(None))
    assert [item for item, _ in pairs] == expected
    positions = [pickle.loads(pickle.dumps(position)) for _, position in pairs]
    assert positions == sorted(positions)
    for read, position in enumerate(positions, 1):
        assert [item for item, _ in source.open(position)] == expected[read:]


def write(at: Path, data: bytes) -> None:
    match at.suffix:
        case ".gz":
            at.write_bytes(gzip.compress(data))
        case ".zst":
            at.write_bytes(pytest.importorskip("zstandard").compress(data))
        case _:
            at.write_bytes(data)


@given(st.lists(TEXTS, max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_lines_are_read_from_any_position(
    folder: Callable[[], Path], lines: list[str], end: str, ends: bool
) -> None:
    at = folder() / "a.txt"
    text = end.join(lines) + (end if ends or lines[-1:] == [""] else "") * bool(lines)
    at.write_bytes(text.encode())

    with at.open(encoding="utf-8-sig") as read:
        resumed_anywhere(Lines(at), [line.removesuffix("\n") for line in read])


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("\ufefftea\n\ufeffjam\n", encoding="utf-8")

    resumed_anywhere(Lines(tmp_path / "*.txt"), ["tea", "\ufeffjam"] * 2)
    assert next(iter(Lines(tmp_path / "a.txt", encoding="latin-1"))) == "\xef\xbb\xbftea"


@pytest.mark.parametrize("kind", [Lines, JsonLines, Csv])
def test_a_file_of_a_byte_order_mark_alone_is_empty(
    tmp_path: Path, kind: Callable[..., Any]
) -> None:
    (tmp_path / "a").write_text("\ufeff", encoding="utf-8")

    assert [*kind(tmp_path / "a")] == []


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("files")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_many_files_are_read_in_the_order_of_their_names(tmp_path: Path, suffix: str) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path / f"{name}.txt{suffix}", f"{name}1\n{name}2\n".encode())
    (tmp_path / "other").write_text("x\n")

    resumed_anywhere(Lines(tmp_path / f"*.txt{suffix}"), "a1 a2 b1 b2 c1 c2".split())
    assert [*Lines([tmp_path / "other", tmp_path / f"a.txt{suffix}"])] == ["a1", "a2", "x"]


def test_packed_files_that_were_written_in_several_goes_are_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert [*Lines(tmp_path / "a.gz")] == ["a", "b"]

    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "a.zst").write_bytes(zstandard.compress(b"a\n") + zstandard.compress(b"b\n"))
    assert [*Lines(tmp_path / "a.zst")] == ["a", "b"]


NUMBERS = st.integers() | st.floats(allow_nan=True)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON, max_size=4))
def test_json_is_read_as_the_standard_library_reads_it(
    folder: Callable[[], Path], values: list[Any]
) -> None:
    at = folder() / "a.jsonl"
    texts = [json.dumps(value) for value in values]
    at.write_text("".join(f"{text}\n\n" for text in texts))

    read = [*JsonLines(at)]

    assert repr(read) == repr([json.loads(text) for text in texts])


@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3) | TEXTS, max_size=4))
def test_what_is_written_as_json_is_read_again(
    folder: Callable[[], Path], values: list[Any]
) -> None:
    resumed_anywhere(written(JsonLines(folder() / "a.jsonl"), values), values)


def written(sink: Any, items: Sequence[Any]) -> Any:
    sink.open(0)
    sink.write(items)
    sink.prepare(0)
    sink.commit(0)
    return sink


def test_rows_that_are_written_as_json_are_read_again_by_their_schema(tmp_path: Path) -> None:
    pairs = [Pair("a", 1), Pair("", 0)]
    assert [*written(JsonLines(tmp_path / "a", Pair), pairs)] == pairs
    assert (tmp_path / "a").read_text().splitlines()[0] == '{"name":"a","size":1}'

    nested = [
        Nested(pairs[0], {"x": pairs, "y": []}, (3, "z", None), (1.5,)),
        Nested(pairs[1], {}, (4, "", pairs[0])),
    ]
    assert [*written(JsonLines(tmp_path / "b", Nested), nested)] == nested


def test_a_list_of_another_length_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('["a", 1, 2]\n')
    with pytest.raises(BadRow, match=r"a:1: \['a', 1, 2\] is no Pair"):
        list(JsonLines(tmp_path / "a", Pair))
    (tmp_path / "b").write_text('{"best": ["a"], "others": {}, "place": [1, "a"]}\n')
    with pytest.raises(BadRow, match=r"field 'best': \['a'\] is no Pair"):
        list(JsonLines(tmp_path / "b", Nested))
    (tmp_path / "c").write_text('{"best": ["a", 1], "others": {}, "place": [1, "a"]}\n')
    with pytest.raises(BadRow, match=r"field 'place': \[1, 'a'\] is no list of 3"):
        list(JsonLines(tmp_path / "c", Nested))


def test_what_json_cannot_hold_is_named(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "a")
    sink.open(0)
    with pytest.raises(ValueError, match=r"JSON cannot hold \{'x': nan\}: "):
        sink.write([{"x": 1.0}, {"x": float("nan")}])
    sink.abort()


ANY_FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(ANY_FIELDS, st.integers()), max_size=5))
def test_what_is_written_as_csv_is_read_again(
    folder: Callable[[], Path], rows: list[tuple[str, int]]
) -> None:
    pairs = [Pair(*row) for row in rows]

    resumed_anywhere(written(Csv(folder() / "a.csv", Pair), pairs), pairs)


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=5)


@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=5))
def test_csv_is_read_as_the_standard_library_reads_it(
    folder: Callable[[], Path], rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("a", "b,"), *rows])
    at = folder() / "a.csv"
    at.write_text(text.getvalue(), newline="")
    expected = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))

    resumed_anywhere(Csv(at), expected)


def test_rows_are_made_into_what_the_schema_says(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b'{"name": "a", "size": 3}\n{"name": "b", "more": 1}\n')
    assert [*JsonLines(tmp_path / "a.jsonl", Named)] == [{"name": "a", "size": 3}, {"name": "b"}]

    row = b'{"name": "a", "day": "2026-02-01", "sizes": [1, 2.5]}'
    write(tmp_path / "b.jsonl", row)
    assert [*JsonLines(tmp_path / "b.jsonl", Typed)] == [Typed("a", date(2026, 2, 1), [1.0, 2.5])]

    write(tmp_path / "a.csv", b"size,name\n3,a\n")
    assert [*Csv(tmp_path / "a.csv", Pair)] == [Pair("a", 3)]
    assert [*Csv(tmp_path / "a.csv", Named)] == [{"name": "a", "size": 3}]


def test_structs_of_msgspec_are_rows_too(tmp_path: Path) -> None:
    msgspec = pytest.importorskip("msgspec", reason="msgspec is not installed")
    Price = msgspec.defstruct("Price", [("name", str), ("euros", float)])
    write(tmp_path / "a.csv", b"name,euros\ntea,3.5\n")
    out = JsonLines(tmp_path / "b.jsonl", Price)

    out.open(0)
    out.write([*Csv(tmp_path / "a.csv", Price)])
    out.prepare(0)
    out.commit(0)

    assert [*out] == [Price("tea", 3.5)]


def pairs_of_json(at: Path) -> JsonLines[Pair]:
    return JsonLines(at, Pair)


def pairs_of_csv(at: Path) -> Csv[Pair]:
    return Csv(at, Pair)


BAD: list[tuple[Callable[[Path], Any], str, str]] = [
    (JsonLines, "1\n{oops\n3\n", "2: Expecting property name"),
    (JsonLines, '1\n"\xff"\n3\n', "2: 'utf-8' codec can't decode byte 0xff"),
    (pairs_of_json, '{"name": "a"}\n{"size": 3}\n', "2: field 'name' is miss"),
    (pairs_of_json, '{"name": "a"}\n[1]\n', r"2: \[1\] is no Pair"),
    (Csv, 'a,b\n1,"2\n3"\n4\n5,6\n', "4: the row has 1 fields, and the first line 2"),
    (pairs_of_csv, "name,size\na,1\nb,x\n", "3: field 'size': 'x' is no int"),
    (Csv, "a,b,a\n1,2,3\n", "1: the first line names the column 'a' twice"),
    (Lines, "a\n\xff\n", "2: 'utf-8' codec can't decode"),
]


@pytest.mark.parametrize(("source", "text", "said"), BAD)
def test_a_bad_row_says_where_it_is(
    source: Callable[[Path], Any], text: str, said: str, tmp_path: Path
) -> None:
    at = tmp_path / "rows"
    at.write_bytes(text.encode("latin-1"))

    with pytest.raises(BadRow, match=f"^{at}:{said}") as raised:
        list(source(at))

    assert (raised.value.file, raised.value.line) == (str(at), int(said.partition(":")[0]))
    assert raised.value.__cause__ is not None


def test_bad_rows_can_be_left_out_and_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.jsonl", b'{"name": "a"}\n{}\noops\n{"name": "b"}\n')

    resumed_anywhere(JsonLines(tmp_path / "a.jsonl", Pair, on_error="skip"), [Pair("a"), Pair("b")])

    said = [record.getMessage().split(": ")[1] for record in caplog.records[:2]]
    assert said == [f"{tmp_path}/a.jsonl:2", f"{tmp_path}/a.jsonl:3"]


def test_a_row_that_is_no_text_is_left_out_and_not_those_behind_it(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", b"a,b\n1,2\n\xff,3\n4,5\n")
    expected = [{"a": "1", "b": "2"}, {"a": "4", "b": "5"}]

    resumed_anywhere(Csv(tmp_path / "a.csv", on_error="skip"), expected)
    with pytest.raises(BadRow, match=f"^{tmp_path}/a.csv:3: 'utf-8' codec can't decode"):
        list(Csv(tmp_path / "a.csv"))


def test_what_is_wrong_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file matches '.*/\*.txt'"):
        Lines(tmp_path / "*.txt").open(None)
    with pytest.raises(ValueError, match="lines of utf-16 do not end in the byte 10"):
        Lines("a", encoding="utf-16")
    with pytest.raises(ValueError, match='on_error of a source is "raise" or "skip"'):
        Lines("a", on_error="dead_letter")  # type: ignore[arg-type]  # a mistake  # pyright: ignore
    with pytest.raises(TypeError, match="a schema is a TypedDict"):
        JsonLines("a", int)
    for path in (None, 5, b"a", [b"a"], ["a", None]):
        with pytest.raises(TypeError, match="a path is a str or a Path, "):
            Lines(path)  # type: ignore[arg-type]  # a mistake  # pyright: ignore
    for empty in ("", ["a", ""]):
        with pytest.raises(ValueError, match="a path is empty"):
            Lines(empty)
    with pytest.raises(ValueError, match="results go into one file, not into"):
        Lines(["a", "b"]).open(0)


def test_a_file_that_is_gone_when_the_run_goes_on_is_named(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("1\n2\n")
    source = Lines(tmp_path / "?")
    position = next(source.open(None))[1]
    (tmp_path / "a").unlink()

    with pytest.raises(FileNotFoundError, match="/a was read up to line 1, and is not there any"):
        source.open(position)


def test_a_pipe_is_read_from_its_beginning(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=("one\ntwo\n",), daemon=True)
    writer.start()

    assert [*Lines(pipe)] == ["one", "two"]
    writer.join(30)


@pytest.mark.processes
def test_a_run_goes_from_files_into_a_file(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.jsonl.gz", b'{"name": "%s", "size": 3}\n' % name.encode() * 100)

    def larger(row: Pair) -> Pair | None:
        return row._replace(size=row.size + 1) if row.name == "b" else None

    pl = Pipeline[Pair](start_method="fork").add(Processor(larger))
    report = pl.drain(JsonLines(tmp_path / "*.gz", Pair), into=Csv(tmp_path / "out.csv"))

    assert report.stages["larger"].dropped == 100
    assert (tmp_path / "out.csv").read_text() == "name,size\n" + "b,4\n" * 100


def test_remote_files_are_read_and_written_by_their_urls() -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    for number in range(2):
        sink = Lines(f"memory://conveyor/in/{number}.txt.gz")
        sink.open(0)
        sink.write([f"{number} a", f"{number} b"])
        sink.prepare(0)
        sink.commit(0)

    resumed_anywhere(Lines("memory://conveyor/in/*.gz"), ["0 a", "0 b", "1 a", "1 b"])
    with pytest.raises(Exception, match=r"cannot be appended to.*per_epoch=True"):
        Lines("memory://conveyor/in/0.txt.gz").open(1)

    many = Lines("memory://conveyor/out", per_epoch=True)
    many.open(0)
    for epoch in range(2):
        many.write([f"{epoch}"])
        many.prepare(epoch)
        many.commit(epoch)
    many.write(["lost"])
    many = Lines("memory://conveyor/out", per_epoch=True)
    many.open(1)
    assert [*Lines("memory://conveyor/out/*.txt")] == ["0"]
