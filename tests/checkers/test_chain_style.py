"""What mypy --strict and pyright strict say of chain style, with no plugin: every mistake, on its
line, and nothing else.

Knows: the marks in `tests/typing`, and how to ask each checker.  Must never know: how the
signatures are made.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[2]
TYPING = ROOT / "tests" / "typing"
CACHES = ROOT / ".mypy_cache" / "tests"  # what mypy knows of files that are as they were
MISTAKES = TYPING / "mistakes"

CHECKERS = ("mypy", "pyright")
MARK = re.compile(r"# error: (.+)$")
UNKNOWN = re.compile(r"\b(Any|Unknown|Undeclared)\b")

Lines: TypeAlias = dict[str, set[tuple[str, int]]]

# A checker reads everything anew, which takes a while on a busy machine.
pytestmark = pytest.mark.timeout(600)
each_checker = pytest.mark.parametrize("checker", CHECKERS)


def mypy(*arguments: str | Path, cwd: Path = ROOT, cache: Path) -> str:
    """What it prints; its own way of failing is no report of a mistake."""
    # Another interpreter has another release of mypy: python tools/try_mypy_releases.py
    python = os.environ.get("CONVEYOR_MYPY_PYTHON", sys.executable)
    command = [
        python,
        "-m",
        "mypy",
        "--no-error-summary",
        f"--cache-dir={cache}",
        *map(str, arguments),
    ]
    # Only the configuration says where to look: MYPYPATH would make an installed package one of the
    # user's own files.
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def pyright(
    project: Path, python: str = sys.executable, **settings: object
) -> list[dict[str, object]]:
    """Its diagnostics of all files of a directory, in strict mode."""
    (project / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", **settings})
    )
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--outputjson",
        "--pythonpath",
        python,
        "--project",
        str(project),
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["generalDiagnostics"]
    return found


def line_of(diagnostic: dict[str, object]) -> int:
    return int(json.loads(json.dumps(diagnostic))["range"]["start"]["line"]) + 1


def marked() -> Lines:
    """The lines that each checker should report."""
    lines: Lines = {checker: set() for checker in CHECKERS}
    for file in sorted(MISTAKES.glob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if mark := MARK.search(line):
                for checker in mark[1].split():
                    lines[checker].add((file.name, number))
    return lines


CORRECT = [*sorted(TYPING.glob("chain*.py")), *sorted((ROOT / "tests" / "seed").glob("*.py"))]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lines, str]:
    """The lines that each checker does report, in the chains with mistakes, and mypy in everything
    that has none; and its words."""
    words = mypy(*CORRECT, *sorted(MISTAKES.glob("*.py")), cache=ROOT / ".mypy_cache")
    found: Lines = {
        "mypy": {
            (Path(file).name, int(line))
            for file, line in re.findall(r"^(\S+?):(\d+): error: ", words, re.MULTILINE)
        }
    }
    # pyright looks at a directory of its own: here the mistakes are no longer left out.  It takes
    # long over each chain, and what has no mistake is what `make typecheck` has it look at.
    project = tmp_path_factory.mktemp("typing")
    for file in MISTAKES.glob("*.py"):
        shutil.copy(file, project)
    diagnostics = pyright(project, extraPaths=[str(ROOT)])
    errors = [d for d in diagnostics if d["severity"] == "error"]
    found["pyright"] = {(Path(str(d["file"])).name, line_of(d)) for d in errors}
    return found, "\n".join(
        [words, *(f"{d['file']}:{line_of(d)} {d['message']}" for d in diagnostics)]
    )


def test_what_has_no_mistake_is_looked_at_by_pyright_with_all_else() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    names = [file.relative_to(ROOT).as_posix() for file in CORRECT]

    assert (said["typeCheckingMode"], "tests" in said["include"]) == ("strict", True)
    assert not [name for name in names for left_out in said["exclude"] if fnmatch(name, left_out)]
    assert len(names) > 10


def test_there_are_enough_mistakes() -> None:
    assert all(len(lines) >= 60 for lines in marked().values())


@each_checker
def test_each_mistake_is_reported_and_nothing_else_is(
    checker: str, reported: tuple[Lines, str]
) -> None:
    found, words = reported
    missed, false = marked()[checker] - found[checker], found[checker] - marked()[checker]
    assert not missed, f"not reported: {sorted(missed)}"
    assert not false, f"reported without a mistake: {sorted(false)}\n{words}"


def test_the_documented_numbers_are_those_of_the_marks() -> None:
    table = re.findall(
        r"^\|.* of .*\|$", (ROOT / "docs" / "typing.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    rows = [re.findall(r"(\d+) of (\d+)", row) for row in table]
    columns = list(zip(*(row for row in rows if len(row) == 3), strict=True))
    reported = [sum(int(count) for count, _ in column) for column in columns]
    there = [sum(int(count) for _, count in column) for column in columns]
    in_chains = {checker: len(lines) for checker, lines in marked().items()}
    assert reported == there == [in_chains["mypy"], in_chains["mypy"], in_chains["pyright"]]
    statements = (TYPING / "statement_mistakes.py").read_text(encoding="utf-8").count("# mistake ")
    assert [row for row in rows if len(row) == 1] == [[(str(statements), str(statements))]]


def test_nobody_is_asked_for_an_annotation(reported: tuple[Lines, str]) -> None:
    assert "need type annotation" not in reported[1].lower()


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        ("Pipeline[int]().run([1])", 'expected "AddAStageFirst"'),
        ("Pipeline[int]().add(ReplicatingFork(2)).run([1])", 'expected "JoinTheOpenLanesFirst"'),
        (
            "Pipeline[str]().add(Processor(parse)).add(Processor(shout))",
            '"Callable[[str], str]"; expected "Callable[[int]',
        ),
    ],
)
def test_what_mypy_says_names_the_mistake(
    chain: str, sentence: str, reported: tuple[Lines, str]
) -> None:
    source = (MISTAKES / "chain_style.py").read_text(encoding="utf-8").splitlines()
    (line,) = [
        number for number, text in enumerate(source, 1) if text.strip().startswith(f"{chain}  #")
    ]
    (said,) = re.findall(
        rf"^tests/typing/mistakes/chain_style\.py:{line}: error: (.*)$", reported[1], re.MULTILINE
    )
    assert sentence in said


def test_what_is_generated_is_current() -> None:
    command = [sys.executable, "tools/generate_signatures.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr}run: python tools/generate_signatures.py"
    )


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The interpreter of a user, who has installed the built wheel; what it depends on is what is
    installed here."""
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        f"--outdir={tmp_path}",
        str(ROOT),
    ]
    subprocess.run(build, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, capture_output=True, check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    here = Path(pytest.__file__).resolve().parents[1]
    for name in ("typing_extensions.py", "cloudpickle", "psutil", "psutil-stubs"):
        os.symlink(here / name, site / name)
    return python


def test_a_user_of_the_built_wheel_sees_no_error_and_no_any(user: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(TYPING / "user", project)

    words = mypy(
        "--strict",
        f"--python-executable={user}",
        "survey.py",
        cwd=project,
        cache=tmp_path / "cache",
    )
    diagnostics = pyright(project, str(user))

    revealed = re.findall(r'Revealed type is "(.*)"', words)
    shown = [str(d["message"]) for d in diagnostics if d["severity"] == "information"]
    calls = (project / "survey.py").read_text(encoding="utf-8").count("reveal_type(")
    assert ": error: " not in words, words
    assert not [d for d in diagnostics if d["severity"] in ("error", "warning")], diagnostics
    assert len(revealed) == len(shown) == calls
    assert not [text for text in [*revealed, *shown] if UNKNOWN.search(text)]

    # Was it the wheel that was checked?  Without its mark the same package has no types to the
    # user.
    (mark,) = (tmp_path / "venv" / "lib").glob("python*/site-packages/conveyor/py.typed")
    mark.unlink()
    assert "py.typed" in mypy(
        "--strict",
        f"--python-executable={user}",
        "survey.py",
        cwd=project,
        cache=tmp_path / "again",
    )
