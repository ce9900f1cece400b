"""The command line: what each command reads, writes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conveyor import Checkpoint, Pipeline, Processor
from conveyor.cli.doctor import start_method
from conveyor.cli.main import COMMANDS, main
from conveyor.io import Lines
from tests.helpers import ROOT
from tests.trace_format import TraceFile

HANGS_S = 60

JOBS = """
from itertools import count

from conveyor import Batch, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork

def shout(line: str) -> str:
    return line.upper()

def both() -> Pipeline:
    return (Pipeline[str]().add(ReplicatingFork(2, name="both"))
        .add(Processor(shout), Pipe()).add(Join(2, name="merge")))

loud = Pipeline[str]().add(Processor(shout))
numbers = Pipeline[str]().add(Processor(int, name="to int"))
ages = Pipeline[dict]().add(Processor(lambda row: int(row["age"]), name="age"))
open_lanes = Pipeline[str]().add(ReplicatingFork(2))
untyped = Pipeline().add(Batch(2)).add(Processor(lambda lines: lines[0])).add(Processor(shout))
endless = Pipeline[str]().add(FlatMap(lambda line: count(), name="endless"))

def in_order(simulation) -> None:
    assert simulation == sorted(simulation)

def breaks() -> Pipeline:
    raise OSError("no such disk")
"""

REFUSED = """
from conveyor import Pipeline, Processor
def length(line: str) -> int:
    return len(line)
pl = Pipeline[str]().add(Processor(length)).add(Processor(length, name="again"))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules of pipelines, which are forgotten afterwards."""
    (tmp_path / "cli_jobs.py").write_text(JOBS)
    (tmp_path / "cli_exits.py").write_text("raise SystemExit(4)")
    (tmp_path / "cli_refused.py").write_text(REFUSED)
    (tmp_path / "lines.txt").write_text("a\nb\n")
    (tmp_path / "people.csv").write_text("name,age\nann,7\nbob,9\n")
    (tmp_path / "people.jsonl").write_text('{"age": 1}\n\n{"age": 2}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("cli_jobs", "cli_refused"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def started(here: Path, *words: str, stdin: int | None = None) -> subprocess.Popen[str]:
    """The command as a shell would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "conveyor", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(here: Path, *words: str) -> tuple[int, str, str]:
    process = started(here, *words)
    out, err = process.communicate(timeout=HANGS_S)
    return process.returncode, out, err


@pytest.mark.processes
def test_run_is_a_filter_of_lines(here: Path) -> None:
    process = started(here, "run", "cli_jobs:loud", stdin=subprocess.PIPE)

    assert process.communicate("a\nb", timeout=HANGS_S) == ("A\nB\n", "")
    assert process.returncode == 0


@pytest.mark.processes
@pytest.mark.parametrize(
    "words",
    [
        ("--input", "csv", "cli_jobs:ages", "people.csv"),
        ("cli_jobs:ages", "people.csv", "--csv"),
        ("cli_jobs:ages", "--csv", "people.csv", "--json"),
    ],
)
def test_run_reads_files_and_its_options_stand_anywhere(here: Path, words: tuple[str, ...]) -> None:
    assert done(here, "run", *words) == (0, "7\n9\n", "")


@pytest.mark.processes
def test_run_says_how_far_it_has_come(here: Path) -> None:
    code, out, err = done(here, "run", "--progress", "cli_jobs:loud", "lines.txt")

    assert (code, out) == (0, "A\nB\n")
    *_, last = err.splitlines()  # and what there was after each second, on a busy machine
    assert last.startswith("conveyor: 2 done; ")


@pytest.mark.processes
def test_run_reads_documents_of_json(here: Path) -> None:
    assert done(here, "run", "cli_jobs:ages", "people.jsonl", "--input", "json")[1] == "1\n2\n"


