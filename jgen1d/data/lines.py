"""In which encoding is a text, and what are its lines?"""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, TypeVar

from jgen1d.data import limits
from jgen1d.data.columns import short

Row = TypeVar("Row")

# NUL, and what errors="surrogateescape" turns bytes into that are not UTF-8.
NOT_TEXT = re.compile("[\0\udc80-\udcff]")
# Control characters, and bytes that Windows-1252 has no character for.
NOT_WINDOWS = re.compile(rb"[\0-\x08\x0b\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]")
NAMES = {"utf-16": "UTF-16", "cp1252": "Windows-1252"}
"""The encodings beside UTF-8, as notes call them."""


@contextlib.contextmanager
def opened(file: IO[bytes]) -> Iterator[tuple[Iterator[tuple[int, str]], str]]:
    """The lines of a text, one at a time, each with its number from 1; and the encoding, a key of `NAMES` or UTF-8."""
    encoding = _encoding(file)
    file.seek(0)
    errors = "strict" if encoding == "utf-16" else "surrogateescape"
    with io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text:
        yield _lines(text), encoding


def _encoding(file: IO[bytes]) -> str:
    """UTF-16 if there is its mark, Windows-1252 if the bytes are not UTF-8 but could be that, or else UTF-8."""
    decoder, is_utf8, size, line = codecs.getincrementaldecoder("utf-8")(), True, 0, 0
    while size <= limits.MAX_BYTES and (chunk := file.read(2**20)):
        if not size and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        line = 0 if b"\n" in chunk or b"\r" in chunk else line + len(chunk)
        is_too_long = line > 4 * limits.MAX_LINE  # a character has at most 4 bytes
        if is_too_long or NOT_WINDOWS.search(chunk) or (not size and chunk.startswith(codecs.BOM_UTF8)):
            break
        size += len(chunk)
        try:
            if is_utf8:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            is_utf8 = False
    else:
        is_utf8 = is_utf8 and not decoder.getstate()[0]
        return "utf-8-sig" if is_utf8 else "cp1252"
    return "utf-8-sig"


def _lines(text: IO[str]) -> Iterator[tuple[int, str]]:
    size = 0  # in characters, which are at most as many as bytes
    for row in itertools.count(1):
        try:
            line = text.readline(limits.MAX_LINE + 1)
        except UnicodeDecodeError:
            raise ValueError(f"row {row}: the text begins as UTF-16, but here it is not") from None
        size += len(line)
        if not line:
            return
        if len(line) > limits.MAX_LINE:
            raise ValueError(f"row {row}: the line is too long: at most {limits.MAX_LINE} characters are allowed")
        if row > limits.MAX_LINES or size > limits.MAX_BYTES:
            most = f"at most {limits.MAX_LINES} lines, {limits.MAX_BYTES} bytes are allowed"
            raise ValueError(f"row {row}: the text is too long: {most}")
        if NOT_TEXT.search(line):
            raise ValueError(f"row {row}: {short(line)}: must be text in UTF-8, UTF-16 or Windows-1252")
        yield row, line


def without_blanks(rows: Iterator[tuple[int, Row]], missing: str, dropped: Counter[str]) -> Iterator[tuple[int, Row]]:
    """The rows that are not empty; others than at the end are refused, or counted in `dropped["blank"]`."""
    first = pending = 0
    for row, content in rows:
        if not content:
            first, pending = first or row, pending + 1
            continue
        if pending and missing == "refuse":
            raise ValueError(f"row {first}: the line is blank: allowed at the end of the file only{limits.HOW_TO_DROP}")
        dropped["blank"] += pending
        first = pending = 0
        yield row, content
