"""How the documentation is built: `make docs`, with warnings as errors and without a network."""

from importlib.metadata import version as version_of
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import cloudpickle
import typing_extensions
from sphinx.application import Sphinx

import conveyor

project = "Conveyor"
copyright = "The Conveyor authors"
release = version = version_of("typed-conveyor")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"Conveyor {release}"
html_static_path = ["_static"]
exclude_patterns = ["decisions.md"]  # read in the repository, beside the code that it is about

# Links to headings are written as GitHub makes them.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

# Docstrings are plain text with `code` in it.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures of chains are for checkers; what a type is, the text says
autodoc_default_options = {"members": True}


def links_within_the_site(app: object, name: str, source: list[str]) -> None:
    """Links to documents beside this folder, as the repository has them, lead to pages here."""
    source[0] = source[0].replace("](../ARCHITECTURE.md)", "](architecture.md)")


def library_for_the_browser(app: Sphinx, error: Exception | None) -> None:
    """What "Try it here" imports: this library, and the two that it needs in the simulator."""
    if error is not None or app.builder.format != "html":
        return
    needed = [
        (Path(conveyor.__file__).parents[1], "conveyor/**/*.*"),
        (Path(cloudpickle.__file__).parents[1], "cloudpickle/*.py"),
        (Path(typing_extensions.__file__).parent, "typing_extensions.py"),
    ]
    with ZipFile(Path(app.outdir, "_static", "try", "conveyor.zip"), "w", ZIP_DEFLATED) as library:
        for root, pattern in needed:
            for path in sorted(root.glob(pattern)):
                if path.suffix in (".py", ".html"):
                    library.write(path, path.relative_to(root))


def setup(app: Sphinx) -> None:
    app.connect("source-read", links_within_the_site)
    app.connect("build-finished", library_for_the_browser)
