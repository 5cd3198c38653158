"""What `data.read` accepts, and its one-line errors for everything else."""

import gzip
import io
import os
import pathlib
import tempfile
import tracemalloc
import zipfile

import jax
import numpy as np
import pytest

from jgen1d import data
from tests.columns import error, write

NOBODY = 65534
GEYSER = "minutes, waiting ,note\n3.6,79,long\n1.8,54,short\n3.333,74,long\n2.283,62,short\n"


@pytest.mark.parametrize("name", ["old.csv", "old.csv.gz", "OLD.CSV"])
@pytest.mark.parametrize("column", ["waiting", " waiting ", 1, "1", np.int64(1)])
def test_a_column_becomes_a_target(tmp_path, name, column):
    path = write(tmp_path, name, GEYSER)
    target = data.read(path, column)
    values = np.array([79.0, 54, 74, 62])
    assert target.name == "waiting"
    assert target.mean[0] == values.mean()
    assert target.std[0] == values.std()
    assert set(np.asarray(target.sample(jax.random.key(0), 100))[:, 0]) == set(values)
    column_values = data.read_column(str(path), column)
    assert column_values.dtype == np.float64
    np.testing.assert_array_equal(column_values, values)


@pytest.mark.parametrize(
    ("text", "column", "values", "name"),
    [
        ("x\n1\n2\n", None, [1, 2], "x"),
        ("1\n2\n", None, [1, 2], "file"),
        ("1\n2", 0, [1, 2], "file"),
        ("1,2\n3,4\n", 1, [2, 4], "file"),
        ("1,2\n3,4\n", "1", [2, 4], "file"),
        ("1,a\n2,b\n", 0, [2], None),  # "a" makes the first row a header, and leaves one value.
        ("0,1,y\n5,6,7\n8,9,1\n", "1", [6, 9], "1"),
        ("1,0,y\n5,6,7\n8,9,1\n", "1", [5, 8], "1"),  # a name takes precedence over an index
        ("1,0,y\n5,6,7\n8,9,1\n", 1, [6, 9], "0"),
        ("x,x\n1,2\n3,4\n", 1, [2, 4], "x"),
        (",x\n0,2\n1,4\n", "", [0, 1], "file"),
        (",x\n0,2\n1,4\n", "x", [2, 4], "x"),
        ('"a, b","c ""d"" "\n1,2\n3,4\n', 'c "d"', [2, 4], 'c "d"'),
        ('x,y\n"1","a\nb"\n"2",c\n', "x", [1, 2], "x"),
        ("\ufeffx,y\r\n1,2\r\n3,4\r\n\r\n", "x", [1, 3], "x"),
        ("\ufeff1\r\n2\r\n", None, [1, 2], "file"),
        ("x\r1\r2\r", None, [1, 2], "x"),
        ("x\n1\n2\n\n  \n\t\n", None, [1, 2], "x"),
        ("x\n 1 \n\t2\n", "x", [1, 2], "x"),
        ("größe\n1\n2\n", "größe", [1, 2], "größe"),
        ("x\n+1.\n-.5\n1e3\n2E-2\n-0\n", "x", [1, -0.5, 1000, 0.02, 0], "x"),
        ("x\n1\n1\n2\n", "x", [1, 1, 2], "x"),
    ],
)
def test_what_csv_may_look_like(tmp_path, text, column, values, name):
    path = write(tmp_path, "file.csv", text)
    if name is None:
        assert "number of values is 1" in error(path, column)
        return
    np.testing.assert_array_equal(data.read_column(path, column), values)
    assert data.read(path, column).name == name


ARRAY = np.array([[1.0, 5], [2, 6], [3, 7]])


