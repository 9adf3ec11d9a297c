"""Servers that say exactly what a test wants said, over real sockets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path

from streamgap.core.probe import Asked, Probe, Protocol
from streamgap.demo.loopback import finish
from streamgap.doctor.client import ClientLimits, Target, probe

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
HOST = "127.0.0.1"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
# Generous: a test waits as long only where something hangs.
PATIENT = ClientLimits(connect_s=20, total_s=20, after_done_s=20)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def asked(protocol: Protocol = Protocol.CLEAR, *, accept_encoding: str = "", method: str = "GET") -> Asked:
    return Asked(name="test", protocol=protocol, accept_encoding=accept_encoding, method=method)


def saying(*parts: bytes) -> Serve:
    """Read the request's head, say `parts`, and end with FIN."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        await end(writer, reader)

    return serve


async def end(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
    """End what was said: FIN, and over TLS its notice before."""
    if writer.get_extra_info("sslcontext") is None:
        await finish(writer, reader)
    else:
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve every connection so while the block runs; a client that leaves early is no error. Yields the port."""
    connections: set[asyncio.Task[None]] = set()
    errors: list[Exception] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001, raised where the test sees it
            errors.append(error)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, HOST, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
    if errors:
        raise errors[0]


async def probe_of(serve: Serve, *, limits: ClientLimits = PATIENT, method: str = "GET") -> Probe:
    """Ask a server that serves so once, in clear."""
    async with serving(serve) as port:
        return await probe(Target.of(f"http://{HOST}:{port}/"), asked(method=method), limits=limits)


def server_tls(directory: Path, *, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
