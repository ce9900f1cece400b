"""The reference of the documentation has every public name, and no other."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

import conveyor
import conveyor.cluster
import conveyor.io
import conveyor.pytest_plugin
from tests.helpers import ROOT

DOCS = ROOT / "docs"
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")


def test_the_reference_has_every_public_name_once() -> None:
    told = re.findall(r"^\.\. auto\w+:: conveyor\.([A-Z]?\w+)$", REFERENCE, re.MULTILINE)

    assert sorted(name for name in told if name != "errors") == sorted(conveyor.__all__)


@pytest.mark.parametrize("module", [conveyor.io, conveyor.cluster, conveyor.pytest_plugin])
def test_the_reference_has_every_name_of_the_modules_that_users_import(module: ModuleType) -> None:
    told = re.findall(rf"^\.\. auto\w+:: {module.__name__}\.(\w+)$", REFERENCE, re.MULTILINE)
    elsewhere = {"Sink", "Source"}  # of `conveyor`

    assert sorted(told) == sorted({*module.__all__} - elsewhere)


def test_every_page_is_reached_from_the_first() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    left_out = re.findall(r'exclude_patterns = \["(\w+)\.md"\]', (DOCS / "conf.py").read_text())
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index", *left_out}

    assert pages <= set(index.split())
