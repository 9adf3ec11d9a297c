"""Golden vectors: the same JSON is read here and by the beacon's tests, so the two sides' maths cannot drift."""

from pathlib import Path
from typing import Any

import msgspec


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the cases of tests/golden/<name>.json."""
    cases: list[dict[str, Any]] = msgspec.json.decode((Path(__file__).parent / f"{name}.json").read_bytes())
    return cases
