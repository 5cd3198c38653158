"""The page's first picture, kept in a file: it is there before the programs that make it are compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "first.json"
"""What `benchmarks/first_picture.py` wrote: the messages on the first settings' untrained model."""


def messages() -> list[dict[str, Any]]:
    """What a trainer sends of the first settings: `configured`, and a frame."""
    return json.loads(PATH.read_text())
