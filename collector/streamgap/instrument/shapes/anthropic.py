"""Anthropic events of `messages.create(stream=True)` and `messages.stream(…)`."""

from typing import Any

from streamgap.core.words import Outcome
from streamgap.instrument.shapes.shape import NOTHING, Facts, Shape, total

_EVENTS = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping"}
)


def _text(event: Any) -> str:
    if event.type != "content_block_delta" or event.delta.type != "text_delta":
        return ""
    return event.delta.text or ""


def _read(event: Any) -> Facts:
    if event.type == "message_start":
        return Facts(model=event.message.model, input_tokens=_input(event.message.usage))
    if event.type != "message_delta":
        return NOTHING
    reason, usage = event.delta.stop_reason, event.usage
    outcome = None
    if reason:
        outcome = Outcome.BLOCKED if reason == "refusal" else Outcome.COMPLETE
    return Facts(outcome=outcome, input_tokens=_input(usage), output_tokens=usage.output_tokens if usage else None)


def _input(usage: Any) -> int | None:
    """Count the prompt with its cached part, as the other providers do; None where only the output is told."""
    if usage is None or usage.input_tokens is None:
        return None
    return total(usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)


ANTHROPIC = Shape(
    provider="anthropic",
    operation="chat",
    recognises=lambda event: getattr(event, "type", None) in _EVENTS,
    text=_text,
    read=_read,
)
