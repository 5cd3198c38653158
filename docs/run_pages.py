"""How do pages show what their Python does? The site's build runs it, and puts below each block what it gave.

As in a notebook the blocks of a page share their names, and what a block's last expression is worth is shown: a figure
as a picture, anything else as text. An error in a page ends the build.
"""

import ast
import contextlib
import io
import re
from pathlib import Path

from matplotlib.figure import Figure

from jgen1d.plots.style import as_png

PAGES = ("start", "judging")
PICTURES = Path("_build") / "ran"
"""Where pictures are kept, in the folder of the pages."""
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def with_results(folder: Path, name: str, text: str) -> str:
    """The text of a page, each of its Python blocks followed by what it gave.

    Args:
      folder: of the pages.
      name: of the page.
      text: its Markdown.
    """
    names: dict[str, object] = {"__name__": name}
    count = 0

    def run(block: re.Match[str]) -> str:
        nonlocal count
        printed, value = _run(block[1], f"{name}.md", names)
        parts = [block[0]]
        if isinstance(value, Figure):
            count += 1
            picture = folder / PICTURES / f"{name}-{count}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(as_png(value))
            parts.append(f"\n![{value.get_suptitle()}]({picture.relative_to(folder).as_posix()})\n")
        elif value is not None:
            printed += f"{value!r}\n"
        if printed:
            parts.insert(1, f"\n```text\n{printed}```\n")
        return "".join(parts)

    return BLOCK.sub(run, text)


def _run(source: str, name: str, names: dict[str, object]) -> tuple[str, object]:
    """What a block prints, and what its last line is worth if that is an expression."""
    tree, value = ast.parse(source, name), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
    return out.getvalue(), value
