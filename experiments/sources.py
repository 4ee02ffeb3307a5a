"""Digests of our own source: whether figures come from the code as it is now."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIGITS = 16


@cache
def digest(places: Sequence[str]) -> str:
    """Of the Python files in these folders and at these paths (from the root of the project)."""
    roots = [ROOT / name for name in places]
    found = [path for place in roots for path in (place.rglob("*.py") if place.is_dir() else [place])]
    parts = [str(path.relative_to(ROOT)).encode() + path.read_bytes() for path in sorted(found)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:DIGITS]
