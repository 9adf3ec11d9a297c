"""OpenAI `ChatCompletionChunk`, which many other services speak too."""

from typing import Any

from streamgap.core.words import Outcome
from streamgap.instrument.shapes.shape import Facts, Shape


def _text(chunk: Any) -> str:
    for choice in chunk.choices or ():
        if choice.delta and not getattr(choice, "index", 0):
            return choice.delta.content or getattr(choice.delta, "refusal", None) or ""
    return ""


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
    text=_text,
    read=_read,
)