@pytest.mark.processes
def test_a_job_that_fails_is_told_with_its_stage_and_item(here: Path) -> None:
    code, out, err = done(here, "run", "cli_jobs:numbers", "lines.txt")

    assert (code, out) == (1, "")
    assert err.startswith("ValueError: invalid literal")
    assert "in stage 'to int'" in err
    assert "item 0: 'a'" in err
    assert "Traceback" not in err


@pytest.mark.processes
def test_a_reader_that_goes_away_ends_the_run_without_a_word(here: Path) -> None:
    process = started(here, "run", "cli_jobs:endless", "lines.txt")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None

    assert process.communicate(timeout=HANGS_S)[1] == ""
    assert process.returncode == 141


@pytest.mark.processes
def test_ctrl_c_ends_a_run_without_a_word(here: Path) -> None:
    process = started(here, "run", "cli_jobs:loud", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("a\n")
    process.stdin.flush()
    assert process.stdout.readline() == "A\n"  # a result is written as soon as it is there
    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=HANGS_S)[1] == ""
    assert process.returncode == 130


@pytest.mark.processes
def test_a_run_can_be_recorded_traced_and_conforms(here: Path) -> None:
    assert done(here, "run", "cli_jobs:both", "lines.txt", "--record", "run.cvd")[0] == 0

    assert done(here, "conform", ".")[:2] == (0, "1/1 accepted\n")
    verdict = json.loads(done(here, "conform", "--json", "run.cvd")[1])
    assert verdict == {"path": "run.cvd", "difference": ""}
    assert "shout   run" in done(here, "trace", "run.cvd")[1]
    events = [json.loads(line) for line in done(here, "trace", "run.cvd", "--json")[1].splitlines()]
    assert {event["worker"] for event in events} == {"source", "shout", "merge", "sink"}
    assert done(here, "trace", "run.cvd", "-o", "run.html")[0] == 0
    assert (here / "run.html").read_text().startswith("<!")


@pytest.mark.processes
@pytest.mark.parametrize("command", ["trace", "conform"])
def test_modules_of_a_recording_are_found_in_the_working_directory(
    here: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_a_new_process(words: list[str]) -> int:
        """As by the script `conveyor`, which does not look where it is called."""
        monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
        monkeypatch.delitem(sys.modules, "cli_jobs", raising=False)
        return main(words)

    assert main(["run", "cli_jobs:both", "lines.txt", "--record", "run.cvd"]) == 0
    assert in_a_new_process([command, "run.cvd"]) == 0
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert in_a_new_process([command, "../run.cvd"]) == (3 if command == "trace" else 1)
    told = capsys.readouterr()
    assert "cannot be loaded" in told.out + told.err
    assert "No module named 'cli_jobs'" in told.out + told.err


def test_simulate_says_its_schedule_and_replay_takes_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "cli_jobs:both", "lines.txt", "--seed", "5"]) == 0
    simulated = capsys.readouterr()
    schedule = simulated.err.removeprefix("schedule: ").strip()

    assert main(["replay", "cli_jobs:both", "--schedule", schedule, "lines.txt"]) == 0
    assert capsys.readouterr().out == simulated.out


