"""Files with columns of numbers, and the one-line errors of those that are refused."""

import gzip
import re

import numpy as np
import pytest

from jgen1d import data


def write(folder, name, content):
    """Writes text, bytes, an array or a dict of arrays in the format that `name` says, and returns the path."""
    path = folder / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def error(path, column=None, **options):
    """The message of the ValueError, after checking what all messages must be."""
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        data.read(path, column, **options)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) - len(str(path)) < 400
    return message
