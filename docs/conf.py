"""Builds the documentation site; `make docs` writes it into `build/site`.

The pages are written for GitHub and for the site alike: plain Markdown, links between files. Three
things are done here so that one text serves both: the pages at the root of the repository (such as
CHANGELOG.md) are taken in where a page of `project/` stands for them, links to files outside of
`docs/` become downloads, and a picture that has a dark twin (`x-light.png`, `x-dark.png`) follows
the reader's colours. Nothing is loaded from elsewhere, so that the site opens from disk.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "digit-sweeps"
copyright = "2026, the digit-sweeps authors"  # noqa: A001 - its name in Sphinx
html_title = "digit-sweeps"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["README.md", "pictures"]

# Markdown
myst_heading_anchors = 4  # links to headings are checked
myst_fence_as_directive: list[str] = []
myst_url_schemes = ["http", "https", "mailto", "source"]

# Docstrings
default_role = "code"  # they have `names` in single backticks
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "undoc-members": False,
    "exclude-members": "set_fit_request",  # scikit-learn writes it, with links into its own pages
}
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 80
nitpick_ignore_regex = [("py:.*", r".*")]  # types in signatures; pages link by files, not by roles

# The theme
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {"footer_icons": [], "navigation_with_keys": False}

# Only commands are copied, neither their prompt nor what they printed.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

OUTSIDE = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "README.md": "index.md",
    "docs/README.md": "index.md",
}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)((?:#[^)\s]*)?)(?=\))")


def take_in(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the page of the root in the place of its stub; make links fit the place they are in."""
    del app
    taken = {place: name for name, place in OUTSIDE.items() if place.startswith("project/")}
    place = HERE / f"{page}.md"
    name = taken.get(f"{page}.md")
    origin = ROOT / name if name else place
    text = origin.read_text(encoding="utf-8") if name else source[0]
    text = text.replace(LIST, (HERE / "README.md").read_text(encoding="utf-8"))
    if not any((HERE / "evidence").glob("*.md")):
        text = text.replace(EVIDENCE, "")

    def relinked(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(origin.parent / link[1]))
        inside = OUTSIDE.get(str(target.relative_to(ROOT))) if target.is_relative_to(ROOT) else None
        target = HERE / inside if inside else target
        if not target.exists():
            return link[0]  # Sphinx says that it is missing
        if target.is_dir() or (target.suffix == ".md" and not target.is_relative_to(HERE)):
            return f"{SOURCE}{target.relative_to(ROOT)}"
        return os.path.relpath(target, place.parent) + ("" if inside == "index.md" else link[2])

    source[0] = LINK.sub(relinked, text)


LIST = "```{include} README.md\n```"
"""Where the first page shows the list that GitHub shows of the folder."""

EVIDENCE = "```{toctree}\n:hidden:\n:caption: Evidence\n:glob:\n\nevidence/*\n```\n"
"""The list of these pages, which Sphinx refuses while there are none."""

SOURCE = "source:"
"""Marks links to what is in the source and not on the site; they become plain text."""


class ShowPlainly(SphinxTransform):
    """Turns links to what the site does not have into the names of the files."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Replace each such link by its text."""
        for link in list(self.document.findall(nodes.reference)):
            if link.get("refuri", "").startswith(SOURCE):
                link.replace_self(link.children)


class FollowColours(SphinxTransform):
    """Shows the dark twin of a picture to readers with dark colours."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Add the twin after each picture that has one."""
        for picture in list(self.document.findall(nodes.image)):
            twin = picture["uri"].replace("-light.", "-dark.")
            folder = Path(self.env.doc2path(self.env.docname)).parent
            if twin != picture["uri"] and (folder / twin).exists():
                dark = picture.deepcopy()
                dark["uri"] = twin
                picture["classes"].append("only-light")
                dark["classes"].append("only-dark")
                picture.parent.insert(picture.parent.index(picture) + 1, dark)


def show_examples(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Show the code below `Example:` of a docstring as code."""
    del app, what, name, thing, options
    lines[:] = "\n".join(lines).replace("Example:\n", "Example::\n\n").split("\n")


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("autodoc-process-docstring", show_examples, priority=100)  # before napoleon
    app.connect("source-read", take_in)
    app.add_transform(ShowPlainly)
    app.add_transform(FollowColours)
    # Opened from disk, a page may not read another one, so that results have no excerpts there.
    excerpts = 'DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:"'
    app.add_js_file(None, body=excerpts, priority=300)