def test_explore_finds_what_a_check_refuses(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cli_jobs:both", "lines.txt", "--check", "cli_jobs:in_order"]
    assert main(["explore", *words]) == 1
    assert "replay: pl.replay(items, 'cv1:" in capsys.readouterr().out

    assert main(["explore", *words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failure"]["schedule"].startswith("cv1:")

    assert main(["explore", "cli_jobs:both", "lines.txt", "--strategy", "exhaustive"]) == 0
    assert "6 classes, 6 outputs, complete" in capsys.readouterr().out


def test_count_says_how_many_schedules_there_are(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["count", "cli_jobs:both", "lines.txt"]) == 0
    assert capsys.readouterr().out == "6\n"


def test_draw_writes_the_language_of_the_files_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", "cli_jobs:both"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")
    for name in ("a.svg", "a.mmd", "a.dot"):
        assert main(["draw", "cli_jobs:both", "-o", name]) == 0

    assert ElementTree.parse(here / "a.svg").getroot().tag.endswith("svg")
    assert (here / "a.dot").read_text().startswith("digraph")
    assert main(["draw", "cli_jobs:both", "-o", "a.png"]) == 2
    assert ".svg, .mmd, .dot" in capsys.readouterr().err


def test_check_prints_the_graph_or_what_add_refuses(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "cli_jobs:both"]) == 0
    printed = capsys.readouterr().out
    assert "3 channels: it can be run" in printed
    assert "\nshout: str -> str\n" in printed
    assert main(["check", "cli_jobs:both", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in told["stages"]] == ["both", "shout", "pipe", "merge"]
    assert told["types"] == [{"name": "shout", "takes": "str", "gives": "str"}]

    assert main(["check", "cli_jobs:untyped"]) == 0
    printed = capsys.readouterr().out
    assert "\nbatch: Any -> list[Any]\nlambda: list[Any] -> Any\nshout: str -> str\n" in printed
    assert main(["check", "cli_refused:pl"]) == 1
    assert "takes str, but the lane carries int" in capsys.readouterr().err
    assert main(["check", "cli_jobs:open_lanes"]) == 1
    assert "lanes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cli_jobs", "write module:name"),
        ("cli_nowhere:pl", "No module named 'cli_nowhere'"),
        ("cli_jobs:nothing", "has no attribute 'nothing'"),
        ("cli_jobs:JOBS", "has no attribute 'JOBS'"),
        ("cli_jobs:shout", "could not make its pipeline: TypeError"),
        ("cli_jobs:breaks", "could not make its pipeline: OSError: no such disk"),
        ("cli_exits:pl", "cannot be loaded: SystemExit: 4"),
        ("cli_jobs.py:loud", "with dots and without .py"),
        ("./cli_jobs:loud", "a module is named as `import` names it"),
        ("json:__name__", "neither a pipeline nor a function"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_the_reason(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    assert main(["draw", name]) == 3
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("command", ["simulate", "explore", "count"])
def test_what_cannot_be_loaded_is_told_before_any_item_is_waited_for(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "cli_nowhere:pl", "nowhere.txt"]) == 3
    assert "nowhere.txt" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["count"],
        ["simulate", "--seed", "x", "a:b"],
        ["explore", "a:b", "--schedules", "0"],
        ["explore", "a:b", "--seconds", "nan"],
    ],
)
def test_a_wrong_call_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "usage: conveyor" in capsys.readouterr().err


def test_an_unknown_command_and_a_file_that_is_not_there_end_with_2(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fly"]) == 2
    assert "there is no command 'fly'" in capsys.readouterr().err
    assert main(["count", "cli_jobs:both", "nowhere.txt"]) == 2
    assert "nowhere.txt: No such file" in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_a_wrong_call(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", "cli_jobs:loud", "-o", "nowhere/x.svg"]) == 2
    assert "nowhere/x.svg: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("stream", "name"), [("stdin", "input"), ("stdout", "output")])
def test_a_standard_stream_that_is_closed_is_named(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stream: str,
    name: str,
) -> None:
    with monkeypatch.context() as closed:
        closed.setattr(sys, stream, None)
        assert main(["count", "cli_jobs:both"]) == 2
    assert f"standard {name} is closed" in capsys.readouterr().err


def test_a_file_of_other_bytes_than_text_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "picture.png").write_bytes(b"\x89PNG")
    assert main(["count", "cli_jobs:both", "picture.png"]) == 1
    assert "picture.png: 'utf-8' codec" in capsys.readouterr().err


def test_a_line_that_is_no_json_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", "cli_jobs:ages", "lines.txt", "--input", "json"]) == 1
    assert "lines.txt:1: this line is no JSON" in capsys.readouterr().err


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in COMMANDS)


