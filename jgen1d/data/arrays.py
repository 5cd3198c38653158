"""Which columns are in NumPy's files, .npy and .npz?"""

from __future__ import annotations

import io
import math
import pathlib
import zipfile
from typing import IO

import numpy as np

from jgen1d.data import limits
from jgen1d.data.columns import Column, Options, as_index, choose, finished, short

NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAX_NPY_HEADER = 2**14  # NumPy itself refuses headers of more than 10,000 bytes.


def read_npy(file: IO[bytes], column: str | int | None, options: Options, name: str = "") -> Column:
    """Reads one column."""
    columns = read_matrix(file)
    index = choose(column, columns.shape[1], None)
    label = short(name) if name else f"{index}"
    return finished(columns[:, index], name, label, options.missing, columns.dtype.kind in "iu")


def read_matrix(file: IO[bytes]) -> np.ndarray:
    """Reads an array [n] or [n, k] as [n, k], its header first: `np.load` would allocate whatever size that claims."""
    data = file.read(MAX_NPY_HEADER)
    header = io.BytesIO(data)
    try:
        shape, is_fortran, dtype = NPY_HEADERS[np.lib.format.read_magic(header)](header)
    except Exception:  # the header is a Python literal, which can be wrong in many ways
        raise ValueError("not a NumPy array, or its header is damaged") from None
    size = math.prod(shape) * dtype.itemsize
    what = f"array {short(f'{dtype}{list(shape)}')[1:-1]}"
    if dtype.kind not in "iuf" or len(shape) not in (1, 2) or min(shape) < 0 or size > limits.MAX_BYTES:
        raise ValueError(f"{what}: must be integers or floats of shape [n] or [n, k], at most {limits.MAX_BYTES} bytes")
    data = data[header.tell() :]
    data += file.read(max(size - len(data), 0) + 1)
    if len(data) != size:
        found = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{what}: must be {size} bytes of data, but there are {found}")
    columns = np.ndarray(shape, dtype, data, order="F" if is_fortran else "C")
    return columns[:, None] if columns.ndim == 1 else columns


def read_signals(path: pathlib.Path) -> np.ndarray | None:
    """The only array of a file, if it is of signals [n, length], length ≥ 3; None for another file.

    Raises:
      ValueError: for a damaged one.
    """
    if path.name.lower().endswith(".npy"):
        with path.open("rb") as file:
            found = read_matrix(file)
    elif path.name.lower().endswith(".npz") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if len(members) != 1 or members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                return None
            with archive.open(members[0]) as array_file:
                found = read_matrix(array_file)
    else:
        return None
    return found if found.shape[1] > 2 else None


def read_npz(file: IO[bytes], column: str | int | None, options: Options) -> Column:
    """Reads one array of the archive, or a column of its only array."""
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        names = [member.filename.removesuffix(".npy") for member in members]
        if not names:
            raise ValueError("there is no array in the file")
        is_inner = len(names) == 1 and column not in names and as_index(column) is not None
        which = 0 if is_inner else choose(column, len(names), names)
        if members[which].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"array {short(names[which])}: must be uncompressed or deflated, as NumPy writes it")
        with archive.open(members[which]) as array_file:
            return read_npy(array_file, column if is_inner else None, options, names[which])
