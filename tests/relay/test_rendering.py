"""Chunks of any SDK → the data of content events."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from anthropic.types import TextBlock
from google.genai import types
from openai.types.chat import ChatCompletionChunk

from streamgap.relay.rendering import text_of_chunks

TORTURE = "CR\r LF\n CRLF\r\n\n\nevent: done\ndata: x\n\n \u2028\u2029 \0 \U0001f600 \ufeff "


def rendered(*chunks: Any) -> list[Any]:
    render = text_of_chunks()
    return [render(chunk) for chunk in chunks]


def gemini(*parts: types.Part, index: int | None = None) -> types.GenerateContentResponse:
    content = types.Content(role="model", parts=list(parts))
    return types.GenerateContentResponse(candidates=[types.Candidate(content=content, index=index)])


def openai(content: str | None, *, index: int = 0, **delta: Any) -> ChatCompletionChunk:
    choice = {"index": index, "delta": {"content": content, **delta}, "finish_reason": None}
    document = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return ChatCompletionChunk.model_validate(document)


@pytest.mark.parametrize("chunk", [{"step": "search"}, ["a"], ("a",), 1, 1.5, True, {}])
def test_plain_data_goes_out_as_it_is(chunk: Any) -> None:
    """An app that makes its own events needs no function for it."""
    assert rendered(chunk) == [chunk]


def test_text_is_an_event_and_nothing_is_none() -> None:
    """Strings are text, an empty one or None makes no event."""
    assert rendered("a", "", None, TORTURE) == [{"t": "a"}, None, None, {"t": TORTURE}]


def test_bytes_are_text_however_they_are_cut() -> None:
    """A character that is cut in two comes out whole, with the chunk that completes it."""
    cut = [bytes([byte]) for byte in "ä😀".encode()]
    assert [event["t"] for event in rendered(*cut) if event] == ["ä", "😀"]
    assert rendered(b"\xff", bytearray(b"a")) == [{"t": "\ufffd"}, {"t": "a"}]


def test_a_character_that_is_cut_between_chunks_arrives_whole() -> None:
    """The first half of a surrogate pair waits for the second, in the next chunk that has text."""
    assert rendered("a\ud83d", "\ude00b", "\ud83d\ude00") == [{"t": "a"}, {"t": "😀b"}, {"t": "😀"}]
    assert rendered("\ud83d", "", "\ude00") == [None, None, {"t": "😀"}]


def test_half_a_surrogate_pair_costs_a_character_and_not_the_answer() -> None:
    """A half that stays alone is replaced, and the rest of the text is kept."""
    assert rendered("a\ud83d", "b", "\ude00c") == [{"t": "a"}, {"t": "\ufffdb"}, {"t": "\ufffdc"}]


def test_geminis_text_is_all_that_can_be_read() -> None:
    """Every text part of a chunk, joined; no thought, no picture, and no second candidate's."""
    shown = gemini(
        types.Part(text="hm", thought=True),
        types.Part(text="one "),
        types.Part(inline_data=types.Blob(data=b"x", mime_type="image/png")),
        types.Part(text=TORTURE),
    )
    assert rendered(shown, gemini(types.Part(text="other"), index=1)) == [{"t": "one " + TORTURE}, None]
    bare = types.GenerateContentResponse(candidates=None)
    empty = types.GenerateContentResponse(candidates=[types.Candidate(content=None, finish_reason="STOP")])  # type: ignore[arg-type]
    assert rendered(bare, empty) == [None, None]


def test_openais_text_is_the_first_choices() -> None:
    """Content or refusal of choice 0; the role's chunk, a tool call and another choice make no event."""
    call: dict[str, Any] = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}
    chunks = [openai(""), openai("a"), openai(None, refusal="no"), openai(None, **call), openai("b", index=1)]
    assert rendered(*chunks) == [None, {"t": "a"}, {"t": "no"}, None, None]


def test_own_events_may_come_before_and_between_the_sdks() -> None:
    """Plain data does not decide whose chunks a stream has."""
    assert rendered({"step": 1}, "intro", openai("a"), {"step": 2}, openai("b")) == [
        {"step": 1},
        {"t": "intro"},
        {"t": "a"},
        {"step": 2},
        {"t": "b"},
    ]


class Struct(msgspec.Struct):
    text: str


@pytest.mark.parametrize("chunk", [Struct("a"), TextBlock(type="text", text="a"), object(), SimpleNamespace(t="a")])
def test_a_chunk_of_no_known_kind_says_what_to_do(chunk: Any) -> None:
    """What could be read in it is the app's to say."""
    with pytest.raises(TypeError, match=r"got .*(Struct|TextBlock|object|SimpleNamespace); pass render="):
        rendered(chunk)


def test_a_chunk_that_does_not_read_like_its_stream_says_so() -> None:
    """What looked like an SDK's stream at first, and is none, ends with the same advice."""
    with pytest.raises(TypeError, match=r"began like one of openai, got types.SimpleNamespace, .* pass render="):
        rendered(SimpleNamespace(choices=[SimpleNamespace(text="legacy")]))


def test_streams_do_not_learn_from_each_other() -> None:
    """Each stream is recognised by itself."""
    one, other = text_of_chunks(), text_of_chunks()
    assert one(openai("a")) == {"t": "a"}
    assert other(gemini(types.Part(text="b"))) == {"t": "b"}
    assert one(openai("c")) == {"t": "c"}


def test_every_event_is_one_line_of_json() -> None:
    """The data of an event, encoded, has no line break and reads back as it was."""
    (event,) = rendered(TORTURE)
    line = msgspec.json.encode(event)
    assert not {b"\r", b"\n"} & {line[i : i + 1] for i in range(len(line))}
    assert json.loads(line) == {"t": TORTURE}
