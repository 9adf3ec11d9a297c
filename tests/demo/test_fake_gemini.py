import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from google import genai
from google.genai import errors, types

from streamgap.demo.fake_gemini import (
    MAX_BODY_BYTES,
    End,
    FakeGemini,
    GeminiRequest,
    Json,
    MidStreamError,
    Raw,
    Reset,
    Script,
    Sleep,
    Status,
    Step,
    Text,
    event,
    paced,
)
from streamgap.demo.script import PIECES

MODEL = "gemini-3.5-flash"
PATIENCE_S = 10.0


@dataclass
class Seen:
    chunks: list[types.GenerateContentResponse] = field(default_factory=list)
    error: Exception | None = None

    @property
    def texts(self) -> list[str | None]:
        return [chunk.text for chunk in self.chunks]

    @property
    def last(self) -> types.GenerateContentResponse:
        return self.chunks[-1]


Reader = Callable[[str, str], Seen]


def playing(*steps: Step) -> Script:
    return lambda _request: steps


def options(base_url: str) -> types.HttpOptions:
    return types.HttpOptions(base_url=base_url)


def read_sync(base_url: str, prompt: str) -> Seen:
    seen = Seen()
    with genai.Client(api_key="example", http_options=options(base_url)) as client:
        try:
            for chunk in client.models.generate_content_stream(model=MODEL, contents=prompt):
                seen.chunks.append(chunk)
        except Exception as error:  # noqa: BLE001 - which one differs by transport; the tests look at it
            seen.error = error
    return seen


