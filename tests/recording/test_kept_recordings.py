"""A recording that is kept on disk is read by a library whose modules have moved since."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.conform import conform, difference_in
from conveyor.errors import ScheduleMismatch
from conveyor.graph.route import Balance, Leaf, Replicate
from conveyor.graph.topology import (
    Channel,
    Kind,
    NodeSpec,
    OrderedInput,
    StageInfo,
    Topology,
    ZipInput,
)
from conveyor.pickles import HOMES, name_of, named
from conveyor.recording.frames import VERSION
from conveyor.recording.graph_data import data_of, topology_of
from conveyor.recording.kept_pipeline import KeptPipeline
from conveyor.recording.reader import Recording
from tests.helpers import ROOT

KEPT = ROOT / "tests" / "kept"

# One of everything that travels by value.
SCRIPT = """
import enum, functools, sys, threading, typing
from contextvars import ContextVar
from conveyor import BalancingFork, Filter, FlatMap, Join, Pipeline, Processor, ReplicatingFork
from conveyor import Simulation, Zip, context

Count = typing.NewType("Count", int)
T = typing.TypeVar("T")
LOCK = threading.Lock()
LOCAL = threading.local()
WORD: ContextVar[str] = ContextVar("WORD", default="word")

class Color(enum.Enum):
    RED = 1

class Once:
    def __reduce__(self):
        return "ONCE"

ONCE = Once()

@functools.lru_cache(8)
def cached(number):
    return number * 2

def looks_at(simulation: Simulation) -> bool:
    return bool(simulation)

class Total(Processor[int, int]):
    total = 0
    def process(self, item):
        with LOCK:
            self.total += item
        return self.total

def everything(item: int) -> tuple[Count, Color]:
    LOCAL.value = item
    assert context().attempt == 1 and WORD.get() == "word" and isinstance(ONCE, Once)
    return Count(cached(item)), Color.RED

def first_of(pair):
    return pair[0]

