"""How is the documentation built? `make docs` writes docs/_build/html, and every warning is an error.

The pages in `run_pages.PAGES` run their Python, so that what they show is true.
"""

import dataclasses
import inspect
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # JAX's loader reports preferences of its own compiler as errors

import run_pages  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from jgen1d.cli.app import keep_compiled  # noqa: E402
from jgen1d.core import format_value  # noqa: E402
from jgen1d.methods import METHODS  # noqa: E402

project = "jgen1d"
author = "the jgen1d developers"
keep_compiled()
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = "jgen1d"
html_static_path = ["static"]
html_js_files = ["keyboard.js"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
suppress_warnings = ["myst.xref_missing"]  # build.md and gallery.md include pages that link to files of the repository


def _families() -> str:
    """The page of all families: what each is, and a table of its config's fields."""
    lines = [
        "# Families",
        "",
        "Every family is a file of pure functions and a `Config`. A *traced* field may differ between the lanes of one",
        "compiled program; a *static* one sets a shape or picks code. In scripts each field is a flag of its name.",
    ]
    for name, method in METHODS.items():
        module = inspect.getmodule(method.init)
        lines += ["", f"## {name}", "", inspect.getdoc(module) or "", ""]
        if presets := list(method.presets()):
            lines += [f"Presets: {', '.join(f'`{preset}`' for preset in presets)}.", ""]
        lines += ["| field | default | allowed | | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(field) for field in dataclasses.fields(method.Config)]
    return "\n".join(lines) + "\n"


def _row(field: dataclasses.Field) -> str:
    metadata = field.metadata
    bounds = " and ".join(f"{word} {limit:g}" for word, limit in metadata.get("bounds", {}).items())
    allowed = ", ".join(metadata.get("choices", ())) or bounds
    kind = "static" if metadata.get("static") else "traced"
    cells = (f"`{field.name}`", f"`{format_value(field.default)}`", allowed, kind, metadata.get("help", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


(FOLDER / "families.md").write_text(_families())


def _run(app: Sphinx, name: str, source: list[str]) -> None:
    del app
    if name in run_pages.PAGES:
        source[0] = run_pages.with_results(FOLDER, name, source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx: runs pages as they are read."""
    app.connect("source-read", _run)