@pytest.fixture(params=[read_sync, lambda url, prompt: asyncio.run(read_async(url, prompt))], ids=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Reader:
    reader: Reader = request.param
    return reader


async def read_async(base_url: str, prompt: str) -> Seen:
    seen = Seen()
    async with genai.Client(api_key="example", http_options=options(base_url)).aio as client:
        try:
            async for chunk in await client.models.generate_content_stream(model=MODEL, contents=prompt):
                seen.chunks.append(chunk)
        except Exception as error:  # noqa: BLE001 - as above
            seen.error = error
    return seen


def post(fake: FakeGemini, path: str, body: bytes, *, head: bytes = b"") -> bytes:
    """Speak HTTP without a client, and return all that comes back."""
    port = int(fake.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as sock:
        length = f"Content-Length: {len(body)}\r\n".encode()
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + (head or length) + b"\r\n" + body)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


def stream_path(version: str = "v1") -> str:
    return f"/{version}/models/{MODEL}:streamGenerateContent?alt=sse"


def test_the_real_client_reads_text_usage_and_ending(read: Reader) -> None:
    """The real client sees every chunk's text, running totals of usage, STOP, the model and one response id."""
    with FakeGemini(playing(Text("Hello"), Text(", wörld 👋\n\n"), Text("!", finish="STOP"))) as fake:
        seen = read(fake.base_url, "four")
    assert seen.error is None
    assert seen.texts == ["Hello", ", wörld 👋\n\n", "!"]
    totals = [chunk.usage_metadata.candidates_token_count for chunk in seen.chunks if chunk.usage_metadata]
    assert totals == [2, 5, 6]
    assert seen.last.usage_metadata is not None
    assert seen.last.usage_metadata.prompt_token_count == 1
    assert seen.last.usage_metadata.total_token_count == 7
    assert seen.last.candidates is not None
    assert seen.last.candidates[0].finish_reason is types.FinishReason.STOP
    assert {(chunk.model_version, chunk.response_id) for chunk in seen.chunks} == {(MODEL, "fake-0")}


def test_a_thought_has_no_text_and_its_own_count(read: Reader) -> None:
    """A thought-only chunk has no text for the client and is counted as thinking, not as the answer."""
    with FakeGemini(playing(Text("hmm, well", thought=True), Text("Yes", finish="STOP"))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.texts == [None, "Yes"]
    assert seen.last.usage_metadata is not None
    assert seen.last.usage_metadata.thoughts_token_count == 3
    assert seen.last.usage_metadata.candidates_token_count == 1


def test_a_script_may_give_its_own_usage(read: Reader) -> None:
    """Usage given with a chunk replaces the running totals."""
    with FakeGemini(playing(Text("x", finish="MAX_TOKENS", usage={"candidatesTokenCount": 99}))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.last.usage_metadata is not None
    assert seen.last.usage_metadata.candidates_token_count == 99
    assert seen.last.usage_metadata.prompt_token_count is None


@pytest.mark.parametrize(("code", "name"), [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")])
def test_a_refusal_comes_before_the_stream(read: Reader, code: int, name: str) -> None:
    """A status refuses the request with Google's error document, before any chunk."""
    with FakeGemini(playing(Status(code, "not now"))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.chunks == []
    assert isinstance(seen.error, errors.APIError)
    assert (seen.error.code, seen.error.status, seen.error.message) == (code, name, "not now")


def test_an_error_half_way_follows_the_chunks(read: Reader) -> None:
    """A mid-stream error reaches the client as a server error after the chunks before it."""
    with FakeGemini(playing(Text("Hel"), MidStreamError(503, "overloaded"))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.texts == ["Hel"]
    assert isinstance(seen.error, errors.ServerError)
    assert seen.error.code == 503


@pytest.mark.parametrize("steps", [(Text("Hel"),), (Text("Hel"), End(), Text("never"))], ids=["no end", "end"])
def test_a_truncated_answer_ends_cleanly(read: Reader, steps: Sequence[Step]) -> None:
    """A script without a finish, or one ended early, is a normal end to the client: no error, no finish reason."""
    with FakeGemini(playing(*steps)) as fake:
        seen = read(fake.base_url, "?")
    assert seen.texts == ["Hel"]
    assert seen.error is None
    assert seen.last.candidates is not None
    assert seen.last.candidates[0].finish_reason is None


@pytest.mark.parametrize(("end", "name"), [(Reset(), "ReadError"), (End(clean=False), "RemoteProtocolError")])
def test_a_broken_connection_raises(read: Reader, end: Step, name: str) -> None:
    """A reset and a missing last chunk reach the client as its transport's own errors, after the chunks before."""
    with FakeGemini(playing(Text("Hel"), Sleep(0.1), end)) as fake:
        seen = read(fake.base_url, "?")
        assert fake.calls[0].ended.wait(PATIENCE_S)
    assert seen.texts == ["Hel"]
    assert type(seen.error).__name__ == name
    assert fake.calls[0].client_gone_s is None


def test_an_event_in_pieces_is_one_chunk(read: Reader) -> None:
    """An event split over several writes is one chunk to the client, and several recorded writes."""
    hello = event({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}}]})
    with FakeGemini(playing(Raw(hello, pieces=5, pause_s=0.01))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.texts == ["Hello"]
    assert (fake.calls[0].chunks_written, len(fake.calls[0].writes_s)) == (1, 5)


def test_a_blocked_prompt_is_a_document_of_its_own(read: Reader) -> None:
    """A script can say anything the service can, such as a blocked prompt without candidates."""
    with FakeGemini(playing(Json({"promptFeedback": {"blockReason": "SAFETY"}}))) as fake:
        seen = read(fake.base_url, "?")
    assert seen.last.candidates is None
    assert seen.last.prompt_feedback is not None
    assert seen.last.prompt_feedback.block_reason is types.BlockedReason.SAFETY


def test_the_demo_answer_arrives_whole(read: Reader) -> None:
    """The demo's pieces, with newlines, emoji and look-alike events among them, survive the real client unchanged."""
    with FakeGemini(paced(PIECES, first_s=0, every_s=0)) as fake:
        seen = read(fake.base_url, "?")
    assert seen.texts == list(PIECES)
    assert "\nevent: done\ndata: [DONE]\n" in "".join(PIECES)


def test_paced_cuts_into_words_and_loses_nothing() -> None:
    """A paced text is cut into words that keep their white space, each after its pause, the last one with STOP."""
    request = GeminiRequest(nth=0, path="", model=MODEL, headers={}, body={})
    steps = paced("one two\n\nthree ", first_s=2.0, every_s=0.5)(request)
    assert steps == [
        Sleep(2.0),
        Text("one"),
        Sleep(0.5),
        Text(" two"),
        Sleep(0.5),
        Text("\n\nthree"),
        Sleep(0.5),
        steps[7],
    ]
    assert steps[7] == Text(" ", finish="STOP")


def test_a_script_sees_what_was_asked() -> None:
    """A script gets the model, the prompt and the headers, but no credentials, and answers each request in turn."""
    asked: list[GeminiRequest] = []

    def script(request: GeminiRequest) -> Sequence[Step]:
        asked.append(request)
        return [Text(f"{request.nth}: {request.prompt}", finish="STOP")]

    with FakeGemini(script) as fake:
        texts = [read_sync(fake.base_url, prompt).texts for prompt in ("first", "second")]
    assert texts == [["0: first"], ["1: second"]]
    assert [call.request for call in fake.calls] == asked
    assert asked[0].model == MODEL
    assert asked[0].headers["content-type"] == "application/json"
    assert "x-goog-api-key" not in asked[0].headers
    assert asked[0].path == stream_path()


async def first_chunk(stream: AsyncIterator[types.GenerateContentResponse]) -> None:
    await anext(stream)


async def test_a_cancelled_reader_is_noticed_at_once() -> None:
    """A client whose task is cancelled while it waits for a chunk closes its socket, and the fake stops producing."""
    with FakeGemini(playing(Text("one"), Sleep(3600), Text("never"))) as fake:
        async with genai.Client(api_key="example", http_options=options(fake.base_url)).aio as client:
            stream = await client.models.generate_content_stream(model=MODEL, contents="?")
            await anext(stream)
            waiting = asyncio.create_task(first_chunk(stream))
            await asyncio.sleep(0.05)
            cancelled_s = time.monotonic()
            waiting.cancel()
            await asyncio.wait([waiting])
            assert await asyncio.to_thread(fake.calls[0].ended.wait, PATIENCE_S)
    call = fake.calls[0]
    assert call.client_gone_s is not None
    assert 0 <= call.client_gone_s - cancelled_s < PATIENCE_S / 2
    assert call.chunks_written == 1


def test_a_reset_by_the_client_is_noticed() -> None:
    """A client that resets the connection in the middle of a flood of chunks ends the production of more."""

    def flood(_request: GeminiRequest) -> Sequence[Step]:
        return [Text("x" * 1000)] * 100_000

    with FakeGemini(flood) as fake:
        port = int(fake.base_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as sock:
            sock.sendall(f"POST {stream_path()} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            sock.recv(100)  # unread bytes on close make it a reset
        assert fake.calls[0].ended.wait(PATIENCE_S)
    assert fake.calls[0].client_gone_s is not None
    assert fake.calls[0].chunks_written < 100_000


def test_a_blocked_client_loop_does_not_stall_the_fake() -> None:
    """The fake keeps its pace while the thread that reads it does something else."""
    with FakeGemini(paced("a b c", first_s=0, every_s=0.01)) as fake:
        port = int(fake.base_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as sock:
            sock.sendall(f"POST {stream_path()} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            time.sleep(0.3)  # blocks this thread on purpose
            called = fake.calls[0]
            assert called.ended.wait(PATIENCE_S)
    assert called.chunks_written == 3
    assert called.client_gone_s is None


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_the_wire_is_the_services(version: str) -> None:
    """On the wire there are data lines with one-line JSON and CRLF, and nothing else, in both API versions."""
    with FakeGemini(playing(Text("a\nb\u2028c", finish="STOP"))) as fake:
        head, _, body = post(fake, stream_path(version), b"{}").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close")
    size, _, rest = body.partition(b"\r\n")
    sent, ending = rest[: int(size, 16)], rest[int(size, 16) :]
    assert ending == b"\r\n0\r\n\r\n"
    assert sent.startswith(b'data: {"candidates":[')
    assert sent.endswith(b"}\r\n\r\n")
    assert sent.count(b"\r") == sent.count(b"\n") == 2
    document = json.loads(sent.removeprefix(b"data: "))
    assert document["candidates"][0]["content"] == {"parts": [{"text": "a\nb\u2028c"}], "role": "model"}


@pytest.mark.parametrize(
    ("path", "body", "head", "code"),
    [
        ("/v1/models/x:generateContent", b"{}", b"", 404),
        ("/v1/models/x:streamGenerateContent", b"{}", b"", 404),
        (stream_path(), b"{nonsense", b"", 400),
        (stream_path(), b" " * (MAX_BODY_BYTES + 1), b"", 413),
        (stream_path(), b"{}", b"Transfer-Encoding: chunked\r\n", 413),
        (stream_path(), b"", b"X: " + b"x" * 70_000 + b"\r\n", 431),
    ],
    ids=["another method", "no sse", "no json", "long body", "no length", "long head"],
)
def test_what_is_no_generation_is_refused_and_not_counted(path: str, body: bytes, head: bytes, code: int) -> None:
    """A request that is no generation, or past a bound, gets Google's error document and is no call."""
    with FakeGemini(playing(Text("never"))) as fake:
        answer = post(fake, path, body, head=head)
    assert answer.startswith(f"HTTP/1.1 {code} ".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == code
    assert fake.calls == []


def test_a_script_that_raises_fails_its_test() -> None:
    """A script's own error drops the connection and comes up again when the fake is closed."""

    def script(_request: GeminiRequest) -> Iterator[Step]:
        raise LookupError("no such script")

    with pytest.raises(LookupError, match="no such script"), FakeGemini(script) as fake:  # type: ignore[arg-type]
        assert post(fake, stream_path(), b"{}") == b""


def test_leaving_the_block_ends_what_is_under_way() -> None:
    """The fake does not wait for a script that sleeps, nor for a client that stays."""
    with FakeGemini(playing(Sleep(3600))) as fake:
        port = int(fake.base_url.rpartition(":")[2])
        sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        sock.sendall(f"POST {stream_path()} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        while not fake.calls:
            time.sleep(0.01)
    with sock:
        assert sock.recv(1) == b""
    assert fake.calls[0].ended.is_set()
