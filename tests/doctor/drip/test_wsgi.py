"""`DripWsgi` under PEP 3333's own validator, and under a real gunicorn."""

import asyncio
import contextlib
import gc
import io
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from doctor.drip.lab import Clock, taken_apart
from doctor.drip.programs import program, read_until, until_alone
from streamgap.core.errors import SettingsError
from streamgap.doctor import Drip, DripWsgi
from streamgap.doctor.drip import Limits

APP = "doctor.drip.wsgi_app:app"


class Answer:
    """One request of WSGI and its answer, both validated."""

    def __init__(self, app: Any, query: str, **environ: Any) -> None:
        self.environ: dict[str, Any] = {"QUERY_STRING": query, "wsgi.input": io.BytesIO(), **environ}
        setup_testing_defaults(self.environ)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body: Any = validator(app)(self.environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
        self.status = int(status.split(maxsplit=1)[0])
        self.headers = dict(headers)
        return lambda _data: None

    def read(self) -> list[bytes]:
        with contextlib.closing(self.body) as body:
            return list(body)


def status_of(drip: DripWsgi, query: str, **environ: Any) -> int:
    answer = Answer(drip, query, **environ)
    answer.read()
    return answer.status


async def test_both_faces_send_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same query gives the same writes at the same times, headers and bytes, under WSGI and under ASGI."""
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: "8f3a51c0")
    query = "segments=3x100@10,2x300@5%2B500&open=1&heartbeat_ms=100&hints=no-transform,incremental"
    clock, other = Clock(late_s=0.001), Clock(late_s=0.001)
    wsgi = Answer(DripWsgi(clock=clock, sleep=clock.wait), query)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        if sent:
            await asyncio.Event().wait()
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "http_version": "1.0", "query_string": query.encode(), "headers": []}
    scope["headers"] = [(b"host", b"127.0.0.1")]
    await Drip(clock=other, sleep=other.sleep)(scope, receive, send)
    assert wsgi.read() == [message["body"] for message in sent[1:-1]]
    assert clock.now_s == other.now_s
    assert {name.lower(): value for name, value in wsgi.headers.items()} == {
        name.decode(): value.decode() for name, value in sent[0]["headers"]
    }


def test_each_event_is_an_item_of_its_own() -> None:
    """A server that sends each item sends each event."""
    clock = Clock()
    drip = DripWsgi(clock=clock, sleep=clock.wait)
    first, second, done = Answer(drip, "count=2").read()
    assert (first.count(b"\n\n"), second.count(b"\n\n"), done.count(b"\n\n")) == (2, 1, 1)
    assert clock.slept_s == pytest.approx([0.05])


def test_the_request_is_told_back_without_its_credentials() -> None:
    """Headers, protocol and method come from the environ; names as they are on the wire, in lower case."""
    clock = Clock()
    asked = {
        "HTTP_COOKIE": "s3cret",
        "HTTP_X_FORWARDED_FOR": "192.0.2.1",
        "CONTENT_TYPE": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    body = b"".join(Answer(DripWsgi(clock=clock, sleep=clock.wait), "count=1", **asked).read())
    opening = taken_apart(body).opening
    assert (opening["protocol"], opening["method"]) == ("HTTP/1.1", "GET")
    assert dict(opening["headers"]) == {"host": "127.0.0.1", "cookie": "***", "x-forwarded-for": "192.0.2.1"}


def test_a_post_is_read_up_to_its_bound() -> None:
    """The body is read, so that the server can go on with the connection, and refused where it is too long."""
    clock = Clock()
    drip = DripWsgi(clock=clock, sleep=clock.wait)
    sent = io.BytesIO(b"x" * 100)
    posted = {"REQUEST_METHOD": "POST", "wsgi.input": sent, "CONTENT_LENGTH": "100"}
    assert len(Answer(drip, "count=2", **posted).read()) == 3
    assert sent.read() == b""
    assert status_of(drip, "", REQUEST_METHOD="POST", CONTENT_LENGTH="65537") == 413


@pytest.mark.parametrize(
    ("query", "asked", "status"),
    [
        ("count=0&token=s3cret", {}, 400),
        ("count=1", {}, 403),
        ("", {"REQUEST_METHOD": "PUT"}, 405),
        ("count=1", {"HTTP_X_DRIP_TOKEN": "s3cret"}, 200),
        ("count=1", {"HTTP_AUTHORIZATION": "Bearer s3cret"}, 200),
    ],
)
def test_refusals_are_those_of_the_other_face(query: str, asked: dict[str, str], status: int) -> None:
    """The same judge stands behind both."""
    assert status_of(DripWsgi(token="s3cret"), query, **asked) == status


def test_a_refused_head_has_no_body() -> None:
    """Not every server takes away the body that HEAD must not have."""
    answer = Answer(DripWsgi(), "", REQUEST_METHOD="HEAD")
    assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (405, [b""], "0")


def test_an_empty_token_is_refused_at_once() -> None:
    """An environment variable that is not set must not open the endpoint."""
    with pytest.raises(SettingsError, match="drip token"):
        DripWsgi(token="")


def test_a_body_that_is_closed_gives_its_seat_back() -> None:
    """Whether it was read to its end, in part, or not at all; and one that was forgotten does too."""
    clock = Clock()
    drip = DripWsgi(limits=Limits(max_concurrent=2), clock=clock, sleep=clock.wait)
    unread, begun = Answer(drip, "count=9"), Answer(drip, "count=9")
    next(iter(begun.body))
    assert (drip.in_flight, status_of(drip, "count=9")) == (2, 429)
    unread.body.close()
    begun.body.close()
    assert drip.in_flight == 0


def test_a_body_that_nobody_closes_is_no_seat_lost() -> None:
    """Its seat is free when the body is forgotten."""
    drip, given = DripWsgi(), Answer(DripWsgi(), "count=9")
    given.read()
    body = drip(given.environ, lambda *_: None)
    assert drip.in_flight == 1
    del body
    gc.collect()
    assert drip.in_flight == 0


@pytest.mark.slow
async def test_gunicorn_sync_streams_it(tmp_path: Path) -> None:
    """The sync worker passes each event on: sizes, count and end are as asked, by GET and by POST."""
    async with program("gunicorn", "--bind=127.0.0.1:PORT", APP, probe="/?count=1", directory=tmp_path) as client:
        got = await client.get("/?segments=5x110@2,7x700@1%2B20&open=1")
        posted = await client.post("/?count=2&gap_ms=1", content=b"x" * 1000)
        refused = await client.get("/?count=x")
    body = taken_apart(got.content)
    assert body.sizes == [110] * 5 + [700] * 7
    assert body.comments == [b":drip"]
    assert body.done is not None
    assert taken_apart(posted.content).opening["method"] == "POST"
    assert refused.status_code == 400


@pytest.mark.slow
async def test_a_client_that_leaves_ends_the_stream_at_its_next_write(tmp_path: Path) -> None:
    """The body is closed by the server, and its seat is free."""
    command = ("gunicorn", "--bind=127.0.0.1:PORT", "--threads=4", APP)
    async with program(*command, probe="/?count=1", directory=tmp_path) as client:
        async with client.stream("GET", "/?segments=4000x1000@200") as response:
            await read_until(response, b"id: 3\n")
        await until_alone(client)