@pytest.mark.parametrize(
    ("name", "content", "column", "values", "label"),
    [
        ("a.npy", ARRAY[:, 0], None, [1, 2, 3], "a"),
        ("a.npy", ARRAY[:, 0], 0, [1, 2, 3], "a"),
        ("a.npy", ARRAY[:, :1], None, [1, 2, 3], "a"),
        ("a.npy", ARRAY, "1", [5, 6, 7], "a"),
        ("a.npy", np.asfortranarray(ARRAY), 1, [5, 6, 7], "a"),
        ("a.npy", ARRAY.astype(">f4"), 1, [5, 6, 7], "a"),
        ("a.npy", ARRAY.astype(np.uint8), 1, [5, 6, 7], "a"),
        ("a.npy", ARRAY.astype(np.float16), 1, [5, 6, 7], "a"),
        ("a.npy", ARRAY.astype(np.longdouble), 1, [5, 6, 7], "a"),
        ("a.npy", np.arange(5000.0), 0, np.arange(5000), "a"),
        ("a.npz", {"x": ARRAY[:, 0]}, None, [1, 2, 3], "x"),
        ("a.npz", {"x": ARRAY[:, 0]}, "x", [1, 2, 3], "x"),
        ("a.npz", {"x": ARRAY}, 1, [5, 6, 7], "x"),
        ("a.npz", {"x": ARRAY[:, 0], "y": ARRAY[:, 1:]}, "y", [5, 6, 7], "y"),
        ("a.npz", {"x": ARRAY[:, 0], "y": ARRAY[:, 1]}, 1, [5, 6, 7], "y"),
        ("a.npz", {"0": ARRAY[:, 1]}, "0", [5, 6, 7], "0"),
    ],
)
def test_numpy_files(tmp_path, name, content, column, values, label):
    path = write(tmp_path, name, content)
    np.testing.assert_array_equal(data.read_column(path, column), values)
    assert data.read(path, column).name == label


def test_compressed_npz_and_npy_version_2(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=ARRAY[:, 0])
    np.testing.assert_array_equal(data.read_column(tmp_path / "a.npz"), [1, 2, 3])
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, ARRAY[:, 0], version=(2, 0))
    np.testing.assert_array_equal(data.read_column(tmp_path / "a.npy"), [1, 2, 3])


def test_a_subset_is_random_without_replacement_and_set_by_the_seed(tmp_path):
    path = write(tmp_path, "a.npy", np.arange(1000.0))
    subsets = [np.asarray(data.read(path, num_samples=512, seed=seed).params) for seed in (0, 0, 1)]
    assert all(len(np.unique(subset)) == 512 for subset in subsets)
    np.testing.assert_array_equal(subsets[0], subsets[1])
    assert not np.array_equal(subsets[0], subsets[2])
    # The mean of 512 of 1,000 values without replacement has a standard error of 8.9.
    assert abs(subsets[0].mean() - 499.5) < 4 * 8.9
    np.testing.assert_array_equal(data.read(path, num_samples=1000, seed=3).params, np.arange(1000.0))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"num_samples": 5}, ["num_samples=5", "from 2 to 4"]),
        ({"num_samples": 1}, ["num_samples=1", "from 2 to 4"]),
        ({"num_samples": 2.0}, ["num_samples=2.0", "integer"]),
        ({"num_samples": True}, ["num_samples=True", "integer"]),
        ({"num_samples": "2"}, ["num_samples='2'", "integer"]),
        ({"num_samples": 2, "seed": -1}, ["seed=-1", "from 0"]),
        ({"num_samples": 2, "seed": None}, ["seed=None", "integer"]),
    ],
)
def test_subsets_that_cannot_be_drawn(tmp_path, options, parts):
    message = error(write(tmp_path, "a.csv", GEYSER), "waiting", **options)
    assert all(part in message for part in parts), message


def test_a_subset_of_equal_values_is_refused(tmp_path):
    path = write(tmp_path, "a.npy", np.array([0.0] * 1000 + [1.0]))
    assert "num_samples=2, seed=0: all 2 values are 0" in error(path, num_samples=2)


@pytest.mark.parametrize(
    "cell",
    [
        *[
            "abc",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "Infinity",
            "1e999",
            "1e301",
            '"1,5"',
            "1_000",
            "0x1F",
            "1d5",
            "1e",
            "--1",
        ],
        *[".", "1 2", "$5", "5%", "١", "1\u00a0", '"1\n2"', '"a\x1b[31m\u2028b"', "True", "#N/A", "1.2.3", "w" * 4000],
    ],
)
def test_a_cell_that_is_no_number_is_named(tmp_path, cell):
    message = error(write(tmp_path, "a.csv", f"x,y\n1,2\n3,{cell}\n5,6\n"), "y")
    shown = cell.strip('"') if len(cell) < 40 else cell[:39] + "…"
    assert f"row 3, column 'y': {shown!r}: must be a finite decimal number" in message
    message = error(write(tmp_path, "b.csv.gz", f"1,2\n3,{cell}\n"), 1)
    assert "row 2, column 1: " in message


