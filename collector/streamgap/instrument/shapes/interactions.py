"""google-genai events of `interactions.create(stream=True)`."""

from typing import Any

from streamgap.core.words import Outcome
from streamgap.instrument.shapes.shape import NOTHING, Facts, Shape, total

_MEDIA = frozenset({"image", "audio", "video", "document"})
_OUTCOMES = {
    "failed": Outcome.UPSTREAM_ERROR,
    "cancelled": Outcome.TRUNCATED,
    "requires_continuation": Outcome.TRUNCATED,
}


def _text(event: Any) -> str:
    return event.delta.text or "" if _kind(event) == "text" else ""


def _kind(event: Any) -> str:
    """Say what a delta is of, and of any other event nothing."""
    return getattr(event.delta, "type", "") if event.event_type == "step.delta" else ""


def _read(event: Any) -> Facts:
    if event.event_type == "error":
        return Facts(outcome=Outcome.UPSTREAM_ERROR, error=str(getattr(event.error, "code", None) or "error"))
    interaction = getattr(event, "interaction", None)
    if interaction is None:
        return NOTHING
    usage = getattr(interaction, "usage", None)
    outcome, error = None, ""
    if event.event_type == "interaction.completed":
        outcome = _OUTCOMES.get(interaction.status, Outcome.COMPLETE)
        error = interaction.status if outcome is Outcome.UPSTREAM_ERROR else ""
    return Facts(
        outcome=outcome,
        error=error,
        model=interaction.model or "",
        input_tokens=usage.total_input_tokens if usage else None,
        output_tokens=total(usage.total_output_tokens, usage.total_thought_tokens) if usage else None,
    )


INTERACTIONS = Shape(
    provider="gcp.gemini",
    operation="generate_content",
    recognises=lambda event: isinstance(getattr(event, "event_type", None), str),
    text=_text,
    read=_read,
    media=lambda event: _kind(event) in _MEDIA,
)
