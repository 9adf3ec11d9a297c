"""The public listener: what it takes, what it refuses with which words, and how little it says."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha384
from ipaddress import ip_network

import pytest
import pytest_asyncio

from halves import server_half
from service.conftest import check
from service.lab import PACE_MS, SCRIPT, Response, Served, body, get, http, post, read_response, served, until
from streamgap.core.words import Reason
from streamgap.service.collector import Collector
from streamgap.service.script import integrity
from streamgap.service.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = body()
CUT_AT = 4096


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Served]:
    """One collector on real sockets for every row of the tables below."""
    settings = Settings(client_rate=1e6, client_burst=1_000_000, allow_origin=("https://app.example.com",))
    collector = Collector(settings, script=SCRIPT)
    async with served(collector) as site:
        yield site
    check(collector.joiner)


def rejected(site: Served) -> dict[str, int]:
    values = site.collector.joiner.meters.ledger.rejected.values
    return {reason: count for (half, reason), count in values.items() if half == "client" and count}


async def refused(site: Served, request: bytes) -> tuple[int, list[str]]:
    """Send a request; return its status and the reasons that were counted for it."""
    before = rejected(site)
    response = await http(site.public_port, request)
    grown = [reason for reason, count in rejected(site).items() if count > before.get(reason, 0)]
    assert sum(rejected(site).values()) - sum(before.values()) == len(grown)
    if grown:
        assert response.body.decode().startswith(f"{grown[0]}: ")
    return response.status, grown


def altered(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


HOSTILE_BODIES: dict[str, tuple[bytes, Reason]] = {
    "empty": (b"", Reason.JSON),
    "truncated": (GOOD[:-1], Reason.JSON),
    "trailing bytes": (GOOD + b"x", Reason.JSON),
    "two documents": (GOOD + GOOD, Reason.JSON),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, Reason.JSON),
    "UTF-16": (GOOD.decode().encode("utf-16"), Reason.JSON),
    "not UTF-8": (altered(b'"n":1', b'"n":1,"proto":"\xff"'), Reason.JSON),
    "NUL": (b"\0" + GOOD, Reason.JSON),
    "NaN": (altered(b'"n":1', b'"n":NaN'), Reason.JSON),
    "Infinity": (altered(b'"n":1', b'"n":1,"head":Infinity'), Reason.JSON),
    "-Infinity": (altered(b'"n":1', b'"n":1,"head":-Infinity'), Reason.JSON),
    "lone surrogate": (altered(b'"n":1', b'"n":1,"proto":"\\ud800"'), Reason.JSON),
    "leading zero": (altered(b'"n":1', b'"n":01'), Reason.JSON),
    "hexadecimal": (altered(b'"n":1', b'"n":1,"hidden":0x1'), Reason.JSON),
    "comment": (altered(b'"n":1', b'"n":1/**/'), Reason.JSON),
    "single quotes": (GOOD.replace(b'"', b"'"), Reason.JSON),
    "1e999": (altered(b'"n":1', b'"n":1,"head":1e999'), Reason.SCHEMA),
    "negative": (altered(b'"n":1', b'"n":1,"head":-1'), Reason.SCHEMA),
    "negative count": (altered(b'"count":3', b'"count":-3'), Reason.SCHEMA),
    "number as a string": (altered(b'"n":1', b'"n":"1"'), Reason.SCHEMA),
    "number as true": (altered(b'"n":1', b'"n":true'), Reason.SCHEMA),
    "number as null": (altered(b'"n":1', b'"n":null'), Reason.SCHEMA),
    "integer of 3000 digits": (altered(b'"n":1', b'"n":' + b"9" * 3000), Reason.SCHEMA),
    "fraction of a count": (altered(b'"n":1', b'"n":1.5'), Reason.SCHEMA),
    "an hour and more": (altered(b'"n":1', b'"n":1,"head":3600001'), Reason.SCHEMA),
    "unknown field": (altered(b'"n":1', b'"n":1,"prompt":"secret"'), Reason.SCHEMA),
    "array": (b"[" + GOOD + b"]", Reason.SCHEMA),
    "number": (b"1", Reason.SCHEMA),
    "string": (b'"x"', Reason.SCHEMA),
    "null": (b"null", Reason.SCHEMA),
    "no id": (altered(b'"sid":"stream-0001",', b""), Reason.SCHEMA),
    "short id": (altered(b"stream-0001", b"short"), Reason.SCHEMA),
    "long id": (altered(b"stream-0001", b"x" * 65), Reason.SCHEMA),
    "newline in the id": (altered(b"stream-0001", b"stream-0001\\n"), Reason.SCHEMA),
    "NUL in the id": (altered(b"stream-0001", b"stream\\u0000001"), Reason.SCHEMA),
    "quote in the id": (altered(b"stream-0001", b'stream\\"0001'), Reason.SCHEMA),
    "path in the id": (altered(b"stream-0001", b"../../../etc"), Reason.SCHEMA),
    "unknown end": (altered(b'"end":"done"', b'"end":"exploded"'), Reason.SCHEMA),
    "unknown transport": (altered(b'"via":"fetch"', b'"via":"pigeon"'), Reason.SCHEMA),
    "arrays 4000 deep": (b"[" * 4000, Reason.SCHEMA),
    "objects in place of a list": (altered(b'"at":[', b'"at":[{},'), Reason.SCHEMA),
    "257 offsets": (b'{"at":[' + b",".join([b"1"] * 257) + b"]," + GOOD[1:].replace(b'"at"', b'"x"', 1), Reason.SCHEMA),
    "16 gap bins": (altered(b'"gaps":[', b'"gaps":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,'), Reason.SCHEMA),
    "offsets that decrease": (altered(b"[600.0,650.0,", b"[650.0,600.0,"), Reason.SCHEMA),
    "offsets beyond the last": (altered(b'"last":700.0', b'"last":699.0'), Reason.SCHEMA),
    "fewer offsets than the count": (altered(b'"count":3', b'"count":4'), Reason.SCHEMA),
    "stride that is no power of two": (altered(b'"count":3', b'"count":9,"stride":3'), Reason.SCHEMA),
    "stride 0": (altered(b'"count":3', b'"count":3,"stride":0'), Reason.SCHEMA),
    "version of tomorrow": (altered(b'"v":1', b'"v":2'), Reason.VERSION),
    "version 0": (altered(b'"v":1', b'"v":0'), Reason.VERSION),
    "4097 bytes": (GOOD + b" " * (CUT_AT + 1 - len(GOOD)), Reason.SIZE),
}
STATUS = {Reason.SIZE: 413}


@pytest.mark.parametrize("row", HOSTILE_BODIES)
async def test_a_hostile_body_is_refused(site: Served, row: str) -> None:
    """Each is answered with a 4xx, counted under its reason, and joins nothing."""
    payload, reason = HOSTILE_BODIES[row]
    assert await refused(site, post(payload)) == (STATUS.get(reason, 400), [reason.value])


CHUNKED = "Transfer-Encoding: chunked"
ZEROS = b"%x\r\n" % (CUT_AT + 1) + bytes(CUT_AT + 1)
HOSTILE_REQUESTS: dict[str, tuple[bytes, int, Reason]] = {
    "announced 1 GiB": (post(b"", "Content-Length: 1073741824"), 413, Reason.SIZE),
    "chunked without end": (post(ZEROS, CHUNKED), 413, Reason.SIZE),
    "chunked byte by byte": (post(b"1\r\nx\r\n" * (CUT_AT + 1), CHUNKED), 413, Reason.SIZE),
    "gzip": (post(GOOD, "Content-Encoding: gzip"), 415, Reason.ENCODING),
    "brotli": (post(GOOD, "Content-Encoding: br"), 415, Reason.ENCODING),
    "GET": (post(b"", method="GET"), 405, Reason.METHOD),
    "PUT": (post(GOOD, method="PUT"), 405, Reason.METHOD),
    "DELETE": (post(b"", method="DELETE"), 405, Reason.METHOD),
    "foreign origin": (post(GOOD, "Origin: https://evil.test"), 403, Reason.ORIGIN),
    "origin that begins well": (post(GOOD, "Origin: https://app.example.com.evil.test"), 403, Reason.ORIGIN),
    "origin without TLS": (post(GOOD, "Origin: http://app.example.com"), 403, Reason.ORIGIN),
    "null origin": (post(GOOD, "Origin: null"), 403, Reason.ORIGIN),
    "no origin": (post(GOOD).replace(b"\r\nOrigin: https://collector.test", b""), 403, Reason.ORIGIN),
}


@pytest.mark.parametrize("row", HOSTILE_REQUESTS)
async def test_a_hostile_request_is_refused(site: Served, row: str) -> None:
    """Each is answered with its own status and counted under its reason, before its body is read."""
    request, status, reason = HOSTILE_REQUESTS[row]
    assert await refused(site, request) == (status, [reason.value])


async def test_a_body_of_exactly_the_limit_is_taken(site: Served) -> None:
    """4096 bytes are allowed, in one piece or in many."""
    padded = body(sid="stream-padded") + b" " * (CUT_AT - len(body(sid="stream-padded")))
    assert (await http(site.public_port, post(padded))).status == 204
    pieces = b"".join(b"400\r\n" + padded[i : i + 1024] + b"\r\n" for i in range(0, CUT_AT, 1024)) + b"0\r\n\r\n"
    assert (await http(site.public_port, post(pieces, CHUNKED))).status == 204


async def test_a_client_that_goes_away_is_counted(site: Served) -> None:
    """A body that breaks off is a `disconnect`, and nobody is there to be answered."""
    before = rejected(site).get("disconnect", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", site.public_port)
    writer.write(post(GOOD, f"Content-Length: {len(GOOD)}")[:-10])
    await writer.drain()
    writer.close()
    await until(lambda: rejected(site).get("disconnect", 0) == before + 1, "the disconnect to be counted")


async def test_the_answer_tells_nobody_what_became_of_a_report(site: Served) -> None:
    """Joined, waiting, duplicate and late reports get the same bytes."""
    site.collector.offer_server(server_half(PACE_MS, sid="stream-known"))
    reports = [
        body(sid="stream-known"),
        body(sid="stream-known"),
        body(sid="stream-known", n=2),
        body(sid="stream-unknown"),
        body(sid="stream-unknown"),
    ]
    answers = [await http(site.public_port, post(report)) for report in reports]
    for answer in answers:
        answer.headers.pop("date")
    assert answers == [
        Response(204, {"access-control-allow-origin": "https://collector.test", "vary": "origin"}, b"")
    ] * len(answers)


async def test_an_allowed_origin_is_named_in_every_answer(site: Served) -> None:
    """The page may read its refusal; a foreign page may read nothing."""
    origin = "Origin: https://app.example.com"
    good, bad = [await http(site.public_port, post(payload, origin)) for payload in (GOOD, b"{")]
    assert good.headers["access-control-allow-origin"] == "https://app.example.com"
    assert bad.headers["access-control-allow-origin"] == "https://app.example.com"
    foreign = await http(site.public_port, post(GOOD, "Origin: https://evil.test"))
    assert "access-control-allow-origin" not in foreign.headers
    assert {answer.headers["vary"] for answer in (good, bad, foreign)} == {"origin"}


async def test_cookies_change_nothing(site: Served) -> None:
    """There is nothing ambient to abuse: a report with cookies is a report."""
    assert (await http(site.public_port, post(GOOD, "Cookie: session=secret"))).status == 204


async def test_a_preflight_is_answered_from_constants(site: Served) -> None:
    """Whatever a preflight asks, the answer is the same and counts as no report."""
    received = site.collector.joiner.meters.ledger.received.total()
    plain, asking = [
        await http(site.public_port, post(b"", *headers, method="OPTIONS"))
        for headers in ([], ["Origin: https://evil.test", "Access-Control-Request-Headers: x-a, x-b"])
    ]
    assert plain == asking
    assert (plain.status, plain.headers["access-control-max-age"], plain.headers["allow"]) == (
        204,
        "600",
        "post, options",
    )
    assert site.collector.joiner.meters.ledger.received.total() == received


@pytest.mark.parametrize("path", ["/beacon.js", SCRIPT.path])
async def test_the_script_is_served_to_any_page(site: Served, path: str) -> None:
    """Both names give the same bytes, typed, not to be sniffed, loadable from anywhere."""
    answer = await http(site.public_port, get(path))
    assert (answer.status, answer.body) == (200, SCRIPT.content)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert ("immutable" in answer.headers["cache-control"]) == (path != "/beacon.js")
    head = await http(site.public_port, get(path).replace(b"GET", b"HEAD", 1))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(SCRIPT.content)))


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/status", "/v1/traces", "/v1/beacon/", "/beacon-0000000000000000.js", "/..%2fbeacon.js", "/%00"],
)
async def test_nothing_else_is_there(site: Served, path: str) -> None:
    """Every other path, also those of the admin listener, gets the same 404."""
    answer = await http(site.public_port, get(path))
    assert (answer.status, answer.body) == (404, b"not found\n")


async def test_the_integrity_hash_is_what_browsers_compute() -> None:
    """sha384 of the bytes, in base64, as Subresource Integrity writes it."""
    assert integrity(b"abc") == "sha384-" + b64encode(sha384(b"abc").digest()).decode()


async def test_a_kept_alive_connection_survives_a_refusal(site: Served) -> None:
    """A refused report does not cost its page the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.public_port)
    statuses = []
    for payload in (b"{", GOOD, b"[]", GOOD):
        writer.write(post(payload))
        statuses.append((await read_response(reader)).status)
    writer.close()
    assert statuses == [400, 204, 400, 204]


