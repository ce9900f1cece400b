"""The examples do what they say, as a user runs them: as scripts, in a process of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from examples import three_models

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LIMIT_S = 100  # of patience, not of speed: a script that hangs is a failure


def run_example(name: str, *arguments: str | Path) -> str:
    """Run an example as a script and return what it printed."""
    script = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert script.returncode == 0, script.stdout + script.stderr
    assert script.stderr == ""
    return script.stdout


def value_of(label: str, printed: str) -> str:
    """The value beside a label of a printed table."""
    found = re.search(rf"^{re.escape(label)} +(.*)$", printed, re.MULTILINE)
    assert found, f"no {label!r} in:\n{printed}"
    return found[1].strip()


def test_every_example_is_run_by_a_test() -> None:
    tested = set(
        re.findall(r'run_example\(\s*"(\w+\.py)"', Path(__file__).read_text(encoding="utf-8"))
    )

    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_the_survey_equals_a_plain_loop_and_says_so() -> None:
    printed = run_example("stdlib_survey.py", "--files", "40")

    assert value_of("files", printed) == "40"
    assert "\nequal to a plain loop: yes" in printed
    assert "in the simulator: 8 files under 30 schedules, " in printed
    assert "under each of them equal to a plain loop: yes" in printed


def test_the_survey_finds_what_is_in_the_files(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text(
        "import os.path\n"
        "import os, json as j\n"
        "from . import b\n"
        "def short(): pass\n"
        "def long(x):\n"
        "    for i in x:\n"
        "        if i:\n"
        "            print(i)\n"
        "        elif x:\n"
        "            pass\n"
        "        else:\n"
        "            with x: pass\n"
    )
    (tmp_path / "b.py").write_text(
        "from os import path\nclass C:\n    async def method(self):\n        return 1\n"
    )
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "encoding.py").write_bytes(b"#\n#\n#\nx = '\xff'\n")

    printed = run_example("stdlib_survey.py", "--root", tmp_path)

    assert value_of("files", printed) == "2"
    assert value_of("lines", printed) == "16"
    assert value_of("functions", printed) == "3"
    assert value_of("longest function", printed) == "8 lines: long (package/a.py:5)"
    assert value_of("deepest nesting", printed) == "3 blocks: long (package/a.py:5)"
    assert value_of("most imported, by files", printed) == "os 2, json 1"
    assert value_of("unreadable files", printed) == "2"
    assert value_of("  SyntaxError", printed) == "syntax.py"
    assert value_of("  UnicodeDecodeError", printed) == "encoding.py"
    assert "in the simulator: 4 files under 30 schedules, " in printed
    assert "equal to a plain loop: yes" in printed


def test_three_models_agree_with_a_plain_loop_bit_for_bit() -> None:
    printed = run_example("three_models.py", "2000")

    assert "equal to a plain loop, bit for bit: yes" in printed
    for model in ("logistic regression", "perceptron", "naive Bayes"):
        assert 55.0 < float(value_of(model, printed).partition("%")[0]) < 100.0


def test_three_models_in_process_give_the_scores_of_a_plain_loop() -> None:
    rows = three_models.make_rows(500, seed=7)

    assert three_models.run(rows) == three_models.plain_loop(rows)


def test_word_count_counts_the_words_of_a_file(tmp_path: Path) -> None:
    text = "The quick brown fox, the lazy dog.\nQuick, QUICK: über Straßen und über Brücken\n\n"
    file = tmp_path / "text.txt"
    file.write_text(text * 3, encoding="utf-8")
    counts = Counter(
        word for word in re.sub("[,.:]", " ", text * 3).lower().split() if len(word) > 3
    )

    printed = [line.split() for line in run_example("word_count.py", file).splitlines()]

    assert {word: int(count) for count, word in printed} == counts
    assert [int(count) for count, _ in printed] == sorted(counts.values(), reverse=True)


def test_word_count_needs_no_file() -> None:
    assert "pipeline" in run_example("word_count.py")
