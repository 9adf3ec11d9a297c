"""An HTTP/2 server that does as a test's script says."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from doctor.client.stage import HOST, PATIENT, Serve, asked, end, server_tls, serving
from streamgap.core.probe import Probe, Protocol
from streamgap.doctor.client import ClientLimits, Target, probe

HEADERS = [(":status", "200"), ("content-type", "text/event-stream")]
Script = Callable[[H2Connection, int], None]


class Conversation:
    """What came in the request."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""


def answering(*scripts: Script, conversation: Conversation | None = None) -> Serve:
    """Read the request, let each script speak and flush behind it, then FIN."""
    told = conversation or Conversation()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        writer.write(h2.data_to_send())
        stream = await _request(h2, reader, writer, told)
        for script in scripts:
            script(h2, stream)
            writer.write(h2.data_to_send())
            await writer.drain()
        await end(writer, reader)

    return serve


async def _request(
    h2: H2Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: Conversation
) -> int:
    while True:
        data = await reader.read(65_536)
        if not data:
            raise ConnectionResetError
        for event in h2.receive_data(data):
            match event:
                case RequestReceived():
                    told.headers = {str(name): str(value) for name, value in event.headers}
                case DataReceived():
                    told.body += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    return event.stream_id
        writer.write(h2.data_to_send())


async def probe_h2(
    serve: Serve, certificate: Path, *, limits: ClientLimits = PATIENT, body: bytes | None = None
) -> Probe:
    """Ask a server that serves so once, over h2."""
    async with serving(serve, tls=server_tls(certificate, alpn=["h2"])) as port:
        target = Target.of(f"https://{HOST}:{port}/x?y", verify=False, body=body)
        return await probe(target, asked(Protocol.H2, method="GET" if body is None else "POST"), limits=limits)
