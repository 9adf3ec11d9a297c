"""Another request than the one that was given: the same but for its prompt."""

from typing import Any

import httpx2

ANOTHER = " (another question)"
_PROMPTS = frozenset({"prompt", "q", "query", "question", "message", "input", "text", "content"})


def another_url(url: httpx2.URL, name: str) -> httpx2.URL | None:
    """Ask something else in the query: in parameter `name`, or where it is empty in one that is named like a prompt."""
    wanted = [name] if name else [key for key in url.params if key in _PROMPTS]
    if not wanted:
        return None
    return url.copy_merge_params({key: url.params.get(key, "") + ANOTHER for key in wanted})


def another_body(body: Any, name: str) -> Any:
    """Ask something else in a JSON body: in every field `name`, or that is named like a prompt; None where none is."""
    altered = _altered(body, frozenset({name}) if name else _PROMPTS)
    return None if altered == body else altered


def _altered(value: Any, wanted: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: held + ANOTHER if key in wanted and isinstance(held, str) else _altered(held, wanted)
            for key, held in value.items()
        }
    return [_altered(item, wanted) for item in value] if isinstance(value, list) else value
