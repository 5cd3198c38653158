"""How much do Parquet and Arrow files expand to, by what stands before each compressed part?

The libraries take memory for what a part claims before they decompress it, so that a small file could take any amount.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from jgen1d.data import limits
from jgen1d.data.columns import DAMAGED

DICTIONARY, RECORDS = 2, 3
"""Kinds of Arrow's messages that hold values."""
MAX_FOOTER = 2**24
"""Bytes of the largest footer of a Parquet file that is looked at."""


def require_parquet_size(content: bytes, name: str) -> None:
    """Raises ValueError if the pages of a column expand to too much.

    The footer is read here, because pyarrow 26 ends the process if what it says of a column is damaged.

    References:
      Apache Parquet, parquet.thrift: FileMetaData, ColumnMetaData, PageHeader; Apache Thrift, "Thrift compact protocol
      encoding". The numbers below are those of their fields.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if length > min(MAX_FOOTER, len(content) - 8):
        raise ValueError(f"the file's footer has {length} bytes: at most {MAX_FOOTER} are allowed")
    try:
        footer, _ = _thrift(content, len(content) - 8 - length)
        size = 0
        for chunk in (column[3] for group in footer[4] for column in group[1]):
            if b".".join(chunk[3]) != name.encode():
                continue
            at = min(chunk.get(11) or chunk[9], chunk[9])
            end = at + chunk[7]
            while at < end:
                header, at = _thrift(content, at)
                size += _positive(header[2])
                at += _positive(header[3])
                _require_bytes(size)
    except (LookupError, TypeError, AttributeError):  # a number where there should be a list, and the like
        raise ValueError(DAMAGED) from None


def require_arrow_size(arrow: ModuleType, content: bytes, is_file: bool) -> None:
    """Raises ValueError if the messages of an Arrow file or stream expand to too much."""
    size = 0
    for message in _file_messages(arrow, content) if is_file else _stream_messages(arrow, content):
        size += _expanded(message.metadata, message.body)
        _require_bytes(size)


def _require_bytes(size: int) -> None:
    if size > limits.MAX_BYTES:
        raise ValueError(f"the file expands to more than {limits.MAX_BYTES} bytes, which are allowed")


def _positive(size: int) -> int:
    if size < 0:
        raise ValueError(DAMAGED)
    return size


def _thrift(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """What a struct holds, by its fields' numbers, and where it ends."""
    found: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        field += head >> 4
        found[field], at = _thrift_value(data, at + 1, head & 15)
    return found, at + 1


def _thrift_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false
        return kind == 1, at
    if kind == 3:  # a byte
        return data[at], at + 1
    if kind in (4, 5, 6):  # an integer, in zigzag coding
        value, at = _varint(data, at)
        return value >> 1 ^ -(value & 1), at
    if kind == 8:  # bytes
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == 9:  # a list
        count, kind, at = data[at] >> 4, data[at] & 15, at + 1
        if count == 15:
            count, at = _varint(data, at)
        values = []
        for _ in range(count):
            value, at = (data[at] == 1, at + 1) if kind in (1, 2) else _thrift_value(data, at, kind)
            values.append(value)
        return values, at
    if kind == 12:  # a struct
        return _thrift(data, at)
    raise ValueError(DAMAGED)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError(DAMAGED)


def _stream_messages(arrow: ModuleType, content: bytes) -> Iterator[Any]:
    reader = arrow.ipc.MessageReader.open_stream(arrow.py_buffer(content))
    with contextlib.suppress(StopIteration):
        while True:
            yield reader.read_next_message()


def _file_messages(arrow: ModuleType, content: bytes) -> Iterator[Any]:
    """The messages that the index at a file's end names, dictionaries first."""
    data = memoryview(content)
    (length,) = struct.unpack_from("<i", data, len(data) - 10)
    footer = data[len(data) - 10 - length :]
    root = _follow(footer, 0)
    for number in (2, 3):
        if at := _field(footer, root, number):
            blocks = _follow(footer, at)
            for i in range(struct.unpack_from("<I", footer, blocks)[0]):
                (offset,) = struct.unpack_from("<q", footer, blocks + 4 + 24 * i)
                yield arrow.ipc.read_message(arrow.py_buffer(data[offset:]))


def _expanded(metadata: Any, body: Any) -> int:
    """Bytes that the buffers of an Arrow message take after decompression, as each says itself.

    References:
      Apache Arrow, format/Message.fbs and File.fbs: the order of the tables' fields; FlatBuffers, "Internals".
    """
    data = memoryview(metadata)
    message = _follow(data, 0)
    kind = data[_field(data, message, 1)]
    if body is None or kind not in (DICTIONARY, RECORDS):
        return 0
    records = _follow(data, _field(data, message, 2))
    if kind == DICTIONARY:
        records = _follow(data, _field(data, records, 1))
    if not _field(data, records, 3):
        return body.size  # it is not compressed
    buffers, size = _follow(data, _field(data, records, 2)), 0
    for number in range(struct.unpack_from("<I", data, buffers)[0]):
        start, length = struct.unpack_from("<qq", data, buffers + 4 + 16 * number)
        if length:
            expanded = struct.unpack_from("<q", body, start)[0]
            size += length if expanded == -1 else _positive(expanded)
    return size


def _field(data: memoryview, table: int, number: int) -> int:
    """Where a table of FlatBuffers has this field; 0 if it has none."""
    entries = table - struct.unpack_from("<i", data, table)[0]
    (end,) = struct.unpack_from("<H", data, entries)
    (offset,) = struct.unpack_from("<H", data, entries + 4 + 2 * number) if 4 + 2 * number < end else (0,)
    return table + offset if offset else 0


def _follow(data: memoryview, at: int) -> int:
    """Where an offset of FlatBuffers points to."""
    return at + struct.unpack_from("<I", data, at)[0]
