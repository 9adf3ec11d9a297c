"""google-genai `GenerateContentResponse`."""

from typing import Any

from streamgap.core.words import Outcome
from streamgap.instrument.shapes.shape import Facts, Shape, total

_BLOCKED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    }
)
# Not a reason yet: a further request would bring the rest.
_UNFINISHED = frozenset({"CONTINUATION"})


def _text(chunk: Any) -> str:
    for candidate in chunk.candidates or ():
        if not candidate.index:
            return "".join(part.text for part in _shown(candidate) if part.text)
    return ""


def _media(chunk: Any) -> bool:
    parts = [part for candidate in chunk.candidates or () for part in _shown(candidate)]
    return any(part.inline_data or part.file_data for part in parts)


def _shown(candidate: Any) -> list[Any]:
    parts = candidate.content.parts if candidate.content else None
    return [part for part in parts or () if not part.thought]


def _read(chunk: Any) -> Facts:
    usage = chunk.usage_metadata
    return Facts(
        outcome=_outcome(chunk),
        model=chunk.model_version or "",
        input_tokens=usage.prompt_token_count if usage else None,
        # The candidates' count leaves the thoughts out, but they are output, and paid for.
        output_tokens=total(usage.candidates_token_count, usage.thoughts_token_count) if usage else None,
    )


def _outcome(chunk: Any) -> Outcome | None:
    if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
        return Outcome.BLOCKED
    reasons = [candidate.finish_reason for candidate in chunk.candidates or () if candidate.finish_reason]
    if not reasons:
        return None
    reason = getattr(reasons[0], "value", reasons[0])
    if reason in _BLOCKED:
        return Outcome.BLOCKED
    return Outcome.TRUNCATED if reason in _UNFINISHED else Outcome.COMPLETE


GEMINI = Shape(
    provider="gcp.gemini",
    operation="generate_content",
    recognises=lambda chunk: hasattr(chunk, "candidates") and hasattr(chunk, "usage_metadata"),
    text=_text,
    read=_read,
    media=_media,
    lingers=True,
)
