"""OpenAI `ChatCompletionChunk`, which many other services speak too."""

from typing import Any

from streamgap.core.catalog import Outcome
from streamgap.instrument.shapes.shape import Facts, Shape


def _content(chunk: Any) -> bool:
    deltas = [choice.delta for choice in chunk.choices or ()]
    return any(delta and (delta.content or getattr(delta, "refusal", None)) for delta in deltas)


def _read(chunk: Any) -> Facts:
    usage = getattr(chunk, "usage", None)
    reasons = [choice.finish_reason for choice in chunk.choices or () if choice.finish_reason]
    outcome = None
    if reasons:
        outcome = Outcome.BLOCKED if reasons[0] == "content_filter" else Outcome.COMPLETE
    return Facts(
        outcome=outcome,
        model=getattr(chunk, "model", None) or "",
        input_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.completion_tokens if usage else None,
    )


OPENAI_CHAT = Shape(
    provider="openai",
    operation="chat",
    recognises=lambda chunk: hasattr(chunk, "choices"),
    content=_content,
    read=_read,
)
