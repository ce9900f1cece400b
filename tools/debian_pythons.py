"""Unpacks Pythons that this machine has not from the packages of Debian unstable, into a root of
their own: `python tools/debian_pythons.py --root ~/pythons 3.14 3.15`, or `make pythons`.

For machines that reach a mirror of Debian and nothing else; where the whole network is reached,
`uv python install 3.14 3.15` and `pyenv install 3.14 3.15` do as well, and `make test-all` finds
what they install.

Needs Linux, `apt-get`, `dpkg-deb` and the package debian-archive-keyring, no privileges and no
chroot: nothing outside of the root is changed, and its interpreters run from it like any other.
They have the C library of the root, too, so that it does not matter how old this system is.
What is there already stays; to have newer ones, remove the root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")
NEEDED = ("apt-get", "dpkg-deb")
RUNS = "import ctypes, multiprocessing.shared_memory, sqlite3, ssl, sys; print(sys.version)"
PIPS_FOLDER = "'WHEEL_PKG_DIR': '"


def output(*command: str | Path) -> str:
    """Runs a command and gives what it printed; ends the program where the command fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return done.stdout.strip()


def configured_mirror() -> str:
    """The mirror of Debian that apt is set up with on this machine."""
    for line in output("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)").splitlines():
        origin, _, uri = line.partition(" ")
        if origin == "Debian":
            return uri
    sys.exit("apt is not set up with a mirror of Debian here (or has never run `apt-get update`): "
             "name one with --mirror")  # fmt: skip


def keyring() -> Path:
    for name in KEYRINGS:
        path = Path("/usr/share/keyrings", name)
        if path.exists():
            return path
    sys.exit("the keys of Debian are missing: install the package debian-archive-keyring")


class Apt:
    """An apt with sources, lists and archives of its own, on which nothing is installed."""

    def __init__(self, folder: Path, mirror: str) -> None:
        self.archives = folder / "archives"
        for part in (folder / "lists" / "partial", self.archives / "partial", folder / "parts"):
            part.mkdir(parents=True)
        sources, status = folder / "sources.list", folder / "status"
        sources.write_text(f"deb [signed-by={keyring()}] {mirror} unstable main\n")
        status.touch()
        options = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": folder / "parts",
            "Dir::Etc::preferencesparts": folder / "parts",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": status,
            "Dir::Cache": folder,
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "false",
        }
        self.options = [f"-o={name}={value}" for name, value in options.items()]

    def fetch(self, *packages: str) -> list[Path]:
        """Downloads the packages, and all that they depend on."""
        output("apt-get", *self.options, "-q", "update")
        output("apt-get", *self.options, "-q", "-y", "--download-only", "install", *packages)
        return sorted(self.archives.glob("*.deb"))


def relocate(root: Path, version: str) -> None:
    """Makes an interpreter that was built for /usr run where it was unpacked.

    It is told its loader and where the libraries of its root are.  The path of the libraries
    comes first: patchelf 0.18 breaks the file where it is set last.
    """
    python = root / "usr/bin" / f"python{version}"
    loaders = sorted((root / "usr/lib").glob("*-linux-*/ld-linux*.so.*"))
    if len(loaders) != 1:
        sys.exit(f"one loader is expected in {root}/usr/lib, and there are {len(loaders)}")
    libraries = loaders[0].parent
    patchelf = (loaders[0], "--library-path", libraries, root / "usr/bin/patchelf")
    output(*patchelf, "--force-rpath", "--set-rpath", libraries, python)
    output(*patchelf, "--set-interpreter", loaders[0], python)
    for settings in (root / "usr/lib" / f"python{version}").glob("_sysconfigdata_*.py"):
        text = settings.read_text()
        settings.write_text(text.replace(f"{PIPS_FOLDER}/usr/", f"{PIPS_FOLDER}{root}/usr/"))
    output(python, "-m", "compileall", "-q", root / "usr/lib" / f"python{version}")


def runs(root: Path, version: str) -> bool:
    """Is the interpreter there, and does it have all that it is used for here?"""
    python = root / "usr/bin" / f"python{version}"
    return (
        python.exists()
        and not subprocess.run([python, "-c", RUNS], stdout=subprocess.DEVNULL).returncode
    )


def unpack(root: Path, versions: list[str], mirror: str) -> None:
    """Downloads the interpreters and puts them into the root, over what is there already."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pythons-", dir=root.parent) as scratch:
        print(f"downloading Python {', '.join(versions)} from {mirror}", flush=True)
        packages = Apt(Path(scratch), mirror).fetch(
            "patchelf", *(f"python{version}-venv" for version in versions)
        )
        for package in packages:
            output("dpkg-deb", "-x", package, root)
    for version in versions:
        relocate(root, version)
        if not runs(root, version):
            sys.exit(f"{root}/usr/bin/python{version} does not run")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("versions", nargs="+", help="such as 3.14")
    parser.add_argument("--root", type=Path, default=ROOT / ".pythons", help="(.pythons)")
    parser.add_argument("--mirror", help="the address of a mirror (the one that apt uses here)")
    chosen = parser.parse_args()
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        sys.exit(f"not found: {', '.join(missing)} (`uv python install` may do instead)")
    root = Path(os.path.abspath(chosen.root))
    absent = [version for version in chosen.versions if not runs(root, version)]
    if absent:
        unpack(root, absent, chosen.mirror or configured_mirror())
    for version in chosen.versions:
        print(f"make test PYTHON={root}/usr/bin/python{version}")


if __name__ == "__main__":
    main()
