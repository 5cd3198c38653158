"""The Python blocks of the README and of the documentation, as they stand there."""

import functools
import pathlib
import re
import sys
import types

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_BY_THE_BUILD = ("start", "judging")
TOY = ROOT / "docs" / "methods.md"
"""The page that tells how to write a method."""


def blocks():
    """The page and the text of each Python block, but for those pages that the site's build runs."""
    pages = [page for page in PAGES if page.stem not in RUN_BY_THE_BUILD]
    return [(page.name, block) for page in pages for block in _python(page.read_text())]


def scripts():
    """The blocks of BUILD.md's section on users' own programs, by what stands in bold before each."""
    text = (ROOT / "BUILD.md").read_text()
    section = text.partition("## Inside your own programs\n")[2].partition("\n## ")[0]
    return dict(zip(re.findall(r"^\*\*(.*?)\*\*", section, re.MULTILINE), _python(section), strict=True))


def _python(text):
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def promised(block):
    """What the README says that a block prints; None if it says nothing."""
    following = (ROOT / "README.md").read_text().partition(block)[2]
    found = re.match(r"```\n\nprints, [^\n]*\n\n```\n(.*?)```", following, re.DOTALL)
    return found and found.group(1)


@functools.cache
def toy_method():
    """The `METHOD` of the page that tells how to write one."""
    text = TOY.read_text()
    (source,) = [block for _, block in blocks() if "METHOD = Method(" in block]
    module = types.ModuleType("toy_method")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    lines_before = text[: text.index(source)].count("\n")  # so that tracebacks, and inspect, find the lines
    exec(compile("\n" * lines_before + source, TOY, "exec"), module.__dict__)
    return module.METHOD
