"""Redirects: followed once, before anything is measured, and never to where the user did not mean to go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from doctor.client.stage import HEAD, HOST, PATIENT, Serve, server_tls, serving
from streamgap.demo.processes import free_port
from streamgap.doctor.client import ClientLimits, Target, TargetError, settle

Answer = Callable[[str], bytes]


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")


OK = HEAD + b"content-length: 0\r\n\r\n"


def routing(answer: Answer, heads: list[str] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if heads is not None:
            heads.append(head)
        writer.write(answer(head.split(" ")[1]))
        await reader.read()

    return serve


@asynccontextmanager
async def site(answer: Answer) -> AsyncIterator[str]:
    async with serving(routing(answer)) as port:
        yield f"http://{HOST}:{port}"


async def test_where_there_is_no_redirect_the_target_stays() -> None:
    """One request, and the same target."""
    async with site(lambda _: OK) as url:
        target = Target.of(f"{url}/stream?a=1#part")
        assert await settle(target, limits=PATIENT) == target


async def test_relative_and_absolute_redirects_are_followed() -> None:
    """As RFC 9110 § 10.2.2 resolves them; five at most."""
    steps = {"/a/0": "../b/1?x=1", "/b/1?x=1": "/2", "/2": "//HOST/3", "/3": "http://HOST/4", "/4": "?five"}
    ports: list[int] = []

    def answer(path: str) -> bytes:
        return redirect(steps[path].replace("HOST", f"{HOST}:{ports[0]}")) if path in steps else OK

    async with serving(routing(answer)) as port:
        ports.append(port)
        settled = await settle(Target.of(f"http://{HOST}:{port}/a/0"), limits=PATIENT)
    assert settled.path == "/4?five"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/a", "got a loop"),
        ("", "without one"),
        ("ftp://x/", "'ftp://x/'"),
        ("javascript:alert(1)", "'javascript:alert(1)'"),
        ("http://[::1", "'http://[::1'"),
        ("http://ho st/", "'http://ho st/'"),
        ("http://x:99999/", "'http://x:99999/'"),
        ("http://user:pw@x/", "user:pw@x"),
        ("/\x80\x1b[2J", "got '/\\x80\\x1b[2J'"),
    ],
)
async def test_a_location_that_leads_nowhere_is_an_error(location: str, words: str) -> None:
    """It says where it came from and what it was, escaped."""
    async with site(lambda _: redirect(location)) as url:
        with pytest.raises(TargetError) as caught:
            await settle(Target.of(f"{url}/a"), limits=PATIENT)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


async def test_a_chain_without_end_is_an_error() -> None:
    """Five are followed, then it is told where they led."""
    asked: list[str] = []

    def answer(path: str) -> bytes:
        asked.append(path)
        return redirect(f"/{len(asked)}")

    async with site(answer) as url:
        with pytest.raises(TargetError, match=r"at most 5, got more: .*/start → .*/1 → .*/5 → .*/6"):
            await settle(Target.of(f"{url}/start"), limits=PATIENT)
    assert len(asked) == 6


async def test_credentials_stay_with_their_origin() -> None:
    """Another port is another origin: authorization, cookie and token do not go there, all else does."""
    heads: list[str] = []
    headers = [("Authorization", "secret"), ("Cookie", "secret"), ("X-Drip-Token", "secret"), ("X-Kept", "yes")]
    async with (
        serving(routing(lambda _: OK, heads)) as other,
        site(lambda _: redirect(f"http://{HOST}:{other}/")) as url,
    ):
        settled = await settle(Target.of(url, headers=headers), limits=PATIENT)
    assert settled.headers == (("X-Kept", "yes"),)
    assert len(heads) == 1
    assert "secret" not in heads[0]
    assert "x-kept: yes" in heads[0]


async def test_within_the_origin_credentials_stay() -> None:
    """So does where to connect."""
    async with serving(routing(lambda path: OK if path == "/b" else redirect("/b"))) as port:
        target = Target.of("http://public.example/a", headers=[("Cookie", "c")], connect_to=(HOST, port))
        settled = await settle(target, limits=PATIENT)
    assert (settled.url, settled.headers, settled.connect_to) == (
        "http://public.example/b",
        (("Cookie", "c"),),
        (HOST, port),
    )


async def test_tls_is_never_left_silently(certificate: Path) -> None:
    """From https to http is an error that names the URL, so that the user may ask it knowingly."""
    serve = routing(lambda _: redirect("http://plain.example/x"))
    async with serving(serve, tls=server_tls(certificate, alpn=[])) as port:
        with pytest.raises(TargetError, match=r"to stay on https, got 'http://plain.example/x'"):
            await settle(Target.of(f"https://{HOST}:{port}/", verify=False), limits=PATIENT)


async def test_a_post_becomes_a_get_unless_the_status_forbids_it() -> None:
    """As browsers do: 307 and 308 keep method and body."""
    for status, body in ((302, None), (303, None), (307, b"{}"), (308, b"{}")):
        heads: list[str] = []
        async with serving(
            routing(lambda path, status=status: OK if path == "/b" else redirect("/b", status), heads)  # type: ignore[misc]
        ) as port:
            settled = await settle(Target.of(f"http://{HOST}:{port}/a", body=b"{}"), limits=PATIENT)
        assert settled.body == body
        assert [head.split(" ")[0] for head in heads] == ["POST", "GET" if body is None else "POST"]


async def test_a_server_that_does_not_answer_is_no_redirect() -> None:
    """The probes will tell; settling waits no longer than it may."""

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    refused = Target.of(f"http://{HOST}:{free_port()}/")
    assert await settle(refused, limits=PATIENT) == refused
    async with serving(mute) as port:
        target = Target.of(f"http://{HOST}:{port}/")
        assert await settle(target, limits=ClientLimits(total_s=20, settle_s=0.2)) == target
