"""What pytest needs to know of this directory."""

from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Only ``test_*.py`` is collected: ``--doctest-modules`` would import, and so run, every script beside them."""
    return True if collection_path.is_file() and not collection_path.name.startswith("test_") else None
