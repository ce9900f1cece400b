"""Prints the Pythons of this machine that the suite is to pass on, one of each version but
that which runs this.

Called by `make test-all`.  Looked for are the names on the PATH, and what pyenv, uv and
`tools/debian_pythons.py` have installed: a name on the PATH may be a shim of pyenv's that runs
nothing.  With `--missing`: the versions of which there is none.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
ROOT = Path(__file__).resolve().parents[1]
ASK = "import platform; print(platform.python_version())"


def folder(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default)


def places(version: str) -> Iterator[Path]:
    """Where a Python of this version may be."""
    name = f"python{version}"
    if (found := shutil.which(name)) is not None:
        yield Path(found)
    pyenv = folder("PYENV_ROOT", Path.home() / ".pyenv") / "versions"
    uv = folder("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python")
    yield from sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)
    yield from sorted(uv.glob(f"cpython-{version}.*/bin/{name}"), reverse=True)
    yield folder("CONVEYOR_PYTHONS", ROOT / ".pythons") / "usr/bin" / name


def find(version: str) -> Path | None:
    """A Python of this version that runs."""
    for place in places(version):
        try:
            done = subprocess.run([place, "-c", ASK], capture_output=True, text=True)
        except OSError:  # it is not there
            continue
        if done.returncode == 0 and done.stdout.startswith(f"{version}."):
            return place
    return None


def main() -> None:
    if sys.argv[1:] == ["--missing"]:
        print(*(version for version in VERSIONS if find(version) is None))
        return
    running = platform.python_version()
    for version in VERSIONS:
        if running.startswith(f"{version}."):
            continue  # the caller's own
        if (found := find(version)) is None:
            print(f"there is no Python {version} here", file=sys.stderr)
        else:
            print(found)


if __name__ == "__main__":
    main()