if __name__ == "__main__":
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Total(), Filter(lambda item: item is not None))
        .add(Zip(2))
        .add(FlatMap(lambda pair: [pair[1]]))
        .add(BalancingFork(2))
        .add(Processor(everything), Processor(everything))
        .add(Join(2))
        .add(Processor(first_of))
    )
    assert sorted(pl.run(range(20), record=sys.argv[1])) == list(range(0, 40, 2))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording of a script, alone in its directory."""
    directory = tmp_path_factory.mktemp("recorded")
    (directory / "script.py").write_text(SCRIPT)
    run(directory, "script.py", "run.cvd")
    return directory


def run(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_only_path_of_the_library_in_a_recording_is_that_which_never_moves(
    recorded: Path,
) -> None:
    recording = Recording.read((recorded / "run.cvd").read_bytes(), "run.cvd")
    assert recording.pipeline is not None
    kept = KeptPipeline.read(recording.pipeline)
    pickles = b"".join([*kept.stages.values(), *kept.definitions.pickled.values()])
    data = json.dumps(data_of(kept.graph)).encode() + pickles + (recorded / "run.cvd").read_bytes()
    assert {*re.findall(rb"conveyor(?:\.\w+)+", data)} == {b"conveyor.pickles"}


def test_a_recording_is_done_again_by_a_library_whose_modules_have_moved(
    recorded: Path, tmp_path: Path
) -> None:
    moved = {"items": "travelling", "graph": "network", "stages": "parts", "core": "heart"}
    shutil.copytree(
        ROOT / "conveyor", tmp_path / "conveyor", ignore=shutil.ignore_patterns("__py*")
    )
    for old, new in moved.items():
        (tmp_path / "conveyor" / old).rename(tmp_path / "conveyor" / new)
    for path in (tmp_path / "conveyor").rglob("*.py"):
        text = path.read_text()
        for old, new in moved.items():
            text = re.sub(rf"\bconveyor\.{old}\b", f"conveyor.{new}", text)
        path.write_text(text)

    assert "travelling" in run(
        tmp_path, "-c", "from conveyor import Context as c; print(c.__module__)"
    )
    shutil.copy(recorded / "run.cvd", tmp_path / "run.cvd")
    assert run(tmp_path, "-m", "conveyor", "conform", "run.cvd") == "1/1 accepted\n"


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.cvd")), ids=lambda path: path.stem)
def test_what_was_kept_by_this_version_when_it_was_new_is_done_again(path: Path) -> None:
    """Made by `python -m tests.kept`.  Should this fail, a change has made kept recordings
    unreadable: take it back, or raise the format, and make them anew."""
    assert difference_in(path) == ""


def test_there_are_kept_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(KEPT) == 0
    assert capsys.readouterr().out == "3/3 accepted\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            b"cvd1\n",
            r"run\.cvd is of another version: a Conveyor before 0\.1\.0 recorded it in the format"
            r" cvd1, "
            r"and this Conveyor, .*, reads cvd2 only\. Record the run again, or replay the file"
            r" with "
            r"the version that wrote it",
        ),
        (b"cvd9 conveyor 4.2.0\nand frames", r"Conveyor 4\.2\.0 recorded it in the format cvd9"),
        (b"cvd3", "a Conveyor before 0.1.0 recorded it in the format cvd3"),
    ],
)
def test_a_file_of_another_format_is_refused_with_the_version_that_wrote_it(
    line: bytes, says: str
) -> None:
    with pytest.raises(ScheduleMismatch, match=says):
        Recording.read(line, "run.cvd")


def test_the_version_in_a_recording_is_that_of_the_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


# ---------------------------------------------------------------------------------------- the names


@pytest.mark.parametrize("name", HOMES)
def test_every_name_in_the_table_is_that_of_what_it_stands_for(name: str) -> None:
    assert name_of(named(name)) == name


def test_a_name_of_a_later_version_is_told_as_such() -> None:
    with pytest.raises(AttributeError, match="does not know what a pickle calls 'quantum'"):
        named("quantum")


# ---------------------------------------------------------------------------------------- the graph

NUMBERS = st.integers(0, 1 << 40)
NAMES = st.text()
LEAVES: st.SearchStrategy[Any] = st.builds(Leaf, NUMBERS)


def row(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=3).map(tuple)


INPUTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(ZipInput, NAMES, row(inner))
        | st.builds(OrderedInput, NAMES, row(inner), st.booleans(), NUMBERS)
    ),
    max_leaves=6,
)
ROUTES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Replicate, NAMES, row(inner))
        | st.builds(Balance, NAMES, row(inner), st.booleans(), st.booleans())
    ),
    max_leaves=6,
)
NODES = st.builds(
    NodeSpec,
    index=st.just(0),
    kind=st.sampled_from(Kind),
    name=NAMES,
    stage=st.none(),
    inputs=row(INPUTS),
    join_name=NAMES,
    route=st.none() | ROUTES,
    depth=NUMBERS,
    stamps=st.booleans(),
    lanes=row(st.tuples(NAMES, NUMBERS)),
    parts=row(NUMBERS),
    within=st.none() | NUMBERS,
)
CHANNELS = st.builds(Channel, st.just(0), NUMBERS, NUMBERS, NUMBERS, st.booleans())
INFOS = st.builds(StageInfo, NAMES, NAMES, st.none() | NUMBERS)


def numbered(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(replace(each, index=index) for index, each in enumerate(parts))


@given(nodes=row(NODES), channels=row(CHANNELS), stages=row(INFOS))
def test_a_graph_comes_back_from_its_data_as_it_was(nodes: Any, channels: Any, stages: Any) -> None:
    topology = Topology(numbered(nodes), numbered(channels), stages)
    assert topology_of(json.loads(json.dumps(data_of(topology)))) == topology
