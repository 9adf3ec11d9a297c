"""Who is suspected: the right program for each way of holding that was measured, and nobody where nobody is known."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamgap.core.hops import Suspect
from streamgap.core.mechanism import CODES, Finding, Mechanism, Severity
from streamgap.core.probe import AppView, Arrival, Asked, Ending, Hint, Probe, Protocol
from streamgap.core.suspects import suspects, traced
from streamgap.core.suspects.versions import within
from streamgap.doctor.knowledge import load_hops

CLEAR, TLS, H2 = Protocol.CLEAR, Protocol.TLS, Protocol.H2
OPENING, XAB, NO_TRANSFORM, IDENTITY = Hint.OPENING, Hint.X_ACCEL, Hint.NO_TRANSFORM, Hint.IDENTITY
ALL = (OPENING, XAB, NO_TRANSFORM, IDENTITY)
HOPS = load_hops()
Headers = tuple[tuple[str, str], ...]
NGINX: Headers = (("Server", "nginx/1.22.1"),)
UVICORN: Headers = (("server", "uvicorn"),)
GUNICORN: Headers = (("server", "gunicorn"),)
CLOUDFLARE: Headers = (("server", "cloudflare"), ("cf-ray", "8abcdef012345678-FRA"))
GZIP: Headers = (("content-encoding", "gzip"),)
PLAIN_VIEW = AppView(protocol="HTTP/1.1", headers=(("host", "example.test"),))
OLD_VIEW = AppView(protocol="HTTP/1.0", headers=(("connection", "close"),))
TRAEFIK_VIEW = AppView(
    protocol="HTTP/1.1",
    headers=(("X-Forwarded-Port", "80"), ("X-Forwarded-Server", "box"), ("X-Real-Ip", "192.0.2.1")),
)


def probe(
    headers: Headers = (), *, protocol: Protocol = CLEAR, method: str = "GET", seen: AppView = PLAIN_VIEW
) -> Probe:
    asked = Asked(name="probe", protocol=protocol, accept_encoding="gzip, br", method=method)
    return Probe(asked=asked, status=200, headers=headers, seen=seen, ending=Ending.FRAMED, end_ms=1000.0)


def finding(
    mechanism: Mechanism,
    freed: Sequence[Hint] = (),
    vain: Sequence[Hint] = (),
    *,
    protocols: tuple[Protocol, ...] = (),
    encodings: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    block: int | None = None,
    period: float | None = None,
    confidence: float = 0.95,
) -> Finding:
    return Finding(
        mechanism=mechanism,
        confidence=confidence,
        block_bytes=block,
        period_ms=period,
        protocols=protocols,
        encodings=encodings,
        methods=methods,
        freed_by=tuple(freed),
        not_freed_by=tuple(vain),
    )


def ranked(found: Finding, probes: Sequence[Probe], **place: object) -> tuple[Suspect, ...]:
    return suspects(found, probes=probes, hops=HOPS, **place)  # type: ignore[arg-type]


BOTH = (probe(NGINX, protocol=TLS), probe(NGINX, protocol=H2))
RECORD = finding(Mechanism.BLOCKS, (XAB,), (OPENING, NO_TRANSFORM, IDENTITY), protocols=(TLS,), block=16_384)
CORK = finding(Mechanism.TIMER, (), ALL, period=205.0)
ONE_BEHIND = finding(Mechanism.ONE_BEHIND, (NO_TRANSFORM, IDENTITY), (OPENING,), encodings=("gzip",))
NGINX_GZIP = finding(Mechanism.COMPRESSOR, (XAB, IDENTITY), (OPENING, NO_TRANSFORM), encodings=("gzip",))
NODE = finding(Mechanism.COMPRESSOR, (NO_TRANSFORM,), (OPENING, IDENTITY, XAB), encodings=("br",))
ENVOY = finding(Mechanism.COMPRESSOR, (NO_TRANSFORM, IDENTITY), (OPENING,), encodings=("zstd",))
WHOLE = finding(Mechanism.WHOLE, (), ALL)
ZSTD = (probe((("server", "envoy"), ("content-encoding", "zstd"))), probe((("server", "envoy"), *GZIP)))
MEASURED = [
    ("nginx over TLS", RECORD, BOTH, "nginx", "tls-record", 0.9),
    ("nginx over TLS, hidden", RECORD, (probe(protocol=TLS), probe(protocol=H2)), "nginx", "tls-record", 0.7),
    (
        "nginx over TLS behind another proxy",
        finding(Mechanism.BLOCKS, (XAB,), block=15_938),
        (probe(CLOUDFLARE, protocol=TLS), probe(CLOUDFLARE, protocol=H2)),
        "nginx",
        "tls-record",
        0.5,
    ),
    (
        "nginx over TLS, a short stream",
        finding(Mechanism.WHOLE, (XAB,), (OPENING,), protocols=(TLS,)),
        BOTH,
        "nginx",
        "tls-record",
        0.8,
    ),
    (
        "nginx over TLS behind an nginx that eats the hint",
        finding(Mechanism.BLOCKS, (), ALL, protocols=(TLS,), block=16_384),
        BOTH,
        "nginx",
        "tls-record",
        0.7,
    ),
    (
        "nginx with an HTTP/1.0 upstream",
        finding(Mechanism.BLOCKS, (XAB,), (OPENING,), block=4104),
        (probe(NGINX, seen=OLD_VIEW),),
        "nginx",
        "close-delimited",
        0.9,
    ),
    (
        "nginx with uwsgi_pass",
        finding(Mechanism.BLOCKS, (XAB,), (OPENING,), block=4104),
        (probe(NGINX),),
        "nginx",
        "uwsgi-buffering",
        0.8,
    ),
    ("nginx gzip", NGINX_GZIP, (probe((*NGINX, *GZIP)),), "nginx", "gzip-buffering", 0.8),
    (
        "nginx's late headers",
        finding(Mechanism.LATE_HEADERS, (OPENING, XAB), ()),
        (probe(NGINX),),
        "nginx",
        "late-headers",
        0.8,
    ),
    ("nginx's cache", finding(Mechanism.REPLAY), (probe((*NGINX, ("x-cache-status", "HIT"))),), "nginx", "", 0.3),
    ("Envoy zstd", ENVOY, ZSTD, "envoy", "zstd", 0.8),
    ("HAProxy's cork", CORK, (probe(UVICORN),), "haproxy", "cork", 0.68),
    ("HAProxy's gzip", ONE_BEHIND, (probe((*UVICORN, *GZIP), protocol=H2),), "haproxy", "gzip-one-behind", 0.7),
    (
        "HAProxy's gzip, no hints tried",
        finding(Mechanism.ONE_BEHIND, encodings=("gzip",)),
        (probe(GZIP),),
        "haproxy",
        "gzip-one-behind",
        0.5,
    ),
    (
        "waitress",
        finding(Mechanism.BLOCKS, (), ALL, block=18_128),
        (probe((("server", "waitress"),)),),
        "waitress",
        "send-bytes",
        0.7,
    ),
    (
        "a buffered writer",
        finding(Mechanism.BLOCKS, (), ALL, block=8034),
        (probe(UVICORN),),
        "python-middleware",
        "",
        0,
    ),
    ("a flush timer", finding(Mechanism.TIMER, (), ALL, period=500.0), (probe(UVICORN),), "python-middleware", "", 0),
    (
        "Django's gzip members",
        finding(Mechanism.LOST_EVENTS, (IDENTITY,), encodings=("gzip",)),
        (probe((*UVICORN, *GZIP)),),
        "django",
        "gzip-members",
        0.7,
    ),
    ("gunicorn's queue", finding(Mechanism.QUEUE), (probe(GUNICORN),), "gunicorn", "sync-worker", 0.5),
    ("Node's compression", NODE, (probe((("x-powered-by", "Express"), *GZIP)),), "node-compression", "no-flush", 0.8),
    ("Traefik's buffering", WHOLE, (probe(UVICORN, seen=TRAEFIK_VIEW),), "traefik", "buffering", 0.4),
    (
        "Varnish without streaming",
        WHOLE,
        (probe((*UVICORN, ("via", "1.1 varnish (Varnish/7.1)"), ("x-varnish", "2"))),),
        "varnish",
        "do-stream-false",
        0.4,
    ),
    (
        "lighttpd",
        WHOLE,
        (probe(UVICORN, seen=AppView(protocol="HTTP/1.1", headers=(("x-host", "a"),))),),
        "lighttpd",
        "response-body",
        0.4,
    ),
    ("Caddy's buffers", WHOLE, (probe((*UVICORN, ("via", "1.1 Caddy"))),), "caddy", "response-buffers", 0.4),
    (
        "a Quick Tunnel",
        finding(Mechanism.WHOLE, methods=("GET",)),
        (probe(CLOUDFLARE, protocol=TLS), probe(CLOUDFLARE, protocol=TLS, method="POST")),
        "cloudflare",
        "quick-tunnel-get",
        0.5,
    ),
    ("nginx's timer", finding(Mechanism.IDLE_CUT, period=60_020), (probe(NGINX),), "nginx", "proxy_read_timeout", 0.5),
    (
        "Envoy's route timeout",
        finding(Mechanism.AGE_CUT, period=16_000),
        (probe((("server", "envoy"),)),),
        "envoy",
        "route timeout",
        0.5,
    ),
]


@pytest.mark.parametrize(
    ("found", "probes", "hop", "habit", "least"), [row[1:] for row in MEASURED], ids=[row[0] for row in MEASURED]
)
def test_what_was_measured_names_its_program(
    found: Finding, probes: tuple[Probe, ...], hop: str, habit: str, least: float
) -> None:
    """The program that was measured to hold like this comes first, as surely as its signs allow, with its cure."""
    first = ranked(found, probes)[0]
    assert (first.hop, first.habit if habit else "") == (hop, habit)
    assert first.confidence >= least
    assert first.remedies
    assert first.because


@pytest.mark.parametrize(
    ("found", "probes", "hop"),
    [
        (
            finding(Mechanism.COMPRESSOR, (IDENTITY,), (OPENING, NO_TRANSFORM, XAB), encodings=("gzip",)),
            NGINX,
            "django",
        ),
        (
            finding(Mechanism.COMPRESSOR, (IDENTITY,), (OPENING, NO_TRANSFORM, XAB), encodings=("gzip",)),
            UVICORN,
            "starlette",
        ),
        (finding(Mechanism.COMPRESSOR, (), ALL, encodings=("gzip",)), UVICORN, "python-middleware"),
        (WHOLE, UVICORN, "django"),
        (WHOLE, UVICORN, "python-middleware"),
    ],
)
def test_what_leaves_no_trace_is_among_the_first_three(found: Finding, probes: Headers, hop: str) -> None:
    """What runs inside the app shows itself in no header, and is still suspected."""
    headers = (*probes, *GZIP) if found.encodings else probes
    assert hop in [suspect.hop for suspect in ranked(found, [probe(headers)])[:3]]


@pytest.mark.parametrize("mechanism", [Mechanism.WHOLE, Mechanism.BLOCKS, Mechanism.LATE_HEADERS, Mechanism.QUEUE])
@pytest.mark.parametrize("place", [{}, {"innermost": True}, {"inner": [probe()]}])
def test_a_generic_hold_without_a_trace_names_nobody_surely(mechanism: Mechanism, place: dict[str, object]) -> None:
    """Many programs hold like this and none shows itself: nobody gets 0.3 or more, whichever programs are known."""
    for hops in (HOPS, *((hop,) for hop in HOPS)):
        for suspect in suspects(finding(mechanism, (), ALL), probes=[probe()], hops=hops, **place):  # type: ignore[arg-type]
            assert suspect.confidence <= 0.3


def test_unlisted_blocks_and_programs_get_no_high_confidence() -> None:
    """A block size that no program is known for, behind a program that nobody knows, convicts nobody."""
    for block in (2000, 5000, 10_240, 65_536, 100_000):
        found = finding(Mechanism.BLOCKS, (), ALL, block=block)
        for suspect in ranked(found, [probe((("server", "MyProxy/3"), ("x-my-proxy", "1")))]):
            assert suspect.confidence < 0.5, suspect


def test_being_on_the_path_is_not_being_guilty() -> None:
    """Cloudflare in front of a hold that nothing frees is no proof against Cloudflare."""
    found = ranked(WHOLE, [probe(CLOUDFLARE, protocol=TLS), probe(CLOUDFLARE, protocol=H2)])
    assert all(suspect.confidence < 0.5 for suspect in found)


@pytest.mark.parametrize(
    "headers", [UVICORN, NGINX, (("via", "1.1 Caddy"),), (("server", "envoy"),), GUNICORN, CLOUDFLARE]
)
@pytest.mark.parametrize("mechanism", [Mechanism.WHOLE, Mechanism.COMPRESSOR])
def test_a_known_program_before_an_unlisted_one_is_not_convicted(mechanism: Mechanism, headers: Headers) -> None:
    """Something unlisted holds everything, nothing frees it, and a program that flows shows itself: no sure name."""
    encodings = ("gzip",) if mechanism is Mechanism.COMPRESSOR else ()
    seen = [probe((*headers, *(GZIP if encodings else ())))]
    for suspect in ranked(finding(mechanism, (), ALL, encodings=encodings), seen):
        assert suspect.confidence < 0.6, suspect


def test_an_unknown_hop_is_described_by_its_mechanism() -> None:
    """Where no program fits there is one suspect without a name, with what is known of it and little confidence."""
    (only,) = suspects(finding(Mechanism.BLOCKS, block=5000, period=40.0), probes=[probe()], hops=())
    assert (only.hop, only.habit, only.remedies) == ("", "", ())
    assert only.confidence <= 0.3
    assert "5,000 bytes" in " ".join(only.because)


@pytest.mark.parametrize("mechanism", [one for one in Mechanism if CODES[one].severity is not Severity.HELD])
def test_nobody_is_accused_of_what_no_hop_does(mechanism: Mechanism) -> None:
    """A stream that flows, a slow app, the network and the prober have no suspects among the hops."""
    found = ranked(finding(mechanism), [probe(NGINX)])
    if mechanism in {Mechanism.LATE_HEADERS, Mechanism.UNKNOWN}:
        assert found
        assert mechanism is Mechanism.LATE_HEADERS or [one.hop for one in found] == [""]
    else:
        assert found == ()


def test_only_what_is_new_outside_of_a_flowing_tap_counts() -> None:
    """Between a tap that flows and one that is held stands whom only the outer one shows."""
    inner = [probe(NGINX)]
    outer = [probe((*NGINX, ("via", "1.1 varnish (Varnish/7.1)"), ("x-varnish", "2")))]
    alone, between = ranked(WHOLE, outer)[0], ranked(WHOLE, outer, inner=inner)[0]
    assert between.hop == "varnish"
    assert between.confidence > alone.confidence
    assert not any("nginx" in said for said in between.because)


def test_the_app_is_acquitted_by_a_flowing_tap_inside_and_asked_first_at_the_innermost() -> None:
    """A hold that appears further out is not the framework's; one that is there already is rather not a proxy's."""

    def confidence(hop: str, **place: object) -> float:
        return next((one.confidence for one in ranked(WHOLE, [probe(UVICORN)], **place) if one.hop == hop), 0.0)

    assert confidence("django", inner=[probe(UVICORN)]) < confidence("django") < confidence("django", innermost=True)
    assert confidence("traefik", innermost=True) <= confidence("traefik")


def test_a_version_outside_of_the_known_ones_counts_against() -> None:
    """Nginx 1.31 sends its headers early over h2, so it is suspected less of late ones than nginx 1.22."""
    assert (within("2.6.2", "<2.11"), within("2.11.7", "<2.11"), within("", "<2.11")) == (True, False, True)
    assert within("1.22.1", ">=1.13,<1.29.7")
    with pytest.raises(ValueError, match="expected >=, >, <= or <"):
        within("1.0", "2.0")
    late = finding(Mechanism.LATE_HEADERS, (OPENING,), (XAB,), protocols=(H2,))

    def confidence(version: str) -> float:
        headers = (("server", f"nginx/{version}"),)
        found = ranked(late, [probe(headers, protocol=H2), probe(headers, protocol=TLS)])
        return next((one.confidence for one in found if one.hop == "nginx"), 0.0)

    assert confidence("1.31.3") < 0.5 < confidence("1.22.1")


def test_hints_that_all_free_a_hold_tell_nothing() -> None:
    """A hold that is gone under every hint, also under those that free nothing, was not there when they were tried."""
    gone = finding(Mechanism.TIMER, ALL, period=205.0)
    untried = finding(Mechanism.TIMER, period=205.0)
    assert ranked(gone, [probe(UVICORN)]) == ranked(untried, [probe(UVICORN)])


def test_a_period_just_outside_of_the_known_ones_decides_nothing() -> None:
    """A loaded machine makes a timer of 200 ms look like one of 252; one of 500 it is not."""

    def confidence(period: float) -> float:
        found = ranked(finding(Mechanism.TIMER, period=period), [probe(UVICORN)])
        return next((one.confidence for one in found if one.hop == "haproxy"), 0.0)

    assert confidence(205.0) > confidence(252.0) > confidence(500.0)


def test_hostile_headers_are_bounded_and_escaped() -> None:
    """A header of a megabyte and one with control characters are searched in part, and shown without effect."""
    hostile = (("server", "nginx/\x1b[31m1.2\r\n<b>"), ("via", "x" * 1_000_000 + " varnish"))
    seen = traced([probe(hostile)], HOPS)
    assert [one.hop for one in seen] == ["nginx"]
    said = " ".join(seen[0].evidence) + " ".join(ranked(RECORD, [probe(hostile, protocol=TLS)])[0].because)
    coded = [probe((("content-encoding", "\x1b[31mgzip\n"), ("server", "nginx")), protocol=TLS)]
    for suspect in ranked(finding(Mechanism.COMPRESSOR), coded):
        said += " ".join(suspect.because)
    assert "\x1b" not in said
    assert "\n" not in said
    assert len(said) < 4000


def test_sightings_come_in_the_order_of_the_response() -> None:
    """Who shows itself is told in the order of the headers, those that only the app saw last."""
    headers = (("x-varnish", "2"), ("cf-ray", "8-FRA"), ("server", "nginx/1.22.1"))
    found = traced([probe(headers, seen=AppView(protocol="HTTP/1.1", headers=(("x-amz-cf-id", "a"),)))], HOPS)
    assert [one.hop for one in found] == ["varnish", "cloudflare", "nginx", "cloudfront"]
    assert found[2].version == "1.22.1"
    assert "the app saw" in found[3].evidence[0]


NAMES = st.sampled_from(
    [
        ("server", "nginx/1.22.1"),
        ("server", "envoy"),
        ("server", "gunicorn"),
        ("cf-ray", "8-FRA"),
        ("via", "1.1 varnish"),
        ("via", "1.1 Caddy"),
        ("x-powered-by", "Express"),
        ("content-encoding", "gzip"),
        ("x-unheard-of", "1"),
    ]
)
FINDINGS = st.builds(
    Finding,
    mechanism=st.sampled_from([one for one in Mechanism if CODES[one].severity is Severity.HELD]),
    confidence=st.floats(0, 1),
    block_bytes=st.none() | st.integers(1, 200_000),
    period_ms=st.none() | st.floats(0, 400_000),
    protocols=st.lists(st.sampled_from(list(Protocol)), unique=True).map(tuple),
    encodings=st.lists(st.sampled_from(["gzip", "br", "zstd", "identity"]), unique=True).map(tuple),
    methods=st.sampled_from([(), ("GET",), ("POST",)]),
    freed_by=st.lists(st.sampled_from(list(Hint)), unique=True).map(tuple),
    not_freed_by=st.lists(st.sampled_from(list(Hint)), unique=True).map(tuple),
)
PROBES = st.lists(
    st.builds(
        probe,
        st.lists(NAMES, max_size=4).map(tuple),
        protocol=st.sampled_from(list(Protocol)),
        method=st.sampled_from(["GET", "POST"]),
        seen=st.sampled_from([PLAIN_VIEW, OLD_VIEW, TRAEFIK_VIEW]),
    ),
    max_size=4,
)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(FINDINGS, PROBES)
def test_confidence_is_a_share(found: Finding, probes: list[Probe]) -> None:
    """All confidences lie in 0…1, sum to no more than the finding's, and come in falling order."""
    told = suspects(found, probes=probes, hops=HOPS, limit=100)
    confidences = [one.confidence for one in told]
    assert told
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= one <= 1 for one in confidences)
    assert sum(confidences) <= found.confidence + 1e-9


