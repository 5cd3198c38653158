"""How large may a file be, and which numbers are allowed in it?"""

from __future__ import annotations

MAX_BYTES = 2**28
"""The largest file, also after decompression: 256 MiB, 33 million float64. A few kB can expand to terabytes."""
MAX_LINE = 2**20
"""Characters of the longest line: one line at a time is held in memory."""
MAX_LINES = 10**7
"""Lines of the longest text: each takes some microseconds."""
MAX_MAGNITUDE = 1e300
"""The largest number: float64 holds twice as much, and the width of a column."""
MAX_EXACT = 2**53
"""Below it float64 holds every integer."""

ALLOWED = f"must be a finite decimal number such as -1.5 or 2e3, at most {MAX_MAGNITUDE:.2g} in magnitude"
AT_LEAST = "at least 2 different values are needed"
HOW_TO_DROP = "; missing='drop' leaves such rows out"
"""The end of an error about a missing value."""
