"""How is a name from outside shown: on a terminal, in a picture, in a page, as the name of a file?

Names of targets, columns and presets are the user's, and may hold anything: control characters, `$`, 300 letters.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from collections.abc import Iterable
from typing import Any

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def shorten(text: str, most: int = 60) -> str:
    """The text, without its middle where it has more than so many characters."""
    tail = (most - 5) // 2
    return text if len(text) <= most else f"{text[: most - 5 - tail]} ... {text[-tail:]}"


def printable(text: str, most: int | None = None) -> str:
    r"""The text on one line: what a terminal would obey, and not show, is escaped.

    Args:
      text: whatever it holds.
      most: characters of the answer; None for any number.

    >>> printable("red: \x1b[31m, turned: \u202e")
    'red: \\x1b[31m, turned: \\u202e'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if most is None else shorten(shown, most)


def in_picture(text: str, most: int = 60) -> str:
    r"""The text as matplotlib has to be given it, so that it is drawn as it is.

    A `$` would start a formula; and what starts with an underscore has no place in a legend.

    >>> in_picture("$loss$"), in_picture("_d")
    ('\\$loss\\$', ' _d')
    """
    shown = printable(text, most).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def in_html(text: str, most: int | None = None) -> str:
    """The text as a page has to be given it, so that it is shown as it is.

    >>> in_html("<b>&")
    '&lt;b&gt;&amp;'
    """
    return html.escape(printable(text, most))


def json_in_html(value: Any) -> str:
    """JSON that a `<script>` may hold: whatever its texts say, they do not end it.

    >>> json_in_html({"a": "</script>"})
    '{"a":"\\\\u003c/script>"}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")


def file_name(text: str) -> str:
    """The name, without a suffix, of a file or a folder that is about what the text says.

    Letters of any script, digits and `_-.=+` stay, blanks become underscores. Where more has to be changed, or left out
    because it is long, a sum of the text is at the end, so that other texts have other names.

    >>> file_name("run_waiting time_robust"), file_name("../up"), file_name("")
    ('run_waiting_time_robust', 'up-c9624327', '00000000')
    """
    plain = text.replace(" ", "_")
    safe = re.sub(r"[^\w.=+-]", "-", plain).encode()
    kept = (safe if len(safe) <= 100 else safe[:90]).decode(errors="ignore").lstrip("-.").rstrip(".")
    if _RESERVED.fullmatch(kept):
        kept = f"_{kept}"
    if kept and kept == plain:
        return kept
    return f"{kept}-{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}".lstrip("-")


def distinct(names: Iterable[str]) -> list[str]:
    """The names, numbered where one has come before, in capitals or not.

    >>> distinct(["a", "b", "A"])
    ['a', 'b', 'A 2']
    """
    found: dict[str, str] = {}
    for name in names:
        one, count = name, 1
        while one.casefold() in found:
            count += 1
            one = f"{name} {count}"
        found[one.casefold()] = one
    return list(found.values())
