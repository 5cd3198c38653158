"""Columns with types: JSON lines, Parquet, Arrow, and tables of pandas, polars and pyarrow."""

import builtins
import datetime
import decimal
import gzip
import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from jgen1d import data
from tests.columns import error, write
from tests.test_data import measure

COMPRESSIONS = {"parquet": ("none", "snappy", "gzip", "zstd", "lz4"), "feather": ("uncompressed", "lz4", "zstd")}


def write_stream(table, path):
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, 7)


def write_json(table, path):
    text = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


WRITERS = {
    **{f"{c}.parquet": lambda table, path, c=c: pa.parquet.write_table(table, path, compression=c, row_group_size=7)
       for c in COMPRESSIONS["parquet"]},
    **{f"{c}.feather": lambda table, path, c=c: pa.feather.write_feather(table, path, compression=c, chunksize=7)
       for c in COMPRESSIONS["feather"]},
    "stream.arrow": write_stream, "a.jsonl": write_json, "a.jsonl.gz": write_json,
    "polars.parquet": lambda table, path: pl.from_arrow(table).write_parquet(path),
    "polars.arrow": lambda table, path: pl.from_arrow(table).write_ipc(path, compression="lz4"),
}  # fmt: skip
OBJECTS = {
    "pyarrow Table": lambda table: table, "polars DataFrame": pl.from_arrow,
    "RecordBatch": lambda table: table.combine_chunks().to_batches()[0],
}  # fmt: skip


def sources(table, folder):
    """The table in every format, and as every object."""
    for name, writer in WRITERS.items():
        writer(table, folder / name)
        yield name, folder / name
    yield from ((name, make(table)) for name, make in OBJECTS.items())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int8, np.uint16])
