"""The page "Try it here" runs a reader's script as the interpreter would, and draws what it finds.

That it does so in a browser is tested there: `make test-browser`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.docs.test_docs import SNIPPETS, Snippet
from tests.helpers import ROOT

ON_THE_PAGE = [snippet for snippet in SNIPPETS if snippet.where.startswith("docs/try.md:")]
Run = Callable[[str, Callable[[str], object]], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def run() -> Run:
    """The file that the page loads."""
    found = importlib.util.spec_from_file_location(
        "shown", ROOT / "docs" / "_static" / "try" / "shown.py"
    )
    assert found is not None
    assert found.loader is not None
    module: ModuleType = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    shown: Run = module.run
    return shown


@pytest.mark.parametrize("snippet", ON_THE_PAGE, ids=lambda snippet: snippet.where)
def test_what_the_page_offers_prints_what_it_says_and_is_drawn(run: Run, snippet: Snippet) -> None:
    told: list[str] = []
    pictures = run(snippet.script, told.append)

    assert "".join(told).splitlines() == snippet.prints
    assert pictures
    assert all(html.startswith("<!DOCTYPE html>") for _, html in pictures)


def test_the_page_offers_programs() -> None:
    assert len(ON_THE_PAGE) == 3


def test_simulations_are_drawn_by_their_names(run: Run) -> None:
    script = (
        "from conveyor import Pipeline, Processor\n"
        "pl = Pipeline[int]().add(Processor(abs))\n"
        "first, second = pl.simulate([-1]), pl.simulate([-2])\n"
    )
    assert [name for name, _ in run(script, print)] == ["first", "second"]


@pytest.mark.parametrize(
    ("script", "last", "frames"),
    [
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero", 2),
        ("1 +", "SyntaxError: invalid syntax", 1),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
    ],
)
def test_an_error_is_told_with_the_lines_of_the_script_alone(
    run: Run, script: str, last: str, frames: int
) -> None:
    told: list[str] = []
    assert run(script, told.append) == []

    lines = "".join(told).splitlines()
    assert lines[-1] == last
    assert sum(line.startswith('  File "pipeline.py", line') for line in lines) == frames
    assert sum(line.startswith("  File") for line in lines) == frames


def test_a_script_is_a_program_of_its_own(run: Run) -> None:
    before, told = sys.modules["__main__"], list[str]()
    run("import sys; print(__name__, sys.modules['__main__'].told); told = 1", told.append)
    run("import sys; told = 2; print(sys.modules['__main__'].told)", told.append)

    assert "".join(told).splitlines()[-1] == "2"
    assert sys.modules["__main__"] is before


def test_the_interpreter_that_is_loaded_is_the_one_that_is_tested() -> None:
    page = (ROOT / "docs" / "try.md").read_text("utf-8")
    assert 'data-python="https://cdn.jsdelivr.net/npm/pyodide@314.' in page
    assert '"pyodide": "^314.' in (ROOT / "tools" / "pyodide" / "package.json").read_text("utf-8")
