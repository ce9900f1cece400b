"""What a script defines travels, under each start method: the script says what is right; and the
simulator agrees."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import (
    HANGS_S,
    LONG_HANGS_S,
    PROVE,
    SCRIPTS,
    START_METHODS,
    environment,
    new_or_forked,
    run_script,
    takes_long,
)

pytestmark = pytest.mark.processes

GROUPS = (
    "slots",
    "wrappers",
    "names",
    "classes",
    "enumerations",
    "hints",
    "subclasses",
    "pickles",
    "submodules",
    "reasons",
    "tracebacks",
)


# Whether an interpreter of its own or the fork server starts a worker, what it gets is read by the
# same function, and neither has anything of the script: all groups by one of the two, some by both.
BY_BOTH = ("classes", "pickles")


TOGETHER = [(method, BY_BOTH if method == "spawn" else GROUPS) for method in START_METHODS]
ALONE = [(method, (group,)) for method in START_METHODS for group in GROUPS]


@takes_long
@pytest.mark.parametrize(
    ("start_method", "groups"),
    [*TOGETHER, *ALONE] if PROVE else TOGETHER,
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} groups from {value[0]}",
)
def test_what_a_script_defines_is_the_same_in_a_worker(
    start_method: str, groups: tuple[str, ...]
) -> None:
    script = SCRIPTS / "definitions.py"
    said = run_script(script, start_method, *groups, hangs_s=LONG_HANGS_S)

    assert said == ["done"] * len(groups)


CELL = """
import linecache
lines = ["def divide(number):", "    return 1 / number  # in a cell", ""]
source = chr(10).join(lines)
lines = [line + chr(10) for line in lines]
linecache.cache["<cell 7>"] = (len(source), None, lines, "<cell 7>")  # as notebooks do
exec(compile(source, "<cell 7>", "exec"))
from conveyor import Pipeline, Processor
try:
    Pipeline().add(Processor(divide)).run([0])
except ZeroDivisionError as error:
    print(error.__cause__)
"""


@new_or_forked
def test_the_traceback_of_a_cell_has_its_lines(start_method: str) -> None:
    done = subprocess.run(
        [sys.executable, "-"],
        input=CELL,
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=True,
    )

    assert 'File "<cell 7>", line 2, in divide' in done.stdout
    assert "return 1 / number  # in a cell" in done.stdout


@new_or_forked
def test_an_open_pipeline_has_the_class_that_a_cell_defined_last(start_method: str) -> None:
    assert run_script(SCRIPTS / "cells.py", start_method) == ["done"]
