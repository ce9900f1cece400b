"""A browser without a window.

The plain suite starts none, and skips these tests.  `make test-browser` asks for them: what is not
there then is an error.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """Where a browser is: the one that is named, or the first that is found."""
    named = os.environ.get("CONVEYOR_BROWSER", "")
    return named if os.path.isfile(named) else next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if "CONVEYOR_BROWSER" not in os.environ:
        pytest.skip("no browser is started here: make test-browser")
    playwright: Any = import_module("playwright.sync_api")
    program = chromium()
    assert program, f"there is no browser: install one of {', '.join(NAMES)}"
    with playwright.sync_playwright() as driver:
        # Its own sandbox needs rights that a container does not give; it visits this machine alone.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go, to be looked at."""
    kept = os.environ.get("CONVEYOR_PICTURES")
    folder = Path(kept) if kept else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder
