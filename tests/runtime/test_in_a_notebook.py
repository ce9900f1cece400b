"""What a notebook shows of a run: its report, its graph, its progress, what its jobs print and log.

It is executed by a kernel of its own: `pip install typed-conveyor[notebook]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from tests.helpers import ROOT

CELLS = (
    """
import logging
from conveyor import Pipeline, Processor, BalancingFork, Join
logging.basicConfig(format="%(message)s (%(stage)s, item %(item)s)")
""",
    """
class Price:  # of the notebook itself
    def __init__(self, text):
        self.value = float(text)

def price(text):
    if text == "2":
        logging.warning("two")
    return Price(text)

pl = Pipeline().add(Processor(price)).add(Processor(lambda price: price.value, name="value"))
pl.topology
""",
    """
result = pl.run(["1", "2", "3"], progress=True)
print(list(result))
""",
    "result.report",
)


@cache
def outputs() -> Sequence[Sequence[dict[str, Any]]]:
    """What each cell gave."""
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="it is not installed")
    if find_spec("ipykernel") is None:
        pytest.skip("ipykernel is not installed")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    client = nbclient.NotebookClient(
        notebook, timeout=100, resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def texts(cell: int) -> str:
    """All that a cell wrote, in whatever way."""
    return "".join(
        "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/plain", ""))
        for output in outputs()[cell]
    )


def shown(cell: int, kind: str) -> str:
    (found,) = [
        output["data"][kind] for output in outputs()[cell] if kind in output.get("data", {})
    ]
    return str(found)


def test_a_graph_is_drawn() -> None:
    drawn = shown(1, "image/svg+xml")
    assert drawn.startswith("<svg")
    assert "price" in drawn


def test_a_run_with_classes_of_the_notebook_shows_its_progress_and_what_its_jobs_log() -> None:
    written = texts(2)
    assert "[1.0, 2.0, 3.0]" in written
    assert "two (price, item 1)" in written
    assert "3 of 3 done" in written  # by `rich`, or as a line


def test_a_report_is_a_table() -> None:
    table = shown(3, "text/html")
    assert "<table" in table
    assert "price" in table
