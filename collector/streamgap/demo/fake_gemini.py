"""A fake of the Gemini HTTP API, for the demo and the tests; the real `google-genai` client cannot tell the difference.

It speaks the wire format of `POST /v1/models/{model}:streamGenerateContent?alt=sse` (and `/v1beta`): one JSON document
per `data:` line, CRLF, no event name, no id, no `[DONE]`. It lives in a thread and an event loop of its own, so that a
client which blocks its own loop cannot stall it. One connection carries one request.
"""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from streamgap.demo.loopback import HOST, MAX_HEAD_BYTES, Loopback, completes, finish, reset, until_gone

MAX_BODY_BYTES = 1024 * 1024
_START = re.compile(r"POST (/v1(?:beta)?/models/([\w.-]+):streamGenerateContent\?(?:\S+&)?alt=sse(?:&\S*)?) HTTP/1.1")
_NAMES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
_HEAD = "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nConnection: close\r\n%s\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiRequest:
    """One request as it arrived: `nth` counts from 0, header names are lower case, credentials are left out."""

    nth: int
    path: str
    model: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """Every text part of every turn, in order."""
        turns = self.body.get("contents", [])
        return "".join(part.get("text", "") for turn in turns for part in turn.get("parts", []))


@dataclass(slots=True)
class Call:
    """What became of one request; only the fake writes here, any thread may read. Times are `time.monotonic()`.

    `writes_s` has several entries for a chunk that is split. `client_gone_s` is when the client's FIN or RST was seen,
    if it left before the answer had ended. `ended` is set once nothing more will be written.
    """

    request: GeminiRequest
    started_s: float = field(default_factory=time.monotonic)
    chunks_written: int = 0
    writes_s: list[float] = field(default_factory=list)
    client_gone_s: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Write nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Text:
    """Write one chunk with text; `usage` replaces the running totals, `thought` marks the model's thinking."""

    text: str
    finish: str | None = None
    thought: bool = False
    usage: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Json:
    """Write one event with exactly this document."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """Write exactly these bytes of the body, in at most `pieces` (≥ 1) pieces `pause_s` apart."""

    body: bytes
    pieces: int = 1
    pause_s: float = 0


@dataclass(frozen=True, slots=True)
class Status:
    """Refuse with this HTTP status and Google's error document; only while nothing has been written."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class MidStreamError(Status):
    """Write Google's error document as an event, as the service does when it fails half way."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection with RST; chunks the client has not read yet may be lost."""


@dataclass(frozen=True, slots=True)
class End:
    """End the response; if not `clean`, close the connection with the last HTTP chunk missing."""

    clean: bool = True


Step = Sleep | Text | Json | Raw | Status | MidStreamError | Reset | End
Script = Callable[[GeminiRequest], Sequence[Step]]
"""Answers a request with steps. A script that ends without a `finish` makes a clean, truncated answer."""


def event(document: Mapping[str, Any]) -> bytes:
    """Encode one server-sent event as the service does: one `data:` line of JSON, CRLF twice."""
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\r\n\r\n"


def paced(text: str | Sequence[str], *, first_s: float, every_s: float) -> Script:
    """Build a script that thinks for `first_s`, then writes a piece of `text` every `every_s`, and ends with STOP.

    A string is cut into words, each with the white space before it; a sequence is taken piece by piece.
    """
    pieces = re.findall(r"\s*\S+|\s+$", text) if isinstance(text, str) else text
    steps: list[Step] = [Sleep(first_s)]
    for nth, piece in enumerate(pieces, start=1):
        steps += [Text(piece, finish="STOP" if nth == len(pieces) else None), Sleep(every_s)]
    return lambda _request: steps[:-1]


