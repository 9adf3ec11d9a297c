"""OpenAI events of `responses.create(stream=True)`."""

from typing import Any

from streamgap.core.words import Outcome
from streamgap.instrument.shapes.shape import NOTHING, Facts, Shape

_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def _read(event: Any) -> Facts:
    if event.type == "error":
        return Facts(outcome=Outcome.UPSTREAM_ERROR, error=str(event.code or "error"))
    if event.type not in _LAST:
        return NOTHING
    response = event.response
    usage = response.usage
    outcome, error = _ending(event.type, response)
    return Facts(
        outcome=outcome,
        error=error,
        model=response.model or "",
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
    )


def _ending(kind: str, response: Any) -> tuple[Outcome, str]:
    if kind == "response.failed":
        return Outcome.UPSTREAM_ERROR, str(getattr(response.error, "code", None) or "failed")
    if kind == "response.cancelled":
        return Outcome.TRUNCATED, ""
    filtered = getattr(response.incomplete_details, "reason", None) == "content_filter"
    return Outcome.BLOCKED if filtered else Outcome.COMPLETE, ""


OPENAI_RESPONSES = Shape(
    provider="openai",
    operation="chat",
    recognises=lambda event: str(getattr(event, "type", "")).startswith("response."),
    text=lambda event: event.delta if event.type in _TEXT else "",
    read=_read,
    media=lambda event: event.type == "response.audio.delta" and bool(event.delta),
)
