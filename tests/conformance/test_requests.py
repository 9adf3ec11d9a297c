"""What is sent: the key where it belongs, another prompt where there is one, and the text where it stands."""

import json
from typing import Any

import httpx2
import pytest

from streamgap.conformance.reading import Reading
from streamgap.conformance.target import Ask, KeyPlace, Target
from streamgap.core.sse_events import Event

ASK = Ask(key="key-1", sid="stream-1", why="", last_event_id="1.7")


async def sent(target: Target) -> httpx2.Request:
    async with httpx2.AsyncClient() as client:
        return target.request(client, ASK)


async def test_a_get_is_asked_as_an_event_source_asks() -> None:
    """GET carries key and stream id in the query, beside what is there, and the last event id in its header."""
    url = httpx2.URL("https://app.example/chat?prompt=hi&cid=old")
    request = await sent(Target(url=url, method="GET", key_in=KeyPlace("query", "cid")))
    assert str(request.url) == "https://app.example/chat?prompt=hi&cid=key-1&sid=stream-1"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["last-event-id"] == "1.7"


async def test_a_post_is_asked_as_a_page_asks() -> None:
    """POST carries key and stream id in headers, the body as JSON, and the headers that were given."""
    target = Target(
        url=httpx2.URL("https://app.example/chat"),
        method="POST",
        headers=[("Authorization", "Bearer x")],
        body={"prompt": "hi"},
        key_in=KeyPlace("header", "Idempotency-Key"),
    )
    request = await sent(target)
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["x-stream-id"] == "stream-1"
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"prompt": "hi"}


@pytest.mark.parametrize(
    ("query", "vary", "expected"),
    [
        ("prompt=hi&model=m", "", {"prompt": "hi (another question)", "model": "m"}),
        ("frage=hi", "frage", {"frage": "hi (another question)"}),
        ("", "prompt", {"prompt": " (another question)"}),
        ("frage=hi", "", None),
    ],
)
def test_another_question_in_the_query(query: str, vary: str, expected: dict[str, str] | None) -> None:
    """A parameter that is named like a prompt, or by --vary, is altered, and no other; else there is none to ask."""
    url = httpx2.URL(f"https://app.example/chat?{query}")
    another = Target(url=url, method="GET", key_in=KeyPlace("query", "cid"), vary=vary).another()
    assert (None if another is None else dict(another.url.params)) == expected


@pytest.mark.parametrize(
    ("body", "vary", "expected"),
    [
        ({"prompt": "hi", "model": "m"}, "", {"prompt": "hi (another question)", "model": "m"}),
        (
            {"messages": [{"role": "u", "content": "hi"}]},
            "",
            {"messages": [{"role": "u", "content": "hi (another question)"}]},
        ),
        ({"frage": "hi"}, "frage", {"frage": "hi (another question)"}),
        ({"frage": "hi"}, "", None),
        ({"prompt": 7}, "", None),
    ],
)
def test_another_question_in_the_body(body: Any, vary: str, expected: Any) -> None:
    """In a body it is the field, at any depth."""
    place = KeyPlace("header", "Idempotency-Key")
    url = httpx2.URL("https://app.example/chat?prompt=hi")
    another = Target(url=url, method="POST", body=body, key_in=place, vary=vary).another()
    assert (None if another is None else another.body) == expected
    assert another is None or another.url == url


@pytest.mark.parametrize(
    ("path", "data", "text"),
    [
        ("", '{"a": 1}', '{"a": 1}\x1e'),
        ("t", '{"t": "Hel", "id": 7}', "Hel"),
        ("choices.0.delta.content", '{"choices": [{"delta": {"content": "Hel"}}]}', "Hel"),
        ("choices.1.delta", '{"choices": []}', ""),
        ("t", "not JSON", ""),
        ("t", '{"t": 7}', ""),
    ],
)
def test_the_text_is_found_where_the_path_says(path: str, data: str, text: str) -> None:
    """--text leads to the text in each event's JSON; without it the data itself is compared, event by event."""
    reading = Reading(text_path=tuple(path.split(".")) if path else ())
    assert reading.text_of(Event(data=data)) == text


def test_content_is_what_is_named_so() -> None:
    """Events of the named types carry content, but for [DONE] and those without data."""
    reading = Reading(content_types=frozenset({"delta"}))
    events = [Event(type="delta", data="x"), Event(type="delta", data="[DONE]"), Event(type="delta"), Event(data="x")]
    assert [reading.is_content(event) for event in events] == [True, False, False, False]