@pytest.mark.parametrize("cell", ["", "  ", '""'])
def test_an_empty_cell_is_named(tmp_path, cell):
    assert "row 3, column 'y': empty cell" in error(write(tmp_path, "a.csv", f"x,y\n1,2\n3,{cell}\n5,6\n"), "y")


def test_other_columns_may_hold_anything(tmp_path):
    path = write(tmp_path, "a.csv", "x,y\n1,\n2,nan\n3,word\n")
    np.testing.assert_array_equal(data.read_column(path, "x"), [1, 2, 3])


@pytest.mark.parametrize("row", ["1_000", '"1,5"', "nan", "-inf", "0x1F", "2020-01-01,5", ",5", '""', "12:30", "$5,1"])
def test_a_first_row_that_may_be_header_or_values_is_refused(tmp_path, row):
    message = error(write(tmp_path, "a.csv", f"{row}\n{row}\n"), 0)
    assert "row 1, column 0: " in message
    assert "header" in message


@pytest.mark.parametrize(
    ("text", "column", "parts"),
    [
        ("", None, ["empty"]),
        ("\n\r\n  \n", None, ["empty"]),
        ("\ufeff", None, ["empty"]),
        ("x\n", None, ["number of values is 0", "at least 2"]),
        ("x\n5\n", None, ["number of values is 1", "at least 2"]),
        ("5\n", None, ["number of values is 1", "at least 2"]),
        ("x\n5\n5.0\n5e0\n", None, ["all 3 values are 5", "at least 2 different"]),
        ("x,y\n1,2\n3,4\n", None, ["number of columns is 2", "'x', 'y'"]),
        ("1,2\n3,4\n", None, ["number of columns is 2", "from 0 to 1"]),
        ("minutes,waiting\n1,2\n3,4\n", "wating", ["no column 'wating'", "'minutes', 'waiting'", "mean 'waiting'"]),
        ("x,y\n1,2\n3,4\n", "", ["no column ''", "'x', 'y'"]),
        ("x,y\n1,2\n3,4\n", "a\nb" * 1000, ["no column 'a\\nb", "…"]),
        ("x,y\n1,2\n3,4\n", 2, ["no column 2", "from 0 to 1", "'x', 'y'"]),
        ("x,y\n1,2\n3,4\n", "2", ["no column '2'", "from 0 to 1"]),
        ("x,y\n1,2\n3,4\n", "9" * 5000, ["no column '999", "from 0 to 1"]),
        ("x,y\n1,2\n3,4\n", -1, ["no column -1", "from 0 to 1"]),
        ("x,y\n1,2\n3,4\n", True, ["no column True"]),
        ("x,y\n1,2\n3,4\n", 1.0, ["no column 1.0"]),
        ("1,2\n3,4\n", "x", ["no column 'x'", "from 0 to 1"]),
        ("x, x\n1,2\n3,4\n", "x", ["2 columns", "'x'", "index"]),
        (",".join(f"c{i}" for i in range(5000)) + "\n", "c", ["no column 'c'", "from 0 to 4999", "'c19', …"]),
        ('"a\nb",c\n1,2\n3,4\n', None, ["'a\\nb', 'c'"]),
        ("x,y\n1,2\n3\n", "x", ["row 3", "cells is 1", "must be 2"]),
        ("x,y\n1,2\n3,4,5\n", "x", ["row 3", "cells is 3", "must be 2"]),
        ("x,y\n1,2\n3,4\n \n5,6\n", "x", ["row 4", "blank"]),
        ("\nx\n1\n2\n", "x", ["row 1", "blank"]),
        ('x\n1\n""\n', "x", ["row 3, column 'x'", "empty cell"]),
        ('x,y\n1,"a\nb"\n2,c\nz,d\n', "x", ["row 5, column 'x'", "'z'"]),
        ('x,y\n1,2\n3,"4\n5,6\n', "x", ["row 3", "not valid CSV"]),
        ('x,y\n1,2\n3,"4"5\n', "x", ["row 3", "not valid CSV"]),
        ("x;y\n1\n3\n", "y", ["no column 'y'", "'x;y' seems to be separated by ';'"]),
        ("x;y\n1;2\n3;4;5\n", 0, ["row 3", "cells is 3", "must be 2", "separated by ';'"]),
        ("x\n1\n2\0\n", "x", ["row 3", "UTF-8"]),
        (b"x\n1\n2\xff\n", "x", ["row 3, column 'x': '2ÿ'"]),
        (b"x\n1\n2\xc3", "x", ["row 3, column 'x': '2Ã'"]),
        (b"x\n1\n\xed\xa0\x80\n", "x", ["row 3, column 'x': 'í\\xa0€'"]),
        (b"x\n1\n2\x01\xff\n", "x", ["row 3", "UTF-8"]),  # a control character
        (b"x\n1\n2\n\x81", "x", ["row 4", "UTF-8"]),  # not in Windows-1252
        (b"\xef\xbb\xbfx\n1\n2\xff\n", "x", ["row 3", "UTF-8"]),  # the mark says UTF-8
        ("x\n1\n2\n".encode("utf-16")[:-1], "x", ["row 3", "UTF-16"]),
        ("x\n1\n2\n".encode("utf-16-le"), "x", ["row 1", "UTF-8"]),  # without its mark
        ("x\n1\n2\n".encode("utf-32"), "x", ["row 1", "UTF-8"]),
        (bytes(range(256)) * 100, 0, ["row 1", "UTF-8"]),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_what_csv_must_not_look_like(tmp_path, name, text, column, parts):
    message = error(write(tmp_path, name, text), column)
    assert all(part in message for part in parts), message


def test_paths_that_are_no_files_to_read(tmp_path):
    assert "No such file" in error(tmp_path / "a.csv")
    assert "directory" in error(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    assert "directory" in error(tmp_path / "folder.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a file" in error(tmp_path / "pipe.csv")
    message = error(write(tmp_path, "a.xlsx", "x\n1\n2\n"))
    assert "'.xlsx': must be one of .csv, .tsv, .txt, .jsonl, .csv.gz" in message
    with pytest.raises(ValueError, match="null byte"):
        data.read("a\0.csv")
    with pytest.raises(ValueError, match=r"a\\nb\.csv': No such file") as caught:
        data.read("a\nb.csv")
    assert str(caught.value).isprintable()


def test_a_file_without_read_permission():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        path = write(pathlib.Path(folder), "a.csv", GEYSER)
        path.chmod(0)
        os.chmod(folder, 0o755)
        if user == 0:  # who may read everything
            os.seteuid(NOBODY)
        try:
            assert "Permission denied" in error(path, 0)
        finally:
            os.seteuid(user)


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_header(shape, descr="'<f8'", data=b""):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("content", "column", "parts"),
    [
        (np.array([1.0, np.nan, 2]), None, ["row 2, column ", "nan", "finite"]),
        (np.array([1.0, 2, -np.inf]), None, ["row 3, column ", "-inf", "finite"]),
        (np.array([[1.0, 5], [2, 1e301]]), 1, ["row 2, column ", "1e+301"]),
        (np.array([1, 2, np.longdouble("1e4000")]), None, ["row 3, column ", "inf"]),
        (np.array([1.0]), None, ["number of values is 1"]),
        (np.array([]), None, ["number of values is 0"]),
        (np.zeros((0, 3)), 2, ["number of values is 0"]),
        (np.zeros((3, 0)), 0, ["no column 0"]),
        (np.ones(7), None, ["all 7 values are 1"]),
        (np.array([1j, 2]), None, ["complex128[2]", "integers or floats"]),
        (np.array(["1", "2"]), None, ["<U1[2]", "integers or floats"]),
        (np.array([b"1", b"2"]), None, ["|S1[2]", "integers or floats"]),
        (np.array([True, False]), None, ["bool[2]", "integers or floats"]),
        (np.array(["2020", "2021"], "datetime64[Y]"), None, ["datetime64[Y][2]", "integers or floats"]),
        (np.zeros(2, [("x", "f8")]), None, ["integers or floats"]),
        (np.array([1.0, None, "x"]), None, ["object[3]", "integers or floats"]),
        (np.array(3.0), None, ["float64[]", "[n] or [n, k]"]),
        (np.zeros((2, 2, 2)), 0, ["float64[2, 2, 2]", "[n] or [n, k]"]),
        (ARRAY, None, ["number of columns is 2", "from 0 to 1"]),
        (ARRAY, 2, ["no column 2", "from 0 to 1"]),
        (ARRAY[:, 0], 1, ["no column 1", "from 0 to 0"]),
        (npy_header("(10**13,)"), None, ["header is damaged"]),
        (npy_header("(10000000000000,)"), None, ["float64[10000000000000]", "at most 268435456 bytes"]),
        (npy_header("(9999999999999999999999, 9999999999999999999999)"), 0, ["float64[999", "at most"]),
        (
            npy_header("(1000,)", data=b"\0" * 80),
            None,
            ["float64[1000]", "must be 8000 bytes of data, but there are 80"],
        ),
        (npy_header("(2,)", data=b"\0" * 17), None, ["float64[2]", "must be 16 bytes of data, but there are more"]),
        (npy_header("(-1,)"), None, ["float64[-1]", "[n] or [n, k]"]),
        (npy_header("(-4, -4)"), 0, ["float64[-4, -4]", "[n] or [n, k]"]),
        (npy_header("(" * 3000), None, ["header is damaged"]),
        (npy_header("(" + "1," * 3000 + ")"), None, ["[1, 1, ", "…"]),
        (npy_header("(2,)", descr="'no such'"), None, ["header is damaged"]),
        (b"", None, ["header is damaged"]),
        (b"x\n1\n2\n", None, ["header is damaged"]),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", None, ["header is damaged"]),
        (b"\x93NUMPY\x09\x00\x10\x00{}", None, ["header is damaged"]),
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_what_arrays_must_not_be(tmp_path, name, content, column, parts):
    content = npy_bytes(content) if isinstance(content, np.ndarray) else content
    path = tmp_path / name
    if name == "a.npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
    message = error(path, column)
    assert all(part in message for part in parts), message


def test_the_columns_of_an_array_have_no_names(tmp_path):
    message = error(write(tmp_path, "a.npy", ARRAY), "x")
    assert "no column 'x': must be an index from 0 to 1" in message


@pytest.mark.parametrize(
    ("content", "column", "parts"),
    [
        ({"x": ARRAY[:, 0], "yes": ARRAY[:, 1]}, None, ["number of columns is 2", "'x', 'yes'"]),
        ({"x": ARRAY[:, 0], "yes": ARRAY[:, 1]}, "yess", ["no column 'yess'", "'x', 'yes'", "mean 'yes'"]),
        ({"x": ARRAY[:, 0], "yes": ARRAY[:, 1]}, 2, ["no column 2", "from 0 to 1"]),
        ({"x": ARRAY[:, 0]}, "z", ["no column 'z'", "'x'"]),
        ({"x": ARRAY}, None, ["number of columns is 2", "from 0 to 1"]),
        ({"x": ARRAY}, 2, ["no column 2", "from 0 to 1"]),
        ({"x": ARRAY[:, 0], "y": ARRAY}, "y", ["number of columns is 2"]),
        ({"x": np.array([1, np.nan])}, "x", ["row 2, column 'x'", "nan"]),
        ({}, None, ["no array"]),
        (b"", None, ["damaged"]),
        (b"PK\x03\x04 and so on", None, ["damaged"]),
    ],
)
def test_what_npz_must_not_be(tmp_path, content, column, parts):
    message = error(write(tmp_path, "a.npz", content), column)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", ["a.csv.gz", "a.npz", "a.npy"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_files(tmp_path, name, share):
    values = np.random.default_rng(0).normal(size=3000)
    path = tmp_path / name
    if name == "a.npz":
        np.savez_compressed(path, x=values)
    else:
        write(tmp_path, name, "\n".join(map(str, values)) if name == "a.csv.gz" else values)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = error(path)
    assert "damaged" in message or "must be 24000 bytes" in message


@pytest.mark.parametrize("name", ["a.csv.gz", "a.npz"])
def test_corrupted_files(tmp_path, name):
    values = np.random.default_rng(0).normal(size=3000)
    path = write(tmp_path, name, "\n".join(map(str, values)) if name == "a.csv.gz" else {"x": values})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    error(path)
    path.write_bytes(b"x\n1\n2\n")
    assert "damaged" in error(path)


def test_zip_members_that_expand_without_bound_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", npy_bytes(ARRAY[:, 0]))
    assert "array 'x': must be uncompressed or deflated" in error(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", "1\n2\n" * 500, "the file has 2000 bytes: at most 1000"),
        ("a.csv.gz", "1\n2\n" * 500, "row 501: the text is too long: at most 10000000 lines, 1000 bytes"),
        ("a.npy", np.arange(200.0), "at most 1000 are allowed"),
        ("a.npz", None, "array float64[200]: must be integers or floats of shape [n] or [n, k], at most 1000 bytes"),
    ],
)
def test_the_size_is_limited_also_after_decompression(tmp_path, monkeypatch, name, content, part):
    path = tmp_path / name
    if content is None:
        np.savez_compressed(path, x=np.arange(200.0))
    else:
        write(tmp_path, name, content)
    assert len(data.read_column(path)) >= 200
    monkeypatch.setattr(data.limits, "MAX_BYTES", 1000)
    assert part in error(path)


def test_the_number_of_lines_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(data.limits, "MAX_LINES", 10)
    assert len(data.read_column(write(tmp_path, "a.csv", "1\n2\n" * 5))) == 10
    assert "row 11: the text is too long" in error(write(tmp_path, "a.csv", "1\n2\n" * 5 + "\n"))


GIBIBYTE_OF_ONES = gzip.compress(b"1" * 2**20, 1) * 2**10


def fields(opening, field, count):
    return lambda file: (file.write(opening), [file.write(field) for _ in range(count)])


@pytest.mark.parametrize(
    ("name", "make", "parts"),
    [
        ("sparse.csv", lambda file: (file.write(b"x\n1\n"), file.truncate(200 * 2**20)), ["row 3", "1048576"]),
        ("larger.csv", lambda file: (file.write(b"x\n1\n"), file.truncate(500 * 2**20)), ["524288000 bytes"]),
        ("field.csv", fields(b"x\n1\n", b"1" * 2**20, 32), ["row 3", "1048576"]),
        ("quoted.csv", fields(b'x\n1\n"', b"1" * 2**20, 32), ["row 3", "1048576"]),
        ("lines.csv", fields(b'x\n1\n"', (b"1" * 1023 + b"\n") * 1024, 32), ["row 3", "field limit"]),
        ("bomb.csv.gz", lambda file: file.write(GIBIBYTE_OF_ONES), ["row 1", "1048576"]),
    ],
)
def test_memory_is_bounded_for_giant_fields(tmp_path, name, make, parts):
    path = tmp_path / name
    with open(path, "wb") as file:
        make(file)
    message, peak = measure(path)
    assert all(part in message for part in parts), message
    assert peak < 16 * 2**20


@pytest.mark.parametrize("start", [npy_bytes(np.arange(10.0)), b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", b""])
def test_memory_is_bounded_for_zip_bombs(tmp_path, start):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as member,
    ):
        fields(start, b" " * 2**20, 64)(member)
    message, peak = measure(tmp_path / "a.npz")
    assert "header is damaged" in message or "there are more" in message
    assert peak < 16 * 2**20


def measure(path):
    """The error's message, and the peak of allocated bytes."""
    tracemalloc.start()
    try:
        return error(path), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_results_are_the_callers_own(tmp_path):
    values = data.read_column(write(tmp_path, "a.npy", ARRAY), 0)
    values += 1
    np.testing.assert_array_equal(data.read_column(tmp_path / "a.npy", 0), [1, 2, 3])
