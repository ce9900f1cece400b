"""Checks that what would be released is whole: version, changelog, tag and built files agree.

Called by `make release-check`, which has built `dist/` and tried the wheel before.  Exits with 1
and a list of what is wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"


def git(*arguments: str) -> str:
    """What git says, without the newline at its end."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def faults_of_changelog(version: str) -> Iterator[str]:
    """What is wrong with the section of this version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)\n(.*?)(?=^## |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if section is None:
        yield f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'"
    elif not section[2].strip():
        yield f"CHANGELOG.md: the section of {version} is empty"
    if "## [Unreleased]" not in changelog:
        yield "CHANGELOG.md has no section '## [Unreleased]' for what comes next"


def faults_of_tree(version: str) -> Iterator[str]:
    """What is wrong with the working tree and its tags."""
    if changed := git("status", "--porcelain"):
        yield f"the tree has changes that are not committed:\n{changed}"
    tag = f"v{version}"
    if tag in git("tag").split() and git("rev-list", "-n1", tag) != git("rev-parse", "HEAD"):
        yield f"the tag {tag} is there already, on another commit: raise the version"


def faults_of_files(version: str, name: str) -> Iterator[str]:
    """What is wrong with the wheel and the source distribution."""
    stem = name.replace("-", "_")
    wheel = DIST / f"{stem}-{version}-py3-none-any.whl"
    source = DIST / f"{stem}-{version}.tar.gz"
    for path in (wheel, source):
        if not path.exists():
            yield f"{path.relative_to(ROOT)} is missing: make build"
            return
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [each for each in names if each.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
    if headers["Version"] != version:
        yield f"the wheel says that it is version {headers['Version']}, not {version}"
    yield from (
        f"the wheel lacks {each}"
        for each in ("conveyor/py.typed", "conveyor/signatures.pyi")
        if each not in names
    )
    tracked = {each for each in git("ls-files", "conveyor").splitlines() if "." in each}
    yield from (f"the wheel lacks {each}" for each in sorted(tracked - set(names)))
    with tarfile.open(source) as archive_of_source:
        inside = {each.partition("/")[2] for each in archive_of_source.getnames()}
    yield from (
        f"the source distribution lacks {each}"
        for each in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
        if each not in inside
    )


def main() -> int:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    version = project["version"]
    faults = [
        *faults_of_changelog(version),
        *faults_of_tree(version),
        *faults_of_files(version, project["name"]),
    ]
    for fault in faults:
        print(f"not ready: {fault}")
    if not faults:
        print(f"version {version} can be tagged: git tag -s v{version}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
