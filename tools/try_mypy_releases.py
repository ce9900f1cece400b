"""Runs what the tests ask mypy, with the plugin and without, under each release that it is made
for, or those named: `2.3 2.4`.

Knows: which releases those are.  Must never know: what is tested.

Each release is installed into a virtual environment of its own, below build/.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RELEASES = ("2.1", "2.2", "2.3", "2.4")
ASK_MYPY = (
    "tests/checkers/test_statement_style.py",
    "tests/checkers/test_chain_style.py::test_each_mistake_is_reported_and_nothing_else_is[mypy]",
    "tests/checkers/test_chain_style.py::test_what_mypy_says_names_the_mistake",
)
STUBS = "types-psutil"


def beside_it() -> list[str]:
    """What the code that is checked imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["tests"], STUBS]


def python_with(release: str) -> Path:
    """The interpreter of an environment with the last patch of this release."""
    home = ROOT / "build" / f"mypy-{release}"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    subprocess.run(
        [python, "-m", "pip", "install", "-q", f"mypy=={release}.*", *beside_it()], check=True
    )
    return python


def passes(release: str) -> bool:
    environment = os.environ | {"CONVEYOR_MYPY_PYTHON": str(python_with(release))}
    print(f"mypy {release}:", flush=True)
    tests = [sys.executable, "-m", "pytest", "-q", *ASK_MYPY]
    return subprocess.run(tests, cwd=ROOT, env=environment).returncode == 0


def main() -> None:
    failed = [release for release in sys.argv[1:] or RELEASES if not passes(release)]
    sys.exit(f"failed under mypy {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
