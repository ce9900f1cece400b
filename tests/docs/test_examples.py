"""The examples do what they say, as a user runs them: as scripts, in a process of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples import three_models

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LIMIT_S = 100  # of patience, not of speed: a script that hangs is a failure
SHORT = 80  # lines
# Jobs whose batches, keys, windows and files that grow are stages and sources of the library.
SHORTER = {
    "etl": 60,
    "etl_killed": 40,
    "model_batches": 60,
    "rolling_windows": 60,
    "sessions": 60,
    "tail": 60,
}
# The demo, and what compares with a plain loop bit for bit.
STUDIES = {"stdlib_survey": 425, "three_models": 100}


def run_example(name: str | Path, *arguments: str | Path) -> str:
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


def test_every_example_but_the_demo_stands_on_the_page_of_examples() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```\{literalinclude\} \.\./examples/(\S+)$", page, re.MULTILINE)

    assert {path.name for path in EXAMPLES.glob("*.py")} - {"stdlib_survey.py"} == {*shown}


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


def test_examples_are_short() -> None:
    limits = SHORTER | STUDIES
    lengths = {
        path.stem: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n >= limits.get(name, SHORT)} == {}
    assert limits.keys() <= lengths.keys()


def numbers_in(line: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", line)]


def test_logs_counts_each_line_once(tmp_path: Path) -> None:
    def line(path: str, status: int) -> str:
        return f'10.0.0.1 - - [1/Dec/2026:10:00:00] "GET {path} HTTP/1.1" {status} 25\n'

    file = tmp_path / "access.log"
    file.write_text(line("/a", 200) * 3000 + line("/a", 503) * 7 + "nonsense\n" + line("/b", 404))

    assert [numbers_in(told) for told in run_example("logs.py", file).splitlines()] == [
        [3007, 7, 3007 * 25],
        [1, 0, 25],
    ]
    assert sum(numbers_in(told)[0] for told in run_example("logs.py").splitlines()) == 50_000


def test_thumbnails_puts_aside_what_is_no_image() -> None:
    printed = run_example("thumbnails.py")

    if find_spec("PIL") is None:
        assert "pip install pillow" in printed
        return
    assert "image00.thumb.jpg 64x43\n" in printed
    assert "... 40 thumbnails\nput aside: broken.png: UnidentifiedImageError\n" in printed


def test_an_etl_that_is_killed_goes_on_and_has_each_row_once() -> None:
    *killed, whole = run_example("etl_killed.py").splitlines()

    assert len(killed) == 2
    assert whole == f"3,000 rows, {sum(n % 7 * 350 for n in range(3000)):,} cents"


def test_etl_writes_what_is_right_and_tells_of_the_rest() -> None:
    rows = [(("tea", "coffee", "cocoa")[n % 50 % 3], n % 9) for n in range(2_000)]
    bought = [(product, pieces) for product, pieces in rows if pieces > 0]
    priced = [(product, pieces) for product, pieces in bought if product != "cocoa"]

    written, unchecked, unpriced, *sums = run_example("etl.py").splitlines()

    assert numbers_in(written) == [len(priced), -(-len(priced) // 100)]
    assert numbers_in(unchecked)[0] == len(rows) - len(bought)
    assert numbers_in(unpriced)[0] == len(bought) - len(priced)
    assert [line.split() for line in sums] == [
        [name, f"{price * sum(pieces for product, pieces in priced if product == name):,.2f}"]
        for name, price in (("coffee", 5.20), ("tea", 3.50))
    ]


def test_sessions_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    by_hand = """
from itertools import groupby, pairwise
ordered = sorted(clicks(5_000), key=lambda click: (click.user, click.at))
print(sum(
    1 + sum(b.at - a.at >= 1800 for a, b in pairwise(each))
    for each in (list(group) for _, group in groupby(ordered, key=user_of))
))
"""
    script = tmp_path / "sessions.py"
    script.write_text((EXAMPLES / "sessions.py").read_text(encoding="utf-8") + by_hand)
    first, *_, last = run_example(script).splitlines()
    assert numbers_in(first)[0] == int(last)
    assert first == run_example("sessions.py").splitlines()[0]


def test_a_model_judges_each_review_once() -> None:
    printed = run_example("model_batches.py")
    assert printed.startswith("1,000 of 2,000 reviews are good\n0: good")


def test_documents_are_embedded_and_the_nearest_is_found() -> None:
    first, *near, where = run_example("embeddings.py").splitlines()
    assert numbers_in(first)[0] > 200
    assert near == ["math.sqrt", "statistics.sqrt", "math.isqrt"]
    assert where == "on this machine"


def test_rolling_windows_find_the_fire_and_count_what_is_late() -> None:
    fire, warmest, late = run_example("rolling_windows.py").splitlines()
    first, last = numbers_in(fire)[1:]
    assert fire.startswith("kitchen above 35 degrees")
    assert 12 * 60 - 6 < first < last < 12 * 60 + 6 + 5
    assert 55 < float(warmest.split()[-2]) < 65
    assert numbers_in(late)[0] > 0


def test_tail_tells_of_each_error_and_reads_all_lines() -> None:
    assert run_example("tail.py").splitlines() == [
        "error 1: request 3",
        "error 2: request 11",
        "error 3: request 19",
        "20 lines read",
    ]


def test_data_frames_loses_no_part() -> None:
    printed = run_example("data_frames.py")

    if find_spec("pandas") is None:
        assert "pip install pandas" in printed
        return
    districts = [line.split()[0] for line in printed.splitlines()]
    assert districts == ["north", "south", "west"]
    assert 990_000 < sum(numbers_in(line)[0] for line in printed.splitlines()) < 1_000_000


def test_the_notebook_runs_from_top_to_bottom() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)

    nbclient.NotebookClient(
        notebook, timeout=LIMIT_S, resources={"metadata": {"path": ROOT}}
    ).execute()

    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "<svg" in str([output.get("data") for output in shown])
    assert "<table" in str([output.get("data") for output in shown])
    assert "True 20" in str([output.get("text") for output in shown])


def test_the_crawler_finds_every_page_and_every_link_that_leads_nowhere() -> None:
    # Page n links to pages 8n + 1 to 8n + 8.
    linked = {8 * number + more for number in range(50) for more in range(1, 9)} | {0}
    there = sum(number < 50 for number in linked)

    printed = run_example("crawler.py", "50")

    assert printed == f"{there} pages, {len(linked) - there} links that lead nowhere\n"


def test_each_client_of_the_service_gets_its_own_answer() -> None:
    printed = run_example("asyncio_service.py", "40")

    assert printed == "40 of 40 clients have the right answer\n"
