"""How the documentation is built: `make docs`, with warnings as errors and without a network."""

from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "Conveyor"
copyright = "The Conveyor authors"
release = version = version_of("typed-conveyor")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"Conveyor {release}"
html_static_path: list[str] = []
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


def setup(app: Sphinx) -> None:
    app.connect("source-read", links_within_the_site)