@pytest.mark.processes
def test_the_doctor_finds_this_machine_well_and_says_what_to_change(here: Path) -> None:
    code, out, _ = done(here, "doctor", "--json")
    found = {fact["name"]: fact for fact in map(json.loads, out.splitlines())}

    assert found["python"]["fact"].endswith(sys.executable)
    assert found["shared memory"] == {"name": "shared memory", "fact": "can be made", "advice": ""}
    assert code == any(fact["advice"] for fact in found.values())


@pytest.mark.processes
def test_the_doctor_says_what_to_change(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_START_METHOD", "teleport")
    code, out, _ = done(here, "doctor")

    assert code == 1
    assert "-> set CONVEYOR_START_METHOD to one of fork" in out


def test_the_doctor_takes_a_variable_that_is_empty_as_one_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVEYOR_START_METHOD", "")
    empty = start_method()
    monkeypatch.delenv("CONVEYOR_START_METHOD")

    assert empty == start_method()
    assert not empty.advice


@pytest.mark.processes
def test_a_run_writes_a_trace_and_says_which_items_it_gave_up(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "mixed.txt").write_text("1\nx\n3\n")
    words = ["cli_jobs:numbers", "mixed.txt", "--trace", "run.json"]
    assert main(["run", *words, "--on-error", "dead_letter"]) == 0
    out, err = capfd.readouterr()
    assert out == "1\n3\n"
    assert err.startswith("conveyor: to int, item 1: ValueError: invalid literal")
    assert TraceFile.read(here / "run.json").items("to int") == 3


@pytest.mark.processes
def test_what_is_skipped_is_counted(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "mixed.txt").write_text("1\nx\n3\n")
    assert main(["run", "cli_jobs:numbers", "mixed.txt", "--on-error=skip"]) == 0
    assert capfd.readouterr() == ("1\n3\n", "conveyor: to int skipped 1 item\n")
    assert main(["run", "cli_jobs:both", "lines.txt", "--on-error=skip"]) == 0  # with a fork
    assert sorted(capfd.readouterr().out.split()) == ["A", "B", "a", "b"]


@pytest.mark.processes
def test_a_recording_becomes_trace_events(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "cli_jobs:both", "lines.txt", "--record", "run.cvd"]) == 0
    assert main(["trace", "run.cvd", "-o", "run.json"]) == 0
    capfd.readouterr()
    assert {"shout", "merge"} <= {*TraceFile.read(here / "run.json").tracks.values()}


def kept_in(folder: Path) -> Path:
    """A run that has finished, with its checkpoint."""
    state = folder / "state"
    Pipeline[str]().add(Processor(str.upper)).drain(
        ["a", "b"], into=Lines(folder / "out"), checkpoint=Checkpoint(state)
    )
    return state


@pytest.mark.processes
def test_a_checkpoint_says_how_far_its_run_has_come(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = kept_in(here)
    assert main(["checkpoint", str(state)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("finished behind epoch 0, kept ")
    assert "source  items of a list\n        read up to 2\n" in said
    assert f"sink    Lines {here}/out" in said
    assert "upper" in said.splitlines()[4]

    assert main(["checkpoint", "--json", str(state)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["epoch"], document["is_finished"], document["position"]) == (0, True, "2")


@pytest.mark.processes
def test_a_checkpoint_is_read_without_unpickling_and_damage_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = kept_in(here)
    (state / "epoch-0.bin").write_bytes(b"no pickle")
    assert main(["checkpoint", str(state)]) == 1
    assert "DAMAGED" in capsys.readouterr().out
    (state / "epoch-0.json").write_text("{}")
    assert main(["checkpoint", str(state)]) == 3
    assert "epoch-0.json is no manifest of a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code", "words"), [(".", 3, "no whole checkpoint"), ("x", 2, "No such")]
)
def test_what_is_no_checkpoint_is_told(
    name: str, code: int, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", str(here / name)]) == code
    assert words in capsys.readouterr().err
