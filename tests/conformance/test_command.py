"""The command: what it prints, how it ends, and what it says where there is nothing to judge."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from certificate import make_certificate
from conformance.exemplar import Exemplar, SaysTheEndAgain
from conformance.lab import PATH, PATIENCE_S
from instrument.lab import HOST, serving
from streamgap.cli import main
from streamgap.conformance.rules import rules_for
from streamgap.demo.loopback import Loopback, until_gone

pytestmark = pytest.mark.slow


DOCS = Path(__file__).parents[2] / "docs" / "conformance.md"


async def run(url: str, *words: str) -> int:
    """Run the command beside the server, with no pause before its reconnect."""
    return await asyncio.to_thread(main, ["conformance", url, "--wait", "0", *words])


@contextlib.asynccontextmanager
async def at(app: ASGIApp) -> AsyncIterator[str]:
    async with serving(app) as port:
        yield f"http://{HOST}:{port}{PATH}"


async def test_a_table_says_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per rule and a line that counts, without colours in a pipe; the cost is announced; it ends with 0."""
    async with at(Exemplar()) as url:
        assert await run(url) == 0
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.startswith("C")]
    assert [line[:3] for line in lines] == [f"C{n:02}" for n in range(1, 17)]
    assert out.endswith("\n\n14 holds, 2 not applicable\n")
    assert "\x1b" not in out
    assert err == (
        "streamgap conformance: up to 10 requests. Model calls: 2 where the rules hold, "
        "up to one per request where they do not.\n"
    )


async def test_a_broken_rule_shows_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that is broken stands with what was sent and what came; the command ends with 1."""
    async with at(SaysTheEndAgain()) as url:
        assert await run(url) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "C10 broken A reconnect past the end gets 204" in out
    assert "sent the same key, Last-Event-ID 'end' (the last one); got 200, 0 content events" in out


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_a_terminal_gets_colours_and_progress(
    no_color: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal the verdicts are coloured, unless NO_COLOR is set, and one line says what is being asked."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    async with at(SaysTheEndAgain()) as url:
        assert await run(url) == 1
    out, err = capsys.readouterr()
    assert ("\x1b[31mbroken" in out, "\x1b[32mholds" in out) == (not no_color, not no_color)
    assert "\r\x1b[K[1 of up to 10] a new key\r\x1b[K[2 of up to 10] the same key while the first answer runs" in err
    assert err.endswith("\r\x1b[K")


async def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints url, number of requests, and code, verdict, statement and evidence of every rule."""
    async with at(Exemplar()) as url:
        assert await run(url, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["url"], said["requests"], len(said["rules"])) == (url, 10, 16)
    assert said["rules"][0] == {
        "code": "C01",
        "verdict": "holds",
        "statement": "The answer is 200 text/event-stream.",
        "evidence": "200, 'text/event-stream; charset=utf-8'",
    }


