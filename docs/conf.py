"""Builds the pages of this folder into a site: `make docs`, then docs/site/index.html.

The theme's files are all local and its fonts are the reader's own: the site asks no other host.
"""

from __future__ import annotations

import logging
import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

project = "lakesift"
author = "the lakesift authors"
release = version_of("lakesift")
version = release

# FAISS tells at length how it was loaded.
logging.getLogger("faiss.loader").setLevel(logging.WARNING)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["site"]
html_theme = "furo"
html_title = f"lakesift {release}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]

# Headings can be linked to as on a forge: page.md#a-heading.
myst_heading_anchors = 4
# `:::{toctree}` beside fences of backticks, so that a forge does not show it as code.
myst_enable_extensions = ["colon_fence"]

# Docstrings write names as `name`.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
python_display_short_literal_types = True

ROOT = Path(__file__).resolve().parents[1]
# Files elsewhere in the repository that are pages of the site too. They are copied here, since
# links are only checked between files of this folder; the copies are ignored by git.
PAGES = {
    ROOT / "benchmarks" / "RESULTS.md": "results",
    ROOT / "indexer" / "embed" / "builtin_model" / "MODEL_CARD.md": "model-card",
    ROOT / "CHANGELOG.md": "changelog",
    ROOT / "CONTRIBUTING.md": "contributing",
}
HOMES = {name: path.parent for path, name in PAGES.items()}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def copy_pages(app: Any) -> None:
    for path, name in PAGES.items():
        copy = ROOT / "docs" / f"{name}.md"
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            copy.write_bytes(path.read_bytes())


def relink(app: Any, docname: str, source: list[str]) -> None:
    """Pages link to files of the repository, as is right on a forge; here to pages, if any."""
    folder = HOMES.get(docname, ROOT / "docs")

    def here(match: re.Match[str]) -> str:
        text, anchor = match[1], match[3] or ""
        target = (folder / match[2]).resolve()
        if target in PAGES:
            return f"[{text}]({PAGES[target]}.md{anchor})"
        if target.parent == ROOT / "docs":
            return f"[{text}]({target.name}{anchor})"
        # A file of code is no page. One that does not exist is left, so that the build fails.
        return text if target.exists() else match[0]

    source[0] = LINK.sub(here, source[0])


def setup(app: Any) -> None:
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", relink)