class _Answer:
    """The HTTP response to one call, while its steps are played."""

    def __init__(self, call: Call, writer: asyncio.StreamWriter) -> None:
        self._call = call
        self._writer = writer
        self._head = (_HEAD % (200, "OK", "text/event-stream", "Transfer-Encoding: chunked")).encode()
        self._usage = {"promptTokenCount": _tokens(call.request.prompt)}

    async def play(self, steps: Sequence[Step]) -> None:
        for step in (*steps, End()):
            match step:
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case Text():
                    await self._chunk(event(self._document(step)))
                case Json(document):
                    await self._chunk(event(document))
                case Raw(body, pieces, pause_s):
                    size = -(-len(body) // pieces) or 1
                    await self._chunk(*(body[i : i + size] for i in range(0, len(body), size)), pause_s=pause_s)
                case MidStreamError():
                    await self._chunk(event(_error(step)))
                case Status():
                    self._head = b""
                    return await self._write(_refusal(step))
                case Reset():
                    return reset(self._writer)
                case End(clean):
                    return await self._write(b"0\r\n\r\n" if clean else b"")
        return None

    def _document(self, step: Text) -> Mapping[str, Any]:
        spent = "thoughtsTokenCount" if step.thought else "candidatesTokenCount"
        self._usage[spent] = self._usage.get(spent, 0) + _tokens(step.text)
        totals = {**self._usage, "totalTokenCount": sum(self._usage.values())}
        part = {"text": step.text, "thought": True} if step.thought else {"text": step.text}
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
        return {
            "candidates": [candidate | ({"finishReason": step.finish} if step.finish else {})],
            "usageMetadata": totals if step.usage is None else step.usage,
            "modelVersion": self._call.request.model,
            "responseId": f"fake-{self._call.request.nth}",
        }

    async def _chunk(self, *pieces: bytes, pause_s: float = 0) -> None:
        for nth, piece in enumerate(pieces):
            await asyncio.sleep(pause_s if nth else 0)
            self._call.writes_s.append(time.monotonic())
            await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self._call.chunks_written += 1

    async def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self._writer.write(head + data)
        await self._writer.drain()


class FakeGemini:
    """The fake service, up while its `with` block runs, on 127.0.0.1 and `port` (0 takes a free one).

    Requests are bounded: 64 KiB of head, 1 MiB of body. What is no generation is refused in Google's way; every
    generation is in `calls`, in order of arrival. A script that raises costs its client the connection, and the error
    is raised again on exit.
    """

    def __init__(self, script: Script, *, port: int = 0) -> None:
        self.calls: list[Call] = []
        self._script = script
        self._port = port
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        listener = socket.create_server((HOST, self._port))
        self.base_url = f"http://{HOST}:{listener.getsockname()[1]}"
        self._loopback = Loopback(self._converse, listener)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fake-gemini")
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, exc_type: object, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._loopback.errors and exc_type is None:
            raise self._loopback.errors[0]

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        async with self._loopback:
            await self._stop.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # it left before it had asked
            request = await _read_request(reader, self.calls)
            if isinstance(request, Status):
                writer.write(_refusal(request))
            else:
                await self._answer(request, reader, writer)
            await finish(writer, reader)

    async def _answer(self, request: GeminiRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(call := Call(request))
        try:
            playing = _Answer(call, writer).play(self._script(request))
            if not await completes(playing, before=until_gone(reader)):
                call.client_gone_s = time.monotonic()
        finally:
            call.ended.set()


async def _read_request(reader: asyncio.StreamReader, calls: Sequence[Call]) -> GeminiRequest | Status:
    """Read one request, or say how to refuse it. Raises `IncompleteReadError` when the client leaves half way."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return Status(431, f"head: expected at most {MAX_HEAD_BYTES} bytes, got more")
    start, *lines = head.decode("latin-1").split("\r\n")
    if not (asked := _START.fullmatch(start)):
        return Status(404, f"request: expected POST /v1/models/…:streamGenerateContent?alt=sse, got {start[:200]!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    length = headers.get("content-length", "")
    if not re.fullmatch(r"\d{1,7}", length) or int(length) > MAX_BODY_BYTES:
        return Status(413, f"content-length: expected at most {MAX_BODY_BYTES}, got {length[:20]!r}")
    try:
        body = json.loads(await reader.readexactly(int(length)))
    except (ValueError, RecursionError) as error:
        return Status(400, f"body: expected JSON, got {error}")
    shown = {name: value for name, value in headers.items() if name not in {"authorization", "x-goog-api-key"}}
    return GeminiRequest(nth=len(calls), path=asked[1], model=asked[2], headers=shown, body=body)


def _refusal(status: Status) -> bytes:
    body = json.dumps(_error(status), indent=2).encode()
    head = _HEAD % (status.code, "Refused", "application/json; charset=UTF-8", f"Content-Length: {len(body)}")
    return head.encode() + body


def _error(step: Status) -> Mapping[str, Any]:
    return {"error": {"code": step.code, "message": step.message, "status": _NAMES.get(step.code, "UNKNOWN")}}


def _tokens(text: str) -> int:
    return -(-len(text) // 4)  # about one per 4 characters
