"""What the providers' services send: each one's wire format, as the pieces of an answer.

Every answer has `OUTPUT_TOKENS`, and things in it that are no text: roles, thinking, lifecycle.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from streamgap.demo.fake_gemini import event as gemini_event

OUTPUT_TOKENS = 5


@dataclass(frozen=True, kw_only=True)
class Wire:
    """`head` opens an answer, `text` is a piece of it, `tail` ends it well, and `error` breaks it off half way."""

    head: bytes
    text: Callable[[str], bytes]
    tail: bytes
    error: bytes


def _data(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _named(*documents: Mapping[str, Any]) -> bytes:
    return b"".join(b"event: %b\n" % document["type"].encode() + _data(document) for document in documents)


def _chat(*, finish: str | None = None, usage: Mapping[str, Any] | None = None, **delta: Any) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    envelope = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    return _data({**envelope, "choices": choices, "usage": usage})


OPENAI_CHAT = Wire(
    head=_chat(role="assistant", content=""),
    text=lambda text: _chat(content=text),
    tail=_chat(finish="stop")
    + _chat(usage={"prompt_tokens": 7, "completion_tokens": OUTPUT_TOKENS, "total_tokens": 7 + OUTPUT_TOKENS})
    + b"data: [DONE]\n\n",
    error=_data({"error": {"message": "overloaded", "type": "server_error", "code": None, "param": None}}),
)


def _response(status: str, **more: Any) -> Mapping[str, Any]:
    usage = {
        "input_tokens": 7,
        "output_tokens": OUTPUT_TOKENS,
        "total_tokens": 7 + OUTPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    response = {"id": "r", "object": "response", "model": "gpt-x", "status": status, "output": [], "usage": usage}
    return {"type": f"response.{status}", "sequence_number": 9, "response": {**response, **more}}


def _response_delta(kind: str, delta: str) -> Mapping[str, Any]:
    place = {"sequence_number": 1, "item_id": "i", "output_index": 0, "content_index": 0}
    return {"type": f"response.{kind}.delta", **place, "delta": delta, "logprobs": []}


OPENAI_RESPONSES = Wire(
    head=_named({**_response("in_progress"), "type": "response.created"}, _response_delta("reasoning_text", "hm")),
    text=lambda text: _named(_response_delta("output_text", text)),
    tail=_named(_response("completed")),
    error=_named(_response("failed", error={"code": "server_error", "message": "overloaded"})),
)


def _block(index: int, kind: str, **delta: str) -> Mapping[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **delta}}


_MESSAGE: Mapping[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "claude-x",
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 1},
}
_THINKING = {"type": "thinking", "thinking": "", "signature": ""}
ANTHROPIC = Wire(
    head=_named(
        {"type": "message_start", "message": _MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": _THINKING},
        {"type": "ping"},
        _block(0, "thinking", thinking="hm"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    ),
    text=lambda text: _named(_block(1, "text", text=text)),
    tail=_named(
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": OUTPUT_TOKENS}},
        {"type": "message_stop"},
    ),
    error=_named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
)


def _gemini(text: str, *, finish: str | None = None, thought: bool = False) -> bytes:
    part = {"text": text, "thought": True} if thought else {"text": text}
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": OUTPUT_TOKENS}
    ending = {"finishReason": finish} if finish else {}
    return gemini_event({"candidates": [{**candidate, **ending}], "usageMetadata": usage, "modelVersion": "gemini-x"})


GEMINI = Wire(
    head=_gemini("hm", thought=True),
    text=_gemini,
    tail=_gemini("", finish="STOP"),
    error=gemini_event({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
)


def _interaction(kind: str, status: str) -> bytes:
    usage = {"total_input_tokens": 7, "total_output_tokens": OUTPUT_TOKENS, "total_thought_tokens": 0}
    interaction = {"id": "i", "status": status, "model": "gemini-x", "usage": usage}
    return _data({"event_type": f"interaction.{kind}", "interaction": interaction})


def _step(kind: str, **more: Any) -> bytes:
    return _data({"event_type": f"step.{kind}", "index": 0, **more})


INTERACTIONS = Wire(
    head=_interaction("created", "in_progress") + _step("start", step={"type": "model_output"}),
    text=lambda text: _step("delta", delta={"type": "text", "text": text}),
    tail=_step("stop") + _interaction("completed", "completed"),
    error=_data({"event_type": "error", "error": {"code": "unavailable", "message": "overloaded"}}),
)
