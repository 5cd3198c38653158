"""The Python blocks of the README and of BUILD.md, as they stand there."""

import functools
import pathlib
import re
import sys
import types

PATH = pathlib.Path(__file__).parents[1] / "README.md"
TEXT = PATH.read_text()


def blocks(text=TEXT):
    """The text of each Python block."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def scripts():
    """The blocks of BUILD.md's section on users' own programs, by what stands in bold before each."""
    text = PATH.with_name("BUILD.md").read_text()
    section = text.partition("## Inside your own programs\n")[2].partition("\n## ")[0]
    return dict(zip(re.findall(r"^\*\*(.*?)\*\*", section, re.MULTILINE), blocks(section), strict=True))


@functools.cache
def toy_method():
    """The `METHOD` of the section that tells how to write one."""
    (source,) = [block for block in blocks() if "METHOD = Method(" in block]
    module = types.ModuleType("toy_method")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    lines_before = TEXT[: TEXT.index(source)].count("\n")  # so that tracebacks, and inspect, find the lines
    exec(compile("\n" * lines_before + source, PATH, "exec"), module.__dict__)
    return module.METHOD
