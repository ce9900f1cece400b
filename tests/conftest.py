"""What pytest needs to know of this directory."""

from pathlib import Path

from hypothesis import HealthCheck, settings

# How long an example takes is the machine's affair, and no test's: a busy one takes longer.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Only ``test_*.py`` is collected: ``--doctest-modules`` would import, and so run, every script
    beside them."""
    return (
        True if collection_path.is_file() and not collection_path.name.startswith("test_") else None
    )
