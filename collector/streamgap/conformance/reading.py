"""How the answers of one endpoint are read: which events carry content, and where in them the text is."""

import json
from dataclasses import dataclass
from typing import Any

from streamgap.core.sse_events import Event

DONE = "[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`text_path` leads to the text in an event's JSON; without it the whole data is compared.

    A path through `{"choices": [{"delta": {"content": "Hi"}}]}` is `("choices", "0", "delta", "content")`.
    """

    content_types: frozenset[str] = frozenset({"message"})
    text_path: tuple[str, ...] = ()

    def is_content(self, event: Event) -> bool:
        """Say whether an event carries a part of the answer."""
        return event.data is not None and event.type in self.content_types and event.data != DONE

    def text_of(self, event: Event) -> str:
        """Return what is compared: the text at the path (empty where there is none), else the data and its end."""
        data = event.data or ""
        if not self.text_path:
            return f"{data}\x1e"
        found: Any = json_of(data)
        for step in self.text_path:
            found = _step(found, step)
        return found if isinstance(found, str) else ""


def json_of(data: str) -> Any:
    """Return the JSON value that `data` is, None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def is_json(data: str) -> bool:
    """Say whether `data` is one JSON value."""
    return json_of(data) is not None or data.strip() == "null"


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None