@settings(derandomize=True, deadline=None, max_examples=60)
@given(FINDINGS, st.lists(NAMES, max_size=3).map(tuple), st.sampled_from(["fastly", "kong", "traefik", "iis"]))
def test_a_trace_of_another_program_never_raises(found: Finding, headers: Headers, other: str) -> None:
    """Seeing a further program on the path raises no other proxy's confidence."""
    further: dict[str, Headers] = {
        "fastly": (("x-served-by", "cache-fra1"),),
        "kong": (("x-kong-proxy-latency", "1"),),
        "traefik": (),
        "iis": (("x-powered-by", "ARR/3.0"),),
    }
    view = TRAEFIK_VIEW if other == "traefik" else PLAIN_VIEW
    before = suspects(found, probes=[probe(headers)], hops=HOPS, limit=100)
    after = suspects(found, probes=[probe((*headers, *further[other]), seen=view)], hops=HOPS, limit=100)
    had = {one.hop: one.confidence for one in before}
    shares = {"traefik", "apache"} if other == "traefik" else {other}
    inside = {hop.name for hop in HOPS if hop.kind in {"app_server", "framework", "middleware"}}
    for one in after:
        if one.hop and one.hop not in shares | inside:
            assert one.confidence <= max(had.get(one.hop, 0.0), 0.02) + 1e-9


