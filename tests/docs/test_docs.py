"""What the documents show is what happens: every ``python`` fence is a script of its own, run as
its reader would.

A ``text`` or ``console`` fence that comes next, with nothing but blank lines between, is what the
script prints: word for word, or, marked ``text unordered``, the same lines in any order. ``python
no-run`` is only compiled. ``python pytest`` is a file of tests: the lines that come next are some
of those that pytest prints, in this order. ``python mistaken`` runs, and shows a mistake of types,
which `test_docs_typed` looks for.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent

import pytest

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from tests.helpers import HANGS_S

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(
    r"^( *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^ *(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A ``python`` fence, and the lines that it prints if the document shows them."""

    where: str
    script: str
    runs: bool
    tests: bool
    mistaken: bool
    prints: list[str] | None
    in_any_order: bool


def snippets(document: Path) -> Iterator[Snippet]:
    text = document.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    for fence, following in zip_longest(fences, fences[1:]):
        language, *options = fence["info"].split() or [""]
        if language != "python":
            continue
        line = text.count("\n", 0, fence.start("body"))
        shown, how = "", [""]
        if following and not text[fence.end() : following.start()].strip():
            shown, how = following["body"], following["info"].split() or [""]
        yield Snippet(
            where=f"{document.relative_to(ROOT)}:{line}",
            script="\n" * line
            + dedent(fence["body"]),  # a traceback gives the document's own line numbers
            runs="no-run" not in options,
            tests="pytest" in options,
            mistaken="mistaken" in options,
            prints=dedent(shown).splitlines() if how[0] in ("text", "console") else None,
            in_any_order="unordered" in how,
        )


def increment(number: int) -> int:
    return number + 1


SNIPPETS = [
    snippet for document in DOCUMENTS if document.exists() for snippet in snippets(document)
]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.where)
def test_a_snippet_does_what_the_document_says(snippet: Snippet, tmp_path: Path) -> None:
    compile(snippet.script, snippet.where, "exec")
    if not snippet.runs:
        return
    script = tmp_path / ("test_it.py" if snippet.tests else "script.py")
    script.write_text(snippet.script, encoding="utf-8")
    if snippet.tests:
        tells(script, snippet.prints or [])
        return
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS_S
    )
    assert done.returncode == 0, f"{snippet.where}\n{done.stdout}{done.stderr}"
    if snippet.prints is not None:
        in_order = sorted if snippet.in_any_order else list
        assert in_order(done.stdout.splitlines()) == in_order(snippet.prints), snippet.where


def tells(tests: Path, lines: list[str]) -> None:
    """pytest prints these lines, among others."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tests.name]
    printed = subprocess.run(
        command, cwd=tests.parent, capture_output=True, text=True, timeout=HANGS_S
    ).stdout.splitlines()
    assert [line for line in printed if line in lines] == lines, "\n".join(printed)


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_picture_of_the_readme_is_drawn_by_the_library() -> None:
    """A picture that has changed is drawn anew: `docs/example.svg` is what is compared."""
    pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(increment, name="job"), Pipe())
    drawn = pl.add(Join(2)).add(Processor(print)).topology.picture()
    assert (ROOT / "docs" / "example.svg").read_text(encoding="utf-8").strip() == drawn.strip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose)
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_shows_code() -> None:
    assert any(snippet.where.startswith("README.md:") for snippet in SNIPPETS)