async def test_a_post_is_described_by_its_options() -> None:
    """--data makes it a POST; --key-in and --header are obeyed."""

    class Guarded(Exemplar):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope)
            assert (request.method, request.headers["x-token"]) == ("POST", "secret: 1")
            assert request.query_params["cid"]
            await super().__call__(scope, receive, send)

    app = Guarded()
    async with serving(app) as port:
        words = ["--data", '{"prompt": "hi"}', "--header", "X-Token: secret: 1", "--key-in", "query:cid"]
        assert await run(f"http://{HOST}:{port}/chat", *words) == 0
    assert app.requests == 10


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (HTMLResponse("<p>Hello"), "expected 200 text/event-stream, got 200 'text/html; charset=utf-8'"),
        (JSONResponse({"detail": "who?"}, 401), "401 'application/json'; pass the credentials with --header"),
        (JSONResponse({"detail": "no"}, 405), "405 'application/json'; pass the method with --method"),
        (JSONResponse({"detail": "later"}, 429), "429 'application/json'; an EventSource that gets this gives up"),
        (
            RedirectResponse("http://localhost:1/x"),
            "307, Location: 'http://localhost:1/x': not followed to another host",
        ),
        (Response(headers={"content-type": "text/\x9b31mred"}), r"got 200 'text/\x9b31mred'"),
    ],
)
async def test_what_is_no_stream_is_said_with_a_way_on(
    response: Response, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer of another kind breaks C01, says what it was and what to try, and reaches the terminal escaped."""
    async with at(response) as url:
        assert await run(url) == 1
    out = capsys.readouterr().out
    assert says in " ".join(out.split())
    assert "\x9b" not in out


async def test_a_redirect_on_the_same_host_is_followed() -> None:
    """A redirect that stays on the host leads to the endpoint, Last-Event-ID and key with it."""
    exemplar = Exemplar()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        url = Request(scope).url
        moved = RedirectResponse(str(url.replace(path="/chat")))
        await (exemplar if url.path == "/chat" else moved)(scope, receive, send)

    async with serving(app) as port:
        assert await run(f"http://{HOST}:{port}/old?prompt=hi") == 0
    assert exemplar.calls == 2


async def test_nobody_there_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection says where, what was expected and what happened."""
    with socket.create_server((HOST, 0)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}/chat"
    assert await run(url) == 3
    err = capsys.readouterr().err
    assert f"{url}: expected an answer within 60 s, got no response (ConnectError: " in err
    assert err.endswith("try `curl -N` with the same URL\n")


async def test_a_server_that_says_nothing_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that is accepted and never answered is given up after --timeout."""
    with socket.create_server((HOST, 0)) as listener:
        assert await run(f"http://{HOST}:{listener.getsockname()[1]}/chat", "--timeout", "0.3") == 3
    assert "expected an answer within 0.3 s, got no response (had not ended in time)" in capsys.readouterr().err


async def test_a_certificate_of_ones_own_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A certificate that is not trusted ends with 3 and names SSL_CERT_FILE; with it the endpoint is reached."""
    made = await asyncio.to_thread(make_certificate, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, HOST, 0, ssl=context) as server:
        url = f"https://{HOST}:{server.sockets[0].getsockname()[1]}/chat"
        assert await run(url) == 3
        assert "set SSL_CERT_FILE to its certificate" in capsys.readouterr().err
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        assert await run(url) == 1
        assert "got 200 'text/html'" in capsys.readouterr().out


async def test_ctrl_c_ends_it_without_a_word() -> None:
    """SIGINT while an answer is awaited ends the command with 130 and no traceback."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await until_gone(reader)

    listener = socket.create_server((HOST, 0))
    async with Loopback(silent, listener):
        url = f"http://{HOST}:{listener.getsockname()[1]}/chat"
        command = [sys.executable, "-m", "streamgap", "conformance", url]
        process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 130
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["example.com/chat"], "expected a URL like https://app.example.com/chat, got 'example.com/chat'"),
        (["http://x", "--data", "{"], "argument --data: expected JSON, got '{'"),
        (["http://x", "--header", "Authorization"], "argument --header: expected 'NAME: VALUE', got 'Authorization'"),
        (["http://x", "--header", "A: b\nC: d"], "argument --header: expected 'NAME: VALUE'"),
        (["http://x", "--key-in", "cookie:cid"], "expected header:NAME or query:NAME, got 'cookie:cid'"),
        (["http://x", "--timeout", "soon"], "argument --timeout: expected seconds from 0 to 86400, got 'soon'"),
        (["http://x", "--burst", "-1"], "argument --burst: expected a whole number from 0 to 1000, got '-1'"),
    ],
)
def test_wrong_usage_is_told(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option ends with 2 and says what was expected and what was got."""
    with pytest.raises(SystemExit) as ended:
        main(["conformance", *words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_the_page_has_every_rule() -> None:
    """docs/conformance.md says of each rule what the command says of it."""
    page = DOCS.read_text()
    for rule in rules_for(method="GET", heartbeat_s=15):
        assert f"| {rule.code} | {rule.statement} |" in page