@pytest.mark.parametrize("hint", [XAB, NO_TRANSFORM, IDENTITY])
def test_a_hint_that_did_not_help_never_raises_who_obeys_it(hint: Hint) -> None:
    """That a hint was tried in vain speaks against every program that is known to obey it."""
    obey = {hop.name for hop in HOPS for habit in hop.habits if hint in habit.freed_by}
    stubborn = {hop.name for hop in HOPS for habit in hop.habits if hint not in habit.freed_by}
    for mechanism in (Mechanism.BLOCKS, Mechanism.COMPRESSOR, Mechanism.LATE_HEADERS):
        before = ranked(finding(mechanism, encodings=("gzip",)), [probe((*NGINX, *GZIP))], limit=100)
        after = ranked(finding(mechanism, (), (hint,), encodings=("gzip",)), [probe((*NGINX, *GZIP))], limit=100)
        had = {one.hop: one.confidence for one in before}
        for one in after:
            if one.hop in obey - stubborn:
                assert one.confidence <= had.get(one.hop, 0.02) + 1e-9


def test_when_the_headers_came_tells_collectors_apart() -> None:
    """Django sends the headers before it runs a plain generator; who joins the body sends them with it."""

    def first(head_ms: float) -> str:
        held = replace(probe(UVICORN), head_ms=head_ms, events=(Arrival(0, 2500.0, 300.0, 0, 100),))
        return ranked(WHOLE, [held])[0].hop

    assert first(4.0) == "django"
    assert first(2490.0) == "python-middleware"
