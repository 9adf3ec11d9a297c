"""A fake of the Gemini HTTP API, for the demo and the tests; the real `google-genai` client cannot tell the difference.

It speaks the wire format of `POST /v1/models/{model}:streamGenerateContent?alt=sse` (and `/v1beta`): one JSON document
per `data:` line, CRLF, no event name, no id, no `[DONE]`. It lives in a thread and an event loop of its own, so that a
client which blocks its own loop cannot stall it. One connection carries one request.
"""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from streamgap.demo.hoarder import HOST, MAX_HEAD_BYTES, completes, finish, reset, until_gone

MAX_BODY_BYTES = 1024 * 1024
_TARGET = re.compile(r"/v1(?:beta)?/models/([\w.-]+):streamGenerateContent\?(?:.*&)?alt=sse(?:&.*)?")
_SECRET_HEADERS = frozenset({"authorization", "x-goog-api-key"})
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
    """What became of one request. Times are `time.monotonic()`; only the fake writes, any thread may read."""

    request: GeminiRequest
    started_s: float = field(default_factory=time.monotonic)
    chunks_written: int = 0
    writes_s: list[float] = field(default_factory=list)
    """When each piece of the body was written: several for a chunk that is split."""
    client_gone_s: float | None = None
    """When the client's FIN or RST was seen, if it left before the answer had ended."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set once nothing more will be written."""


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
    """Write exactly these bytes of the body."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Split:
    """Write these bytes of the body in at most `pieces` (≥ 1) pieces, `pause_s` apart."""

    body: bytes
    pieces: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """Refuse with this HTTP status and Google's error document; only while nothing has been written."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class MidStreamError:
    """Write Google's error document as an event, as the service does when it fails half way, and end cleanly."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection with RST; chunks the client has not read yet may be lost."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection with FIN, the last HTTP chunk missing."""


@dataclass(frozen=True, slots=True)
class End:
    """End the response cleanly."""


Step = Sleep | Text | Json | Raw | Split | Status | MidStreamError | Reset | Drop | End
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


_SECTION = """## {title} 🚿

A streamed answer has **two clocks** that never meet: the server's and the browser's. Each of them measures *durations*
on its own clock, and durations can be subtracted. What remains is what the path in between has kept for itself.

1. The model thinks, and writes its first chunk; a proxy that was told nothing better may hold it. ⏱️
2. The page waits, and so does the person in front of it — `naïve café 日本語 👩‍💻` included.

```python
for chunk in stream:
    yield f"data: {{chunk}}\n\n"  # an encoder that forgets the newlines breaks right here
```

| clock | first chunk | longest gap |
|-------|------------:|------------:|
| server | 0.6 s | 50 ms |

"""
_TITLES = ("What the model did", "What the server saw", "What the path did", "What the browser got", "What was painted")
_TRAP = "Not the end:\n\nevent: done\ndata: [DONE]\n\nid: 0\rretry: 1\r\n\n: the answer goes on. "
DEMO_PIECES = (*re.findall(r"(?s).{1,99}", "".join(_SECTION.format(title=title) for title in _TITLES)), _TRAP, "Bye! 👋")
"""About 40 pieces, 4 kB: Markdown, emoji, and text that looks like server-sent events to catch a bad encoder."""


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
                case Split(body, pieces, pause_s):
                    size = -(-len(body) // pieces)
                    await self._chunk(*(body[i : i + size] for i in range(0, len(body), size)), pause_s=pause_s)
                case Text() | Json() | Raw():
                    await self._chunk(self._encode(step))
                case _:
                    await self._end(step)
                    return

    async def _end(self, step: Status | MidStreamError | Reset | Drop | End) -> None:
        match step:
            case Reset():
                reset(self._writer)
            case Status(code, message):
                if not self._head:
                    raise RuntimeError(f"{step}: expected before the first chunk, got it after; try MidStreamError")
                self._head = b""
                await self._write(refusal(code, message))
            case MidStreamError(code, message):
                await self._chunk(event(_error(code, message)))
                await self._end(End())
            case End():
                await self._write(b"0\r\n\r\n")

    def _encode(self, step: Text | Json | Raw) -> bytes:
        if isinstance(step, Text):
            return event(self._document(step))
        return step.body if isinstance(step, Raw) else event(step.document)

    def _document(self, step: Text) -> Mapping[str, Any]:
        spent = "thoughtsTokenCount" if step.thought else "candidatesTokenCount"
        self._usage[spent] = self._usage.get(spent, 0) + _tokens(step.text)
        totals = {**self._usage, "totalTokenCount": sum(self._usage.values())}
        part = {"text": step.text} | ({"thought": True} if step.thought else {})
        ending = {"finishReason": step.finish} if step.finish else {}
        return {
            "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0} | ending],
            "usageMetadata": totals if step.usage is None else step.usage,
            "modelVersion": self._call.request.model,
            "responseId": f"fake-{self._call.request.nth}",
        }

    async def _chunk(self, *pieces: bytes, pause_s: float = 0) -> None:
        for nth, piece in enumerate(pieces):
            await asyncio.sleep(pause_s if nth else 0)
            await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self._call.writes_s.append(time.monotonic())
        self._call.chunks_written += 1

    async def _write(self, data: bytes) -> None:
        """Write, after the response head if that has not left yet."""
        head, self._head = self._head, b""
        self._writer.write(head + data)
        await self._writer.drain()


class FakeGemini:
    """The fake service, up while its `with` block runs, on 127.0.0.1 and `port` (0 takes a free one).

    Requests are bounded: 64 KiB of head, 1 MiB of body. What is no generation is refused in Google's way and not
    counted in `calls`. A script that raises costs its client the connection; the error is raised again on exit.
    """

    def __init__(self, script: Script | None = None, *, port: int = 0) -> None:
        self._script = script or paced(DEMO_PIECES, first_s=0.6, every_s=0.05)
        self._port = port
        self._calls: list[Call] = []
        self._errors: list[BaseException] = []
        self._ready = threading.Event()

    @property
    def base_url(self) -> str:
        """What goes into the client's `HttpOptions(base_url=…)`."""
        return f"http://{HOST}:{self._port}"

    @property
    def calls(self) -> Sequence[Call]:
        """Every generation asked for so far, in order of arrival."""
        return tuple(self._calls)

    def __enter__(self) -> Self:
        listener = socket.create_server((HOST, self._port))
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener)), name="fake-gemini")
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, exc_type: object, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._errors and exc_type is None:
            raise self._errors[0]

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_HEAD_BYTES)
        await self._stop.wait()
        server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._retire)

    def _retire(self, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        if not connection.cancelled() and (error := connection.exception()):
            self._errors.append(error)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._read_request(reader)
            if isinstance(request, Status):
                writer.write(_refusal(request))
            else:
                self._calls.append(call := Call(request))
                await self._answer(call, reader, writer)
            await finish(writer, reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it left before it had asked
        finally:
            writer.transport.abort()