def test_a_column_is_read_back_exactly(tmp_path, kind, seed):
    """In every format and from every object, with other columns of other types, with and without missing values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=30) * 10.0 ** rng.integers(-12, 12, 30)
    values = (values if np.dtype(kind).kind == "f" else rng.integers(0, 100, 30)).astype(kind)
    others = {"größe, ;": list("äb") * 15, "no": [None] * 30, "list": [[1, 2]] * 30}
    whole = pa.table(
        {"s": ["x"] * 30, "x": values, "gaps": [None if k % 3 else v for k, v in enumerate(values.tolist())], **others}
    )
    for name, source in sources(whole, tmp_path):
        for column in ("x", 1, "1"):
            found = data.read_with_notes(source, column)
            np.testing.assert_array_equal(found.values, values.astype(np.float64), err_msg=name)
            assert (found.name, found.notes) == ("x", ())
        found = data.read_with_notes(source, "gaps", options=data.Options(missing="drop"))
        np.testing.assert_array_equal(found.values, values[::3].astype(np.float64), err_msg=name)
        assert found.notes == ("20 rows with missing values dropped of 30",)
        with pytest.raises(ValueError, match=r"row 2, column 'gaps': .*null: .*missing='drop'"):
            data.read(source, "gaps")


TABLE = pa.table(
    {
        "x": [1.5, 2.0, 4.0], "nan": [1.0, float("nan"), 2.0], "inf": [1.0, 2.0, float("inf")],
        "far": [1.0, 2.0, 1e301],
        "large": [1, 2**53 + 1, 2**62], "unsigned": pa.array([1, 2, 2**64 - 1], pa.uint64()),
        "half": pa.array(np.array([1, 2, 3], np.float16)), "text": ["1", "2", "3"], "bool": [True, False, True],
        "time": pa.array([1, 2, 3], pa.timestamp("us")), "day": [datetime.date(2020, 1, k) for k in (1, 2, 3)],
        "span": pa.array([1, 2, 3], pa.duration("s")), "decimal": [decimal.Decimal(k) for k in ("1.5", "2", "3")],
        "category": pa.array(["a", "b", "a"]).dictionary_encode(), "list": [[1.0]] * 3, "struct": [{"x": 1.0}] * 3,
        "null": pa.nulls(3), "bytes": [b"1", b"2", b"3"],
    }
)  # fmt: skip
MUST = "must be integers or floats"


@pytest.mark.parametrize(
    ("column", "parts"),
    [
        ("inf", ["row 3, column 'inf': inf", "finite"]),
        ("far", ["row 3, column 'far': 1e+301", "finite"]),
        ("nan", ["row 2, column 'nan': nan", "missing='drop'"]),
        ("text", ["column 'text' has the type ", "str", MUST]),
        ("bool", ["column 'bool' has the type bool", MUST]),
        ("time", ["column 'time' has the type timestamp[us]", MUST, "convert times to numbers first"]),
        ("day", ["column 'day' has the type date32[day]", MUST, "convert times"]),
        ("span", ["column 'span' has the type duration[", MUST, "convert times"]),
        ("decimal", ["column 'decimal' has the type decimal128(", MUST]),
        ("category", ["column 'category' has the type dictionary<", MUST]),
        ("list", ["column 'list' has the type ", "list<", MUST]),
        ("struct", ["column 'struct' has the type struct<", MUST]),
        ("null", ["column 'null' has the type ", MUST]),
        ("bytes", ["column 'bytes' has the type ", "binary", MUST]),
        (None, ["number of columns is 1", "'x', 'nan'"]),
        ("test", ["no column 'test'", "'x', 'nan'", "mean 'text'"]),
        (18, ["no column 18", "from 0 to 1"]),
    ],
)
def test_columns_that_are_no_numbers_are_refused_by_name_and_type(tmp_path, column, parts):
    for name, source in sources(TABLE.drop_columns(["half"]), tmp_path):
        if name.startswith("a.jsonl"):
            continue
        with pytest.raises(ValueError, match="must be") as caught:
            data.read(source, column)
        assert all(part in str(caught.value) for part in parts), (name, str(caught.value))
        assert str(caught.value).isprintable()


def test_integers_that_float64_does_not_hold_are_noted(tmp_path):
    for name, source in sources(TABLE.select(["large", "unsigned", "x"]), tmp_path):
        found = data.read_with_notes(source, "large")
        assert found.notes == ("2 integers of 2^53 or more, which float64 may round",), name
        np.testing.assert_array_equal(found.values, [1, 2.0**53, 2.0**62])
        assert "1 integer of 2^53 or more" in data.read_with_notes(source, "unsigned").notes[0], name
        assert not data.read_with_notes(source, "x").notes
    path = write(tmp_path, "a.npy", np.array([1, 2**60]))
    assert "1 integer of 2^53 or more" in data.read_with_notes(path).notes[0]


def test_half_precision_and_nan_as_a_missing_value(tmp_path):
    for column, values in (("half", [1, 2, 3]), ("nan", [1, 2])):
        for source in (TABLE, TABLE[column], TABLE[column].combine_chunks()):
            column_of = column if source is TABLE else None
            np.testing.assert_array_equal(data.read_column(source, column_of, missing="drop"), values)
    path = write(tmp_path, "a.npy", np.array([1, np.nan, 2]))
    assert data.read_with_notes(path, options=data.Options(missing="drop")).notes == (
        "1 row with a missing value dropped of 3",
    )


def test_single_columns_are_read_and_named():
    series = pl.Series("waiting", [1.0, 2, 4])
    assert data.read(series).name == "waiting"
    assert data.read(pa.chunked_array([[1.0, 2], [4.0]])).name == "data"
    np.testing.assert_array_equal(data.read(series, num_samples=2, seed=1).params.shape, [2])
    with pytest.raises(ValueError, match=r"^Series: column='waiting': is for tables"):
        data.read(series, "waiting")
    with pytest.raises(ValueError, match=r"^Series: num_samples=4: must be an integer from 2 to 3"):
        data.read(series, num_samples=4)
    with pytest.raises(ValueError, match=r"^Series: decimal=',': is for .csv"):
        data.read(series, decimal=",")


@pytest.mark.parametrize(
    "source", [None, 5, 1.5, [1, 2], {"x": [1, 2]}, np.ones(3), b"a.csv", pl.LazyFrame({"x": [1, 2]})]
)
def test_what_is_no_source_is_refused(source):
    with pytest.raises(ValueError, match=f"^{type(source).__name__}: must be a path, or a table or column"):
        data.read(source)


class Series:
    """What is used of a pandas Series without pyarrow."""

    def __init__(self, values, name=None):
        self.values, self.name = np.array(values), name

    def __len__(self):
        return len(self.values)

    def to_numpy(self):
        return self.values


class Frame(dict):
    """What is used of a pandas DataFrame."""

    to_numpy = None

    @property
    def columns(self):
        return list(self)


def test_tables_without_the_interface_are_read_by_to_numpy():
    frame = Frame(
        {"x": Series([1.0, 2, np.nan]), 5: Series([2**60, 1]), "s": Series(["a", "b"]), "o": Series([1, None])}
    )
    np.testing.assert_array_equal(data.read_column(frame, "x", missing="drop"), [1, 2])
    assert data.read_with_notes(frame, "5").notes == ("1 integer of 2^53 or more, which float64 may round",)
    assert data.read(Series([1, 2], "waiting")).name == "waiting"
    for column, kind in (("s", "<U1"), ("o", "object")):
        with pytest.raises(ValueError, match=f"^Frame: column '{column}' has the type {kind}: {MUST}"):
            data.read(frame, column)
    with pytest.raises(ValueError, match="no column 'y'"):
        data.read(frame, "y")


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrow"])
def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch, name):
    path = tmp_path / name
    WRITERS["snappy.parquet" if name == "a.parquet" else "lz4.feather"](TABLE, path)
    for module in [module for module in sys.modules if module.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    original = builtins.__import__

    def without(name, *more):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name)
        return original(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert 'needs pyarrow: pip install "jgen1d[data]"' in error(path, "x")


def test_no_library_of_tables_is_imported_with_the_package():
    code = "import sys, jgen1d.data; print([name for name in ('pyarrow', 'polars', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- JSON lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "values", "notes"),
    [
        ("1\n2.5\n-3e2\n", None, [1, 2.5, -300], ()),
        ("1\r\n2\r\n\r\n", 0, [1, 2], ()),
        ('{"x": 1}\n{"x": 2, "y": [1]}\n', None, [1, 2], ()),
        ('{"s": "a", "x": 1}\n{"x": 2}\n', "x", [1, 2], ()),
        ('\ufeff{"s": {"x": 5}, "x": 1}\n{"x": 2}\n', 1, [1, 2], ()),
        ('{"x": 1}\n{"x": null}\n{"x": NaN}\n{}\n\n{"x": 2}\n', "x", [1, 2],
         ("1 blank line left out", "3 rows with missing values dropped of 5")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines(tmp_path, name, text, column, values, notes):
    found = data.read_with_notes(write(tmp_path, name, text), column, options=data.Options(missing="drop"))
    np.testing.assert_array_equal(found.values, values)
    assert found.notes == notes


@pytest.mark.parametrize(
    ("text", "column", "parts"),
    [
        ("", None, ["empty"]),
        ("1\ntwo\n", None, ["row 2: 'two'", "must be a number, or an object"]),
        ('1\n"2"\n', None, ["row 2: '\"2\"'", "must be a number, or an object"]),
        ("1\ntrue\n", None, ["row 2: 'true'", "must be a number, or an object"]),
        ("[1, 2]\n", None, ["row 1: '[1, 2]'", "must be a number, or an object"]),
        ("{\n", None, ["row 1: '{'", "must be a number, or an object"]),
        ("{}\n", None, ["row 1: '{}'", "must be a number, or an object"]),
        ("1\n" + "[" * 100_000, None, ["row 2: '[[[", "must be a number"]),
        ("1\n" + "9" * 5_000, None, ["row 2: '999", "must be a number"]),
        ('{"x": 1, "x": 2}\n', "x", ["row 1", "must be a number, or an object"]),
        ('{"x": 1}\n2\n', "x", ["row 2: '2'", "must be an object"]),
        ('1\n{"x": 1}\n', None, ["row 2", "must be a number"]),
        ('{"x": 1}\n{"x": "2"}\n', "x", ["row 2, column 'x': \"2\"", "finite decimal number"]),
        ('{"x": 1}\n{"x": true}\n', "x", ["row 2, column 'x': true"]),
        ('{"x": 1}\n{"x": [2]}\n', "x", ["row 2, column 'x': [2]"]),
        ('{"x": 1}\n{"x": {"y": 2}}\n', "x", ["row 2, column 'x': {\"y\": 2}"]),
        ('{"x": 1}\n{"x": 1e301}\n', "x", ["row 2, column 'x': 1e+301"]),
        ('{"x": 1}\n{"x": Infinity}\n', "x", ["row 2, column 'x': Infinity"]),
        ('{"x": 1}\n{"x": null}\n', "x", ["row 2, column 'x': null", "missing='drop'"]),
        ('{"x": 1}\n{"y": 2}\n', "x", ["row 2, column 'x': no value", "missing='drop'"]),
        ('{"x": 1}\n\n{"x": 2}\n', "x", ["row 2", "blank", "missing='drop'"]),
        ('{"minutes": 1, "waiting": 2}\n', "wating", ["no column 'wating'", "mean 'waiting'"]),
        ('{"minutes": 1, "waiting": 2}\n', None, ["number of columns is 2", "'minutes', 'waiting'"]),
        ("1\n1\n", None, ["all 2 values are 1"]),
        ("1\n2\0\n", None, ["row 2", "UTF-8"]),
    ],
)
def test_what_json_lines_must_not_be(tmp_path, text, column, parts):
    message = error(write(tmp_path, "a.jsonl", text), column)
    assert all(part in message for part in parts), message


# --- damage and size ----------------------------------------------------------------------------------------------

HOSTILE = ["none.parquet", "gzip.parquet", "lz4.feather", "zstd.feather", "uncompressed.feather", "stream.arrow"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_truncated_tables(tmp_path, name, share):
    WRITERS[name](pa.table({"x": np.random.default_rng(0).normal(size=300)}), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    assert "damaged" in error(tmp_path / name)


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_tables_are_read_or_refused_in_one_line(tmp_path, name):
    """Bytes are changed in the places that say what there is; a wrong one there could end the process."""
    rng = np.random.default_rng(0)
    WRITERS[name](pa.table({"x": rng.normal(size=30), "s": ["a", None] * 15}), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(min(len(content), 700), size=rng.integers(1, 4)):
            changed[place if rng.integers(2) else -1 - place] = rng.integers(256)
        (tmp_path / name).write_bytes(changed)
        try:
            data.read_column(tmp_path / name, "x", missing="drop")
            message = ""
        except ValueError as refused:
            message = str(refused)
        assert message.isprintable()


@pytest.mark.parametrize("name", ["none.parquet", "uncompressed.feather", "stream.arrow", "a.jsonl", "a.jsonl.gz"])
def test_the_size_is_limited(tmp_path, monkeypatch, name):
    WRITERS[name](pa.table({"x": np.arange(1000.0)}), tmp_path / name)
    monkeypatch.setattr(data.limits, "MAX_BYTES", 100_000)
    assert len(data.read_column(tmp_path / name)) == 1000
    monkeypatch.setattr(data.limits, "MAX_BYTES", 5_000)
    message = error(tmp_path / name)
    assert "at most" in message or "expands to more than 5000 bytes" in message


@pytest.mark.parametrize("name", ["zstd.parquet", "gzip.parquet", "zstd.feather", "lz4.feather"])
def test_tables_that_expand_are_limited(tmp_path, monkeypatch, name):
    format = name.partition(".")[2]
    writer = {"parquet": pa.parquet.write_table, "feather": pa.feather.write_feather}[format]
    options = {"use_dictionary": False} if format == "parquet" else {}
    writer(pa.table({"x": np.zeros(100_000)}), tmp_path / name, compression=name.partition(".")[0], **options)
    monkeypatch.setattr(data.limits, "MAX_BYTES", 400_000)
    message = error(tmp_path / name)
    assert "at most 50000 are allowed" in message or "expands to more than 400000 bytes" in message


def parquet(values, **options):
    file = io.BytesIO()
    pa.parquet.write_table(pa.table({"x": values}), file, use_dictionary=False, write_statistics=False, **options)
    return bytearray(file.getvalue())


def varint(value):
    """As Thrift writes it, in zigzag coding."""
    value, found = 2 * value, b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def test_a_parquet_file_that_declares_a_trillion_rows(tmp_path):
    """The number is changed in the footer, in which it stands for the file and for the row group."""
    content = parquet(np.arange(2.0**20))
    length = struct.unpack("<I", content[-8:-4])[0]
    footer = bytes(content[-8 - length : -8]).replace(varint(2**20), varint(10**12))
    path = tmp_path / "a.parquet"
    path.write_bytes(content[: -8 - length] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    message, peak = measure(path)
    assert "the number of rows is 1000000000000: at most 33554432 are allowed" in message
    assert peak < 16 * 2**20 + len(content)


def test_a_parquet_page_that_expands_to_more_than_the_file_says(tmp_path, monkeypatch):
    values = np.concatenate([np.random.default_rng(0).normal(size=50_000), np.zeros(1_200_000)])
    pages = {"data_page_size": 2**30, "max_rows_per_page": 2**30, "write_batch_size": 2**26}
    content = parquet(values, compression="gzip", **pages)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(100)) + packer.flush()
    start = content.index(b"\x1f\x8b\x08")  # of the page; its header begins with the type, 0, and the expanded size
    size = slice(7, 7 + len(varint(100 * 2**20)))
    assert len(varint(len(values) * 8)) == size.stop - size.start
    content[size], content[start : start + len(bomb)] = varint(100 * 2**20), bomb
    (tmp_path / "a.parquet").write_bytes(content)
    monkeypatch.setattr(data.limits, "MAX_BYTES", 2**25)
    before = pa.default_memory_pool().max_memory()
    assert "expands to more than 33554432 bytes" in error(tmp_path / "a.parquet")
    assert pa.default_memory_pool().max_memory() == before < 100 * 2**20


def test_an_arrow_buffer_that_claims_a_terabyte(tmp_path):
    path = tmp_path / "a.feather"
    pa.feather.write_feather(pa.table({"x": np.arange(1000.0)}), path, compression="zstd")
    content = path.read_bytes()
    assert content.count(struct.pack("<q", 8000)) == 1
    for claim, part in ((2**40, "expands to more than"), (-5, "damaged"), (7, "damaged")):
        path.write_bytes(content.replace(struct.pack("<q", 8000), struct.pack("<q", claim)))
        message, peak = measure(path)
        assert part in message
        assert peak < 2**20


@pytest.mark.parametrize("name", ["uncompressed.feather", "zstd.feather", "stream.arrow"])
def test_an_arrow_array_that_claims_more_values_than_there_are(tmp_path, name):
    """Its values would be read from memory that is not the array's."""
    if name == "stream.arrow":
        write_stream(pa.table({"x": np.arange(7.0)}), tmp_path / name)
    else:
        options = {"compression": name.partition(".")[0]}
        pa.feather.write_feather(pa.table({"x": np.arange(7.0)}), tmp_path / name, **options)
    content = (tmp_path / name).read_bytes()
    assert content.count(struct.pack("<q", 7)) >= 2
    (tmp_path / name).write_bytes(content.replace(struct.pack("<q", 7), struct.pack("<q", 70_000)))
    assert "damaged" in error(tmp_path / name)


def test_a_feather_file_of_version_1_is_refused_by_name(tmp_path):
    assert "Feather version 1" in error(write(tmp_path, "a.feather", b"FEA1" + b"\0" * 100))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.txt.gz", "a.jsonl.gz"])
def test_a_compressed_line_of_300_megabytes_is_refused_within_bounds(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"1" * 2**20, 1) * 300)
    message, peak = measure(path)
    assert "row 1: the line is too long" in message
    assert peak < 16 * 2**20
