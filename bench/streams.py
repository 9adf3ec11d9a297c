"""Server CPU per streamed chunk of the relay, as a ratio to the other ways to stream from FastAPI.

Method: each way is a uvicorn process of its own with the same options (uvloop, httptools). One after another, in random
order, `ROUNDS` rounds: this process opens `STREAMS` streams, each of which gets a chunk every 50 ms; once all
flow, the server's CPU (the scheduler's account) over `SECONDS` is divided by the chunks that came meanwhile. The share
that came is printed: a way that cannot keep up is better than its figure says. Every stream of `relay` has a
generation of its own; those of `relay, one answer` all read the same one. Streams per core are 1 s of CPU divided by
what one stream takes of it.
"""

import argparse
import asyncio
from contextlib import ExitStack

import uvloop

from rounds import interleaved, verdict
from servers import Server, serving

ROUNDS = 9
SECONDS = 1.5
STREAMS = 200
RATE = 20.0
WAYS = {
    "raw ASGI": "stream_apps:raw",
    "StreamingResponse": "stream_apps:plain",
    "relay": "stream_apps:relay",
    "relay, one answer": "stream_apps:relay",
    "sse-starlette": "stream_apps:sse_starlette",
    "FastAPI's own SSE": "stream_apps:native",
}


class Client(asyncio.Protocol):
    """One stream: counts the chunks that have come, and understands nothing else."""

    def __init__(self) -> None:
        self.chunks = 0

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.chunks += data.count(b'"t":')


async def _round(server: Server, name: str, nth: int) -> tuple[float, float]:
    """Return CPU µs per chunk, and the share of the chunks that came."""
    loop = asyncio.get_running_loop()
    clients, transports = [], []
    for i in range(STREAMS):
        transport, client = await loop.create_connection(Client, "127.0.0.1", server.port)
        cid = f"round-{nth:04d}-{0 if 'one answer' in name else i:04d}"
        transport.write(f"GET /?cid={cid} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n".encode())
        clients.append(client)
        transports.append(transport)
    async with asyncio.timeout(30):
        while not all(client.chunks for client in clients):  # noqa: ASYNC110, a benchmark
            await asyncio.sleep(0.05)
    before, spent_ns, began_s = sum(c.chunks for c in clients), server.cpu_ns(), loop.time()
    await asyncio.sleep(SECONDS)
    chunks, spent_ns = sum(c.chunks for c in clients) - before, server.cpu_ns() - spent_ns
    share = chunks / ((loop.time() - began_s) * RATE * STREAMS)
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.3)
    return spent_ns / 1000 / chunks, share


class Way:
    """One way to stream, with its server."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.rounds = 0
        self.shares: list[float] = []
        self._server = server

    def round_us(self) -> float:
        """Run one round; return the server's CPU µs per chunk."""
        self.rounds += 1
        us, share = uvloop.run(_round(self._server, self.name, self.rounds))
        self.shares.append(share)
        return us


def main() -> None:
    """Print CPU per chunk and the ratios."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with ExitStack() as closing:
        ways = []
        for name, app in WAYS.items():
            factory = [] if app.endswith(":raw") else ["--factory"]
            ways.append(Way(name, closing.enter_context(serving([*factory, app]))))
        us = interleaved({way.name: way.round_us for way in ways}, rounds=ROUNDS)
    print(f"\nServer CPU per chunk, {STREAMS} streams of {RATE:g} chunks/s")
    for way in ways:
        per_core = 1e6 / (us[way.name] * RATE)
        share = sorted(way.shares)[len(way.shares) // 2]
        print(f"  {way.name:<20}{us[way.name]:8.1f} µs   {per_core:6.0f} streams per core   {share:4.0%} came")
    for peer, aim in (("StreamingResponse", 1.1), ("sse-starlette", 0.8), ("FastAPI's own SSE", 0.3)):
        ratio = us["relay"] / us[peer]
        print(f"  relay / {peer:<20}{ratio:6.2f}    {verdict(ratio, aim, at_most=True)}")


if __name__ == "__main__":
    main()
