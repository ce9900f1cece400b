"""What the documents for contributors name is there: files, rooms, and the words of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import ROOT
from tests.test_layers import RANKS

NAMES = "ARCHITECTURE.md CONTRIBUTING.md RELEASING.md docs/internals.md docs/glossary.md"
GUIDES = [ROOT / name for name in NAMES.split()]
A_FILE = re.compile(r"`([\w./-]+/(?:[\w.-]+\.(?:py|pyi|md|toml))?)`")


def files_named_in(guide: Path) -> list[str]:
    return A_FILE.findall(guide.read_text(encoding="utf-8"))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_every_file_and_folder_that_a_guide_names_is_there(guide: Path) -> None:
    bases = (ROOT, ROOT / "conveyor")
    lost = [
        name
        for name in files_named_in(guide)
        if name != "dist/" and not any((base / name).exists() for base in bases)
    ]
    assert not lost


def test_the_life_of_an_item_and_of_a_death_name_the_files_that_they_pass() -> None:
    assert len(set(files_named_in(ROOT / "docs" / "internals.md"))) > 20


def test_the_architecture_names_every_room() -> None:
    named = set(re.findall(r"`([\w/]+?)/?`", (ROOT / "ARCHITECTURE.md").read_text()))
    rooms = {room.replace(".", "/") for room in RANKS}
    assert not rooms - named
