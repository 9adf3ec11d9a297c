"""A request, as both faces hand it on."""

from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds, monotonic."""
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a face took from its request, which came at `began_s`; names of `headers` are in lower case."""

    method: str
    protocol: str
    query: str
    headers: Headers
    began_s: float
