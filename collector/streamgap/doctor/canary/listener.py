"""The canary's own small server: `/metrics` and `/healthz` for whoever scrapes it, one response per connection."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import h11

RECEIVE_S = 5.0
MAX_CONNECTIONS = 32
_READ_BYTES = 8192
_TEXT = "text/plain; charset=utf-8"

Render = Callable[[str], tuple[str, bytes]]
Answer = tuple[int, Sequence[tuple[str, str]], bytes]


@contextlib.asynccontextmanager
async def listening(sock: socket.socket, *, render: Render) -> AsyncIterator[None]:
    """Serve on a bound socket while the block runs; `render` makes content type and body from an `Accept` header."""
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(serving) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(_serve(reader, writer, render=render))
        serving.add(task)  # the event loop itself keeps weak references only
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, sock=sock)
    try:
        yield
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, render: Render) -> None:
    connection = h11.Connection(h11.SERVER)
    try:
        async with asyncio.timeout(RECEIVE_S):
            with contextlib.suppress(ConnectionError):
                await _answer(connection, reader, writer, render=render)
    except (TimeoutError, h11.RemoteProtocolError):
        writer.transport.abort()
    finally:
        writer.close()


async def _answer(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, render: Render
) -> None:
    request = await _request(connection, reader)
    if request is None:
        return
    status, headers, body = answer_to(request, render=render)
    fixed = [("content-length", str(len(body))), ("connection", "close"), ("cache-control", "no-store")]
    writer.write(connection.send(h11.Response(status_code=status, headers=[*headers, *fixed])) or b"")
    if request.method != b"HEAD":
        writer.write(connection.send(h11.Data(data=body)) or b"")
    await writer.drain()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """Return the request's head, None where the peer left before it was complete; a body is not read."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        data = await reader.read(_READ_BYTES)
        connection.receive_data(data)
    return event if isinstance(event, h11.Request) else None


def answer_to(request: h11.Request, *, render: Render) -> Answer:
    """Return status, headers and body of the answer to a request."""
    path = request.target.partition(b"?")[0]
    if path not in (b"/metrics", b"/healthz"):
        return 404, [("content-type", _TEXT)], b"expected /metrics or /healthz\n"
    if request.method not in (b"GET", b"HEAD"):
        return 405, [("content-type", _TEXT), ("allow", "GET, HEAD")], b"expected GET\n"
    if path == b"/healthz":
        return 200, [("content-type", _TEXT)], b"ok\n"
    accept = b", ".join(value for name, value in request.headers if name == b"accept").decode("latin-1")
    content_type, body = render(accept)
    return 200, [("content-type", content_type)], body