async def test_too_many_reports_are_shed_before_their_body(make_collector: Callable[..., Collector]) -> None:
    """Past the burst a client is told when to come back, without its body being read."""
    collector = make_collector(client_rate=0.5, client_burst=2)
    async with served(collector) as site:
        statuses = [(await http(site.public_port, post(GOOD))).status for _ in range(3)]
        shed = await http(site.public_port, post(b"", "Content-Length: 4000"))
    assert statuses == [204, 204, 429]
    assert (shed.status, shed.headers["retry-after"]) == (429, "2")
    assert shed.headers["access-control-expose-headers"] == "retry-after"
    assert collector.joiner.meters.ledger.rejected.values["client", "rate"] == 2


async def test_forwarded_clients_have_buckets_of_their_own(make_collector: Callable[..., Collector]) -> None:
    """Behind a trusted proxy each forwarded address is a client; without trust the header is ignored."""
    proxies = (ip_network("127.0.0.0/8"),)
    for trusted, expected in (((), [204, 429]), (proxies, [204, 204])):
        collector = make_collector(client_rate=0.01, client_burst=1, trusted_proxies=trusted)
        async with served(collector) as site:
            requests = [post(GOOD, f"X-Forwarded-For: 203.0.113.{i}") for i in range(2)]
            assert [(await http(site.public_port, request)).status for request in requests] == expected


async def test_the_last_refusals_are_on_the_status_page(site: Served) -> None:
    """Whoever runs the collector sees where, what was expected and what to try; the report's content is not quoted."""
    await http(site.public_port, post(altered(b'"n":1', b'"n":0,"proto":"canary"')))
    await http(site.public_port, post(GOOD, "Origin: https://other.example"))
    status = json.loads((await http(site.admin_port, get("/status"))).body)
    schema, origin = status["rejections"][-2:]
    assert (schema["half"], schema["reason"]) == ("client", "schema")
    assert schema["message"] == "beacon: Expected `int` >= 1 - at `$.n`"
    assert origin["message"].endswith("got 'https://other.example'; try --allow-origin https://other.example")
    assert "canary" not in json.dumps(status)
