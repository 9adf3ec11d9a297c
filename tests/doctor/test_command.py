"""`streamgap doctor` as a person runs it: a process of its own, real sockets."""

import asyncio
import contextlib
import gzip
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from doctor.client import stage
from instrument.lab import HOST, serving
from streamgap.demo.processes import free_port
from streamgap.doctor import Drip

pytestmark = pytest.mark.slow
SHORT = ("--pace", "8x110@30+100,8x400@10+200")


async def doctor(*words: str) -> tuple[int, str, str]:
    """Run `streamgap doctor`; return its exit status, its output and its complaints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamgap", "doctor", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def drips() -> AsyncIterator[str]:
    async def moved(_request: object) -> RedirectResponse:
        return RedirectResponse("/drip/")

    async with serving(Starlette(routes=[Mount("/drip", Drip()), Route("/moved", moved)])) as port:
        yield f"http://{HOST}:{port}"


class Gathering:
    """Middleware as people write it: compresses, and flushes at the end."""

    def __init__(self, app: Drip) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: list[bytes] = []

        async def keep(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                await send({**message, "headers": [*message["headers"], (b"content-encoding", b"gzip")]})  # type: ignore[misc]
            else:
                body.append(message.get("body", b""))  # type: ignore[arg-type]
                if not message.get("more_body"):
                    await send({"type": "http.response.body", "body": gzip.compress(b"".join(body))})

        await self._app(scope, receive, keep)  # type: ignore[arg-type]


async def test_a_stream_that_flows_exits_0_and_is_drawn() -> None:
    """The person reads the verdict first, and sees one stair."""
    async with drips() as base:
        status, out, err = await doctor(f"{base}/drip/")
    assert (status, err) == (0, "")
    assert out.startswith("FLOWING  ")
    assert "█" in out


async def test_a_stream_that_is_held_exits_1_with_a_code_and_a_page() -> None:
    """Everything comes at the end, in one piece: the code, the place and the page that explains it are told."""
    async with serving(Gathering(Drip())) as port:
        status, out, _ = await doctor(f"http://{HOST}:{port}/")
    assert status == 1, out
    assert out.startswith("HELD  ")
    assert "docs/codes/SG10" in out


async def test_json_is_one_document_with_the_verdict_the_charges_and_every_probe() -> None:
    """A pipeline reads the same as a person, and nothing else is on its standard output."""
    async with drips() as base:
        status, out, _ = await doctor("--json", f"{base}/drip/", "--via", f"app={base}/drip/", *SHORT)
    told = json.loads(out)
    assert (status, told["verdict"], told["exit_status"]) == (0, "flowing", 0)
    assert told["taps"][0]["name"] == "app"
    assert {probe["asked"]["name"] for probe in told["taps"][1]["probes"]} >= {"alone", "identity", "post"}


async def test_the_evidence_holds_every_arrival(tmp_path: Path) -> None:
    """Who doubts the verdict gets what it rests on."""
    file = tmp_path / "evidence.json"
    async with drips() as base:
        await doctor("--evidence", str(file), f"{base}/drip/", *SHORT)
    probes = json.loads(file.read_text())["taps"][0]["probes"]
    assert len(probes[0]["events"]) == 16


async def test_a_redirect_is_followed_on_the_same_host() -> None:
    """`/drip` and `/drip/` are the same to a person."""
    async with drips() as base:
        status, out, _ = await doctor(f"{base}/moved", *SHORT)
    assert status == 0, out


async def test_what_cannot_be_reached_exits_3_and_says_why() -> None:
    """Nobody listens there: that is no verdict on a path."""
    status, out, _ = await doctor(f"http://{HOST}:{free_port()}/drip")
    assert status == 3
    assert out.startswith("UNREACHABLE  ")
    assert "SG301" in out


async def test_a_page_that_is_no_stream_exits_3() -> None:
    """A 404 of an error page is told with its status."""
    async with drips() as base:
        status, out, _ = await doctor(f"{base}/nothing-here")
    assert status == 3
    assert "404" in out


@pytest.mark.parametrize("words", [(), ("ftp://app.test/",), ("http://app.test/", "--pace", "fast"), ("--nonsense",)])
async def test_a_wrong_command_line_exits_2(words: tuple[str, ...]) -> None:
    """Usage is told on standard error."""
    status, out, err = await doctor(*words)
    assert (status, out) == (2, "")
    assert "usage:" in err


async def test_what_a_server_sends_is_shown_and_not_obeyed() -> None:
    """Escape sequences in a header or an event reach the terminal as text."""
    hostile = stage.CHUNKED.replace(b"\r\n\r\n", b"\r\nserver: \xc2\x9b31mnginx <b>\r\n\r\n")
    events = b"".join(b"data: \x1b[2J\x07%d\n\n" % nth for nth in range(5))
    async with stage.serving(stage.saying(hostile, stage.chunk(events), stage.LAST_CHUNK)) as port:
        _, out, err = await doctor(f"http://{HOST}:{port}/")
    assert not {"\x1b", "\x07", "\x9b"} & set(out + err)
