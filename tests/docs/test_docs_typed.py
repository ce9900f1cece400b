"""What the documents show passes mypy --strict and pyright strict; ``python mistaken`` shows a
mistake, which both report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checkers.test_chain_style import CACHES, mypy, pyright
from tests.docs.test_docs import SNIPPETS, Snippet

# A checker reads everything anew, which takes a while on a busy machine.
pytestmark = pytest.mark.timeout(600)


def name_of(snippet: Snippet) -> str:
    return re.sub(r"\W", "_", snippet.where) + ".py"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What each checker says of each snippet; each is asked once."""
    project = tmp_path_factory.mktemp("snippets")
    for snippet in SNIPPETS:
        (project / name_of(snippet)).write_text(snippet.script, encoding="utf-8")
    words = mypy("--strict", "--scripts-are-modules", ".", cwd=project, cache=CACHES / "documents")
    said = {
        "mypy": [
            (Path(file).name, text)
            for file, text in re.findall(r"^(\S+?):(\d+: error: .*)$", words, re.MULTILINE)
        ],
        "pyright": [
            (Path(str(found["file"])).name, str(found["message"]))
            for found in pyright(project)
            if found["severity"] == "error"
        ],
    }
    return {checker: dict(found) for checker, found in said.items()}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_what_the_documents_show_is_accepted_or_marked_as_a_mistake(
    checker: str, reported: dict[str, dict[str, str]]
) -> None:
    mistaken = {name_of(snippet) for snippet in SNIPPETS if snippet.mistaken}
    assert len(SNIPPETS) > 10
    assert {file: text for file, text in reported[checker].items() if file not in mistaken} == {}
    assert mistaken <= reported[checker].keys()
