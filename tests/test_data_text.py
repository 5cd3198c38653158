"""Texts as people keep them: what is recognised in them, what is said of it, and what is refused as open."""

import itertools

import numpy as np
import pytest

from jgen1d import data
from tests.columns import error, write

SEPARATORS = {",": "", ";": "separator ';'", "\t": "separator tab", "|": "separator '|'", " ": "separator blanks"}
ENCODINGS = {"utf-8": "", "utf-8-sig": "", "utf-16": "UTF-16", "cp1252": "Windows-1252"}


def taken(path, column=None, **options):
    """The values, and the notes in one text."""
    found = data.read_with_notes(path, column, data.Options(**options))
    return found.values, "; ".join(found.notes)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", [*SEPARATORS, "none"])
def test_a_column_is_read_back_exactly(tmp_path, separator, encoding, seed):
    """Whatever separates the cells, in every encoding, with either decimal mark, newline, header and compression."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=20) * 10.0 ** rng.integers(-12, 12, 20)
    values[:3] = [0.0, -7.0, 1e30]
    cases = itertools.product(".,", ("\n", "\r\n", "\r"), (True, False), ("csv", "tsv", "txt"), ("", ".gz"))
    for decimal, newline, has_header, kind, compression in cases:
        numbers = [repr(float(value)).replace(".", decimal) for value in values]
        if separator == "none":
            rows = [["größe"], *([number] for number in numbers)]
        else:
            is_quoted = separator == decimal
            numbers = [f'"{number}"' for number in numbers] if is_quoted else numbers
            others = [f'"{k},5"' if is_quoted else f"{k}{decimal}5" for k in range(len(numbers))]
            rows = [["größe", "x"], *map(list, zip(numbers, others, strict=True))]
        text = newline.join(("" if separator == "none" else separator).join(row) for row in rows[not has_header :])
        path = write(tmp_path, f"a.{kind}{compression}", text.encode(encoding))
        # A comma that could separate cells is a decimal comma only if the caller says so.
        given = {"decimal": ","} if decimal == "," and separator in ",none" else {}
        for options in (given, {"decimal": decimal}):
            read, notes = taken(path, "größe" if has_header else 0, **options)
            np.testing.assert_array_equal(read, values)
            assert ("decimal comma" in notes) == (decimal == ",")
            if has_header:
                assert ENCODINGS[encoding] in notes
            if separator in SEPARATORS and (kind == "txt" or separator in ";| "):
                assert SEPARATORS[separator] in notes


@pytest.mark.parametrize("group", [",", ".", "'", "’", "\u00a0", "\u2009", "\u202f"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_thousands_are_read_back_exactly(tmp_path, separator, decimal, group):
    if group == decimal:
        return
    values = np.round(np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(50) ** 0.5, 2)
    marks = {",": group, ".": decimal}
    numbers = ["".join(marks.get(c, c) for c in f"{value:,.2f}") for value in values]
    path = write(tmp_path, "a.csv", "\n".join(["x" + separator + "k", *(f'"{n}"{separator}1' for n in numbers)]))
    options = {"decimal": ","} if (separator, decimal) == (",", ",") else {}
    read, notes = taken(path, "x", **options)
    np.testing.assert_array_equal(read, values)
    assert "thousands separator" in notes


@pytest.mark.parametrize(
    ("name", "text", "column", "options", "values", "notes"),
    [
        ("a.csv", "x,y\n1,2\n3,4\n", "y", {}, [2, 4], ()),
        ("a.tsv", "x\ty\n1\t2\n3\t4\n", "y", {}, [2, 4], ()),
        ("a.txt", "1\n2\n", None, {}, [1, 2], ()),
        ("a.txt", "x\n1.5\n2\n", "x", {}, [1.5, 2], ()),
        ("a.txt", "  x   y\n 1.5  2\n10.5 14\n", "y", {}, [2, 14], ("separator blanks",)),
        ("a.txt", "1.5 \t 2\n10.5 14\n", 0, {}, [1.5, 10.5], ("separator blanks",)),
        ("a.csv", "my name,x\nJohn Smith,1\nJane Doe,2\n", "x", {}, [1, 2], ()),
        ("a.csv", "day time,x\n2020-01-01 10:00,1\n2020-01-01 11:00,2\n", "x", {}, [1, 2], ()),
        ("a.csv", "1, 2, 3\n4, 5, 6\n", 1, {}, [2, 5], ()),
        ("a.csv", "x,tags\n1,a;b\n2,c;d\n", "x", {}, [1, 2], ()),
        ("a.csv", "x,tags\n1,\n2,c|d|e\n", "x", {}, [1, 2], ()),
        ("a.csv", "1,5;2,5\n3,5;4,5\n", 1, {}, [2.5, 4.5], ("separator ';', decimal comma",)),
        ("a.csv", "k;x\n1;2\n3;4,5\n", "x", {}, [2, 4.5], ("separator ';', decimal comma",)),
        ("a.csv", "a,b,c d\n1,2,3 4\n5,6,7 8\n", 0, {}, [1, 5], ()),
        ("a.csv", "sep=;\nk;x\n1;2\n3;4\n", "x", {"skip_rows": 1}, [2, 4], ("separator ';'",)),
        ("a.csv", "k;x\n1;1.234\n3;4.5\n", "x", {}, [1.234, 4.5], ("separator ';'",)),
        ("a.csv", "k;x\n1;1.234\n3;4.567\n", "x", {}, [1.234, 4.567], ("separator ';'",)),
        ("a.csv", "k;x\n1;1.234.567\n3;4\n", "x", {}, [1234567, 4],
         ("separator ';', decimal comma, thousands separator '.'",)),
        ("a.csv", 'k,x\n1,"1,234,567"\n3,4\n', "x", {}, [1234567, 4], ("thousands separator ','",)),
        ("a.csv", 'k,x\n1,"1,234"\n3,4.5\n', "x", {}, [1234, 4.5], ("thousands separator ','",)),
        ("a.csv", 'k,x\n1,"1,234"\n3,4\n', "x", {"decimal": "."}, [1234, 4], ("thousands separator ','",)),
        ("a.csv", 'k,x\n1,"1,234"\n3,4\n', "x", {"decimal": ","}, [1.234, 4], ("decimal comma",)),
        ("a.csv", "x\n1,5\n2\n", "x", {"decimal": ","}, [1.5, 2], ("decimal comma",)),
        ("a.csv", "1,5\n2,25\n", None, {"decimal": ","}, [1.5, 2.25], ("decimal comma",)),
        ("a.csv", "k;x\nmin;mm\n1;1,5\n3;2\n", "x", {}, [1.5, 2],
         ("separator ';', decimal comma", "row 2 'min;mm' taken as units")),
        ("a.csv", "k,x\n,[m/s]\n1,2\n3,4\n", "x", {}, [2, 4], ("row 2 ',[m/s]' taken as units",)),
        ("a.csv", "x\n%\n2\n4\n", "x", {}, [2, 4], ("row 2 '%' taken as units",)),
        ("a.csv", "# by me\nk,x\n1,2\n # more\n3,4\n#", "x", {"comment": "#"}, [2, 4], ()),
        ("a.csv", 'k,x\n"a\n#b",2\nc,4\n', "x", {"comment": "#"}, [2, 4], ()),
        ("a.csv", '// "it\nx\n1\n2\n', "x", {"comment": "//"}, [1, 2], ()),
        ("a.csv", "A title, and\n\nmore\nk,x\n1,2\n3,4\n", "x", {"skip_rows": 3}, [2, 4], ()),
        ("a.csv", "k;x\n1;\n2;NA\n3;5\n4;-\n5;?\n6;null\n7;6,5\n", "x", {"missing": "drop"}, [5, 6.5],
         ("separator ';', decimal comma", "5 rows with missing values dropped of 7")),
        ("a.csv", "x\n1\n\n2\n \n\n3\n\n", "x", {"missing": "drop"}, [1, 2, 3], ("3 blank lines left out",)),
        ("a.csv", "\nx\n1\nN/A\n2", "x", {"missing": "drop"}, [1, 2],
         ("1 blank line left out", "1 row with a missing value dropped of 3")),
        ("a.csv", "Na,K\n1,2\n3,4\n", "Na", {}, [1, 3], ()),
        ("a.csv", "k;x\n1;36028797018963968\n2;1,5\n", "x", {}, [2.0**55, 1.5],
         ("separator ';', decimal comma", "1 integer of 2^53 or more, which float64 may round")),
        ("a.csv", "x\n9007199254740991\n9007199254740993\n", "x", {"decimal": "."}, [2.0**53 - 1, 2.0**53],
         ("1 integer of 2^53 or more, which float64 may round",)),
    ],
)  # fmt: skip
def test_what_is_recognised_is_said(tmp_path, name, text, column, options, values, notes):
    if values[0] == 2.0**53 - 1:
        text, values = text + "1\n", [*values, 1]  # neighbours are equal in float32
    found = data.read_with_notes(write(tmp_path, name, text), column, data.Options(**options))
    np.testing.assert_array_equal(found.values, values)
    assert found.notes == notes


@pytest.mark.parametrize(
    ("name", "text", "column", "options", "parts"),
    [
        ("a.csv", 'k,x\n1,"1,234"\n3,4\n', "x", {}, ["row 2, column 'x': '1,234'", "decimal='.' or decimal=','"]),
        ("a.csv", "k;x\n1;1,234\n3;4\n", "x", {}, ["row 2, column 'x': '1,234'", "decimal='.' or decimal=','"]),
        ("a.csv", "k;x\n1,5;1.234\n3;4\n", "x", {}, ["row 2, column 'x': '1.234'", "decimal='.' or decimal=','"]),
        ("a.csv", 'k,x\n1,"1,5"\n3,4\n', "x", {}, ["row 2, column 'x': '1,5'", "decimal=',' reads it"]),
        ("a.csv", "k;x\n1;1,5\n3;4\n", "x", {"decimal": "."}, ["row 2, column 'x': '1,5'", "decimal=',' reads it"]),
        ("a.csv", "k;x\n1;1.5\n3;4\n", "x", {"decimal": ","}, ["row 2, column 'x': '1.5'", "decimal='.' reads it"]),
        ("a.csv", "k;x\n1;1,5\n2;3\n3;4.5\n", "x", {}, ["row 4, column 'x': '4.5'", "as '1,5' in row 2"]),
        ("a.csv", "k;x\n1;1.5\n3;4,5\n", "x", {}, ["row 3, column 'x': '4,5'", "as '1.5' in row 2"]),
        ("a.csv", "k;x\n1;1.234,5\n3;4'000,5\n", "x", {}, ["row 3, column 'x': \"4'000,5\""]),
        ("a.csv", 'x,y\n1,"12,34,567"\n', "y", {}, ["'12,34,567'"]),
        ("a.csv", 'x,y\n1,"1,234.567,8"\n', "y", {}, ["'1,234.567,8'"]),
        ("a.csv", 'x,y\n1,"0,123,456"\n', "y", {}, ["'0,123,456'"]),
        ("a.csv", "x;y\n1;1 234,5\n", "y", {}, ["'1 234,5'"]),
        ("a.csv", "x;y\n1;1_234\n", "y", {}, ["'1_234'"]),
        ("a.csv", "x;y\n1;2020-01-01\n2;2020-01-02\n", "y", {}, ["row 2, column 'y': '2020-01-01'"]),
        ("a.csv", "x;y\nd;2020-01-01\n2;3\n", "y", {}, ["row 2, column 'y': '2020-01-01'"]),  # no units
        ("a.csv", "x,y\nmin,mm\nmin,mm\n1,2\n", "y", {}, ["row 3, column 'y': 'mm'"]),
        ("a.csv", "x,y\n5,mm\n1,2\n3,4", "y", {}, ["row 2, column 'y': 'mm'"]),
        ("a.csv", "x\nTrue\nFalse\n", "x", {}, ["row 2, column 'x': 'True'"]),
        ("a.csv", "x\ninf\n1\n2\n", "x", {}, ["row 2, column 'x': 'inf'"]),
        ("a.csv", "k,x\nm,\n1,2\n3,4\n", "x", {}, ["row 2, column 'x': empty cell", "missing='drop'"]),
        ("a.csv", "x\n3,14\n2,71\n", "x", {}, ["row 1: 'x'", "separated by ','", "decimal=','"]),
        ("a.txt", "3,14\n2,71\n", None, {}, ["number of columns is 2", "from 0 to 1", "decimal=','"]),
        ("a.csv", "Zeit;Betrag\n1\n2\n", "Betrag", {}, ["no column 'Betrag'", "'Zeit;Betrag'", "separated by ';'"]),
        ("a.csv", "Zeit\tBetrag\n1\n2\n", "Zeit", {}, ["no column 'Zeit'", "'Zeit\\tBetrag'", "separated by tab"]),
        ("a.csv", "Konto\nx;y\n1;2\n3;4\n", "y", {}, ["row 1: 'Konto'", "separated by ';'", "row 2", "skip_rows=1"]),
        ("a.csv", "Konto\n\n7\nx\ty\n1\t2\n", "y", {}, ["row 1: 'Konto'", "by tab", "row 4", "skip_rows=3"]),
        ("a.csv", "# by me\nx,y\n1,2\n", "y", {}, ["row 1: '# by me'", "comment='#'"]),
        ("a.txt", "# x y\n1 2\n3 4\n", 0, {}, ["row 1: '#'", "separated by blanks", "comment='#'"]),
        ("a.csv", "x,y\n1,2\n# by me\n3,4\n", "y", {}, ["row 3", "cells is 1", "comment='#'"]),
        ("a.csv", "x;y\n1;2\n3;4\n5\n", "y", {}, ["row 4", "cells is 1", "must be 2", "separated by ';'"]),
        ("a.csv", "x,y\n1,2\n3,4\n\n5,6\n", "x", {}, ["row 4", "blank", "missing='drop'"]),
        ("a.csv", "x\n1\nNA\n", "x", {}, ["row 3, column 'x': 'NA'", "missing='drop'"]),
        ("a.csv", "x\n1\nNA\n", "x", {"missing": "drop"}, ["number of values is 1"]),
        ("a.csv", "NA,5\n1,2\n3,4\n", 1, {}, ["row 1, column 0: 'NA'", "header", "skip_rows=1"]),
        ("a.csv", ",0\n1,2\n3,4\n", 1, {"missing": "drop"}, ["row 1, column 0: ''", "header", "skip_rows=1"]),
        ("a.csv", "sep=;\nx;y\n1;2\n3;4\n", "x", {}, ["row 1: 'sep=;'", "skip_rows=1"]),
        ("a.csv", "x\n1\n2\n", "x", {"skip_rows": 3}, ["empty", "skip_rows=3"]),
        ("a.csv", "#x\n#1\n", "x", {"comment": "#"}, ["empty"]),
        ("a.csv", "x\n1\n2\n", "x", {"decimal": ";"}, ["decimal=';'", "'.' or ','"]),
        ("a.csv", "x\n1\n2\n", "x", {"missing": None}, ["missing=None", "'refuse' or 'drop'"]),
        ("a.csv", "x\n1\n2\n", "x", {"missing": ["drop"]}, ["missing=['drop']", "'refuse' or 'drop'"]),
        ("a.csv", "x\n1\n2\n", "x", {"comment": " "}, ["comment=' '"]),
        ("a.csv", "x\n1\n2\n", "x", {"comment": 5}, ["comment=5"]),
        ("a.csv", "x\n1\n2\n", "x", {"skip_rows": -1}, ["skip_rows=-1", "from 0"]),
        ("a.csv", "x\n1\n2\n", "x", {"skip_rows": True}, ["skip_rows=True", "integer"]),
        ("a.jsonl", "1\n2\n", None, {"decimal": ","}, ["decimal=','", ".csv, .tsv and .txt files only"]),
        ("a.npy", "1\n2\n", None, {"skip_rows": 1}, ["skip_rows=1", ".csv, .tsv and .txt files only"]),
    ],
)  # fmt: skip
def test_what_leaves_something_open_is_refused(tmp_path, name, text, column, options, parts):
    message = error(write(tmp_path, name, text), column, **options)
    assert all(part in message for part in parts), message


def test_a_table_is_recognised_by_its_first_lines_and_checked_to_its_end(tmp_path):
    rows = ["x;y", *(f"{k},5;{k}" for k in range(2_000))]
    values, notes = taken(write(tmp_path, "a.csv", "\n".join(rows)), "x")
    np.testing.assert_array_equal(values, np.arange(2_000) + 0.5)
    assert notes == "separator ';', decimal comma"
    assert "row 1502, column 'x': '0.5'" in error(write(tmp_path, "b.csv", "\n".join([*rows[:1501], "0.5;7"])), "x")
    assert "row 1502: the number of cells" in error(write(tmp_path, "b.csv", "\n".join([*rows[:1501], "7"])), "x")


@pytest.mark.parametrize("seed", range(20))
def test_random_texts_are_read_or_refused_in_one_line(tmp_path, seed):
    rng = np.random.default_rng(seed)
    alphabet = np.array([*"0123456789.,;|\t\n\r \"'#-+eENAxy%\u00a0ß\0", "1.5", "1,5", "\n", "\n", ";", "NA"])
    for _ in range(200):
        text = "".join(rng.choice(alphabet, rng.integers(1, 40)))
        encoding = rng.choice(["utf-8", "utf-16", "latin-1"])
        path = write(tmp_path, str(rng.choice(["a.csv", "a.tsv", "a.txt", "a.jsonl"])), text.encode(encoding))
        missing = str(rng.choice(["refuse", "drop"]))
        try:
            values, message = data.read_column(path, 0, missing=missing), f"{path}: "
        except ValueError as refused:
            values, message = np.zeros(0), str(refused)
        assert np.isfinite(values).all(), text
        assert message.isprintable(), text
        assert message.startswith(f"{path}: "), text
