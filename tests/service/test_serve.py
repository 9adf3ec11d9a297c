"""The collector as a program: it says where it is, ends in order and in bounded time, and survives slow clients."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from otlp_receiver import OtlpReceiver, black_hole, otlp_receiver
from service.lab import PATIENCE_S, body, get, http, post, read_response, served
from streamgap.service.collector import Collector
from streamgap.service.protocol import MAX_HEAD_BYTES
from streamgap.service.script import BeaconScript, integrity
from streamgap.service.serve import main

pytestmark = pytest.mark.slow

PROGRAM = (sys.executable, "-m", "streamgap.service.serve")
INTEGRITY = BeaconScript.shipped().integrity


class Program:
    """The collector in a process of its own, and what it logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    async def event(self, name: str) -> dict[str, Any]:
        """Read the log up to an event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stderr.readline():
                self.events.append(json.loads(line))
                if self.events[-1]["event"] == name:
                    return self.events[-1]
        raise AssertionError(f"expected the event {name!r}, got {self.events}")

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def program(*argv: str) -> AsyncIterator[tuple[Program, int, int]]:
    """Run the program on free ports; yields it with its public and admin port."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("STREAMGAP_")}
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "--bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0", *argv),
        stderr=subprocess.PIPE,
        env=env,
    )
    running = Program(process)
    try:
        outer = await running.event("public listener")
        inner = await running.event("admin listener")
        await running.event("beacon script")
        yield running, port_of(outer["url"]), port_of(inner["url"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def test_it_prints_how_to_embed_the_script() -> None:
    """The log names both listeners, and the script's tag with its integrity hash."""
    async with program() as (running, outer, inner):
        assert running.events[0]["beacon"] == f"http://127.0.0.1:{outer}/v1/beacon"
        assert running.events[1]["metrics"] == f"http://127.0.0.1:{inner}/metrics"
        script = running.events[2]
        url = f"http://127.0.0.1:{outer}{BeaconScript.shipped().path}"
        assert (script["url"], script["integrity"]) == (url, INTEGRITY)
        assert script["tag"] == f'<script src="{url}" integrity="{INTEGRITY}" crossorigin="anonymous"></script>'
        assert integrity((await http(outer, get(BeaconScript.shipped().path))).body) == INTEGRITY


async def test_sigterm_drains_with_an_open_live_page() -> None:
    """An open stream of the live page does not hold the program up, and what waits is flushed before exit 0."""
    with otlp_receiver() as receiver:
        async with program("--otlp-endpoint", receiver.endpoint) as (running, outer, inner):
            assert (await http(outer, post(body()))).status == 204
            reader, writer = await asyncio.open_connection("127.0.0.1", inner)
            writer.write(get("/live/events"))
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            running.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                await reader.read()
            writer.close()
            assert await running.end() == 0
        assert pushed(receiver)["streamgap_reports_unmatched", "client", "shutdown"] == 1


def pushed(receiver: OtlpReceiver) -> dict[tuple[str, ...], int]:
    """Return the counters of the last push, by name and label values."""
    (resource,) = receiver.metrics.get(timeout=PATIENCE_S).resource_metrics
    (scope,) = resource.scope_metrics
    points = [(metric.name, point) for metric in scope.metrics for point in metric.sum.data_points]
    return {(name, *(a.value.string_value for a in p.attributes)): int(p.as_int or p.as_double) for name, p in points}


async def test_a_request_under_way_is_answered() -> None:
    """All but the last byte of a beacon, SIGTERM, the last byte: 204, and then nobody is let in."""
    async with program() as (running, outer, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", outer)
        request = post(body())
        writer.write(request[:-1])
        assert (await http(outer, post(b"{"))).status == 400
        running.process.send_signal(signal.SIGTERM)
        await running.event("draining")
        writer.write(request[-1:])
        assert (await read_response(reader)).status == 204
        writer.close()
        assert await running.end() == 0
        with pytest.raises(ConnectionRefusedError):
            await http(outer, post(body()))


async def test_a_second_signal_ends_at_once() -> None:
    """Whoever insists does not wait for a request that never ends."""
    async with program("--drain-s", "60") as (running, outer, _):
        _, writer = await asyncio.open_connection("127.0.0.1", outer)
        writer.write(post(body())[:-1])
        assert (await http(outer, post(b"{"))).status == 400
        running.process.send_signal(signal.SIGINT)
        await running.event("draining")
        running.process.send_signal(signal.SIGINT)
        assert await running.end() == 128 + signal.SIGINT
        writer.close()


async def test_a_silent_otlp_receiver_does_not_hold_it_up() -> None:
    """Flushing is bounded by the push's time-out, also where nothing answers."""
    with black_hole() as endpoint:
        async with program("--otlp-endpoint", endpoint, "--otlp-timeout-s", "0.2") as (running, outer, _):
            assert (await http(outer, post(body()))).status == 204
            running.process.send_signal(signal.SIGTERM)
            assert await running.end() == 0


def test_a_taken_port_and_a_bad_setting_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither ends in a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [*PROGRAM, "--bind", address, "--log-format", "text"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert run.returncode == 1
    assert f"--bind: expected a free address, got {address}: " in run.stderr
    assert "Traceback" not in run.stderr
    assert main(["--ttl-s", "soon"]) == 2
    assert capsys.readouterr().err.startswith("--ttl-s: expected a number from 0.001 to 86400, got 'soon'.")


SLOW = {
    "silent": b"",
    "half a head": b"POST /v1/beacon HTTP/1.1\r\nHost: x\r\n",
    "announced body": post(body())[:-1],
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_request_that_does_not_arrive_is_dropped(make_collector: Callable[..., Collector], sent: bytes) -> None:
    """A connection that takes too long for its head or body is closed; its report counts as a disconnect."""
    collector = make_collector()
    async with served(collector, max_receive_s=0.0) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.public_port)
        writer.write(sent)
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    rejected = collector.joiner.meters.ledger.rejected.values["client", "disconnect"]
    assert rejected == (1 if sent == SLOW["announced body"] else 0)


async def test_an_endless_head_is_cut(make_collector: Callable[..., Collector]) -> None:
    """A head beyond the limit is refused and its connection closed."""
    async with served(make_collector()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.public_port)
        writer.write(b"POST /v1/beacon HTTP/1.1\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(64 * MAX_HEAD_BYTES // 1024):
                writer.write(b"x-pad: %1000d\r\n" % 0)
                await writer.drain()
            answer = await reader.read()
        writer.close()
    # Where the client was still sending when the connection closed, the answer is lost to a reset.
    assert not answer or b" 400 " in answer
