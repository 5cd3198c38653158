"""What can be done with one or two columns of a user's numbers? Read as an array or a target; see what was taken."""

from jgen1d.data.columns import Column, Options
from jgen1d.data.facts import Facts, examine, make_target
from jgen1d.data.reading import as_target, read, read_column, read_target, read_with_notes

__all__ = [
    "Column",
    "Facts",
    "Options",
    "as_target",
    "examine",
    "make_target",
    "read",
    "read_column",
    "read_target",
    "read_with_notes",
]
