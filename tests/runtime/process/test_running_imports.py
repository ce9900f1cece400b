"""A module that runs a pipeline while it is imported is refused by the first worker that imports
it, not by the hundredth."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from conveyor.runtime.process import importing
from tests.helpers import SCRIPTS, START_METHODS, run_script

WHERE_IT_IS_RUN = {"late": "late_inner"}  # by a job of the first, which imports the second
RESULTS = {"a_function": "[1]", "in_a_job": "[[1]]"}


@pytest.mark.parametrize("start_method", START_METHODS)
def test_it_is_named_to_the_caller_and_starts_no_second_generation(
    start_method: str, tmp_path: Path
) -> None:
    for line in run_script(SCRIPTS / "imports.py", start_method, str(tmp_path)):
        module, imported, what = line.split(" | ")
        if start_method == "fork":  # a worker has all that its parent had imported
            assert (imported, what[0]) in (("1", "["), ("1", "1")), line
        elif module in RESULTS:
            assert what == RESULTS[module]
        else:
            culprit = WHERE_IT_IS_RUN.get(module, module)
            assert f"module '{culprit}' runs a pipeline while it is imported" in what
            assert "Put the run into a function" in what
            assert int(imported) <= 3, "the program, its worker, and one in its place"


INNER = """
import sys
from conveyor.runtime.process.importing import modules_being_imported
FOUND = modules_being_imported()
THERE = [
    name
    for name, module in sys.modules.copy().items()
    if getattr(getattr(module, "__spec__", None), "_initializing", False)
]
"""


def test_what_is_being_imported_is_found_by_its_locks_the_innermost_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer_of_two.py").write_text("import inner_of_two")
    (tmp_path / "inner_of_two.py").write_text(INNER)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import_module("outer_of_two")
    inner = import_module("inner_of_two")

    assert inner.FOUND == inner.THERE == ["outer_of_two", "inner_of_two"]
    assert importing.modules_being_imported() == []


def test_no_other_module_is_looked_at() -> None:
    assert importing.LOCKED is not None, "else all modules are, for each worker"
    assert len(importing.LOCKED) < 10
