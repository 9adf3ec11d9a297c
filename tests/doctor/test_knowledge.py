"""The knowledge base holds together, says how it knows, and knows the headers that programs were seen to write."""

import re
from pathlib import Path

import pytest

from hops.matrix import CONFIGURATIONS
from streamgap.core.hops import Hop, Source
from streamgap.core.mechanism import CODES, Severity
from streamgap.core.probe import AppView, Asked, Ending, Probe, Protocol
from streamgap.core.suspects import traced
from streamgap.doctor.knowledge import SHIPPED, KnowledgeError, load_hop, load_hops

HOPS = load_hops()
EXPECTED = [
    "akamai",
    "apache",
    "apisix",
    "aws-alb",
    "aws-api-gateway",
    "aws-nlb",
    "azure-app-service",
    "azure-application-gateway",
    "azure-front-door",
    "bunny",
    "caddy",
    "cloud-run",
    "cloudflare",
    "cloudfront",
    "daphne",
    "django",
    "envoy",
    "fastly",
    "flask",
    "fly",
    "gcp-load-balancer",
    "granian",
    "gunicorn",
    "haproxy",
    "heroku",
    "hypercorn",
    "iis",
    "ingress-nginx",
    "istio",
    "kong",
    "lighttpd",
    "mod_wsgi",
    "netlify",
    "nginx",
    "node-compression",
    "node-http-proxy",
    "openresty",
    "python-middleware",
    "railway",
    "render",
    "spring",
    "squid",
    "starlette",
    "tengine",
    "traefik",
    "trafficserver",
    "uvicorn",
    "uwsgi",
    "varnish",
    "vercel",
    "waitress",
]
Headers = tuple[tuple[str, str], ...]
WRITTEN: list[tuple[set[str], Headers, AppView | None]] = [
    ({"nginx"}, (("Server", "nginx/1.22.1"),), None),
    ({"nginx"}, (("Server", "nginx"),), AppView(protocol="HTTP/1.0", headers=(("connection", "close"),))),
    ({"nginx"}, (), AppView(protocol="1.0")),
    (set(), (("server", "uvicorn-like/1"), ("date", "today")), AppView(protocol="HTTP/1.1")),
    ({"uvicorn"}, (("server", "uvicorn"),), None),
    ({"uvicorn", "caddy"}, (("Server", "uvicorn"), ("Server", "Caddy")), None),
    ({"caddy"}, (("Via", "1.1 Caddy"),), AppView(headers=(("Via", "1.1 Caddy"),))),
    ({"envoy"}, (("server", "envoy"), ("x-envoy-upstream-service-time", "3")), None),
    ({"istio", "envoy"}, (("server", "istio-envoy"), ("x-envoy-upstream-service-time", "3")), None),
    (
        {"traefik", "apache"},
        (),
        AppView(headers=(("X-Forwarded-Server", "b"), ("X-Real-Ip", "::1"), ("X-Forwarded-Port", "80"))),
    ),
    ({"apache"}, (("Server", "Apache/2.4.71 (Debian)"),), None),
    ({"apache", "mod_wsgi"}, (("Server", "Apache/2.4.71 (Debian) mod_wsgi/4.9.4 Python/3.11"),), None),
    ({"varnish"}, (("X-Varnish", "2"), ("Age", "0"), ("Via", "1.1 varnish (Varnish/7.1)")), None),
    ({"squid"}, (("Via", "1.1 vm (squid/5.7)"), ("X-Cache-Lookup", "MISS from vm:3128")), None),
    ({"trafficserver"}, (("Server", "ATS/9.2.9"),), None),
    ({"lighttpd"}, (), AppView(headers=(("x-host", "example.test"), ("x-forwarded-host", "example.test")))),
    ({"gunicorn"}, (("Server", "gunicorn"),), None),
    ({"waitress"}, (("Server", "waitress"),), None),
    ({"daphne"}, (("Server", "daphne"),), None),
    ({"hypercorn"}, (("server", "hypercorn-h11"),), None),
    ({"granian"}, (("server", "granian"),), None),
    ({"flask"}, (("Server", "Werkzeug/3.1.3 Python/3.11.7"),), None),
    ({"cloudflare"}, (("server", "cloudflare"), ("cf-ray", "8a-FRA"), ("cf-cache-status", "DYNAMIC")), None),
    (
        {"cloudfront"},
        (("via", "1.1 abc.cloudfront.net (CloudFront)"), ("x-amz-cf-id", "a"), ("x-amz-cf-pop", "FRA60-P1")),
        None,
    ),
    ({"aws-alb"}, (("set-cookie", "AWSALB=abc; Path=/"),), None),
    ({"fastly"}, (("x-served-by", "cache-fra-eddf8230100-FRA"), ("x-cache", "MISS")), None),
    ({"akamai"}, (("server-timing", "ak_p; desc='1_2_3'"),), None),
    ({"azure-front-door"}, (("x-azure-ref", "0abc"),), None),
    ({"gcp-load-balancer"}, (("via", "1.1 google"),), None),
    ({"cloud-run"}, (("server", "Google Frontend"),), None),
    ({"vercel"}, (("x-vercel-id", "fra1::abc"), ("server", "Vercel")), None),
    ({"netlify"}, (("x-nf-request-id", "01ABC"),), None),
    ({"fly"}, (("fly-request-id", "01ABC-fra"), ("via", "1.1 fly.io")), None),
    ({"heroku"}, (("via", "1.1 vegur"),), None),
    ({"heroku"}, (("via", "2.0 heroku-router"),), None),
    ({"bunny"}, (("server", "BunnyCDN-DE1-1054"), ("cdn-pullzone", "93447")), None),
    ({"render", "cloudflare"}, (("server", "cloudflare"), ("x-render-origin-server", "uvicorn")), None),
    ({"railway"}, (("server", "railway-edge"), ("x-railway-edge", "railway/us-east4")), None),
    ({"kong"}, (("via", "1.1 kong/3.9.1"), ("x-kong-proxy-latency", "1")), None),
    ({"apisix"}, (("server", "APISIX/3.12.0"),), None),
    ({"openresty"}, (("server", "openresty/1.27.1.1"),), None),
    ({"tengine"}, (("server", "Tengine"),), None),
    ({"ingress-nginx"}, (), AppView(headers=(("x-scheme", "https"), ("x-forwarded-scheme", "https")))),
    ({"iis"}, (("server", "Microsoft-IIS/10.0"), ("x-powered-by", "ASP.NET")), None),
    ({"node-compression", "node-http-proxy"}, (("x-powered-by", "Express"),), None),
]


def probe(headers: Headers, seen: AppView | None) -> Probe:
    asked = Asked(name="probe", protocol=Protocol.CLEAR, accept_encoding="gzip")
    return Probe(asked=asked, status=200, headers=headers, seen=seen, ending=Ending.FRAMED, end_ms=1.0)


def sources(hop: Hop) -> list[Source]:
    return [fact.source for facts in (hop.traces, hop.habits, hop.timers, hop.remedies) for fact in facts]


def test_every_program_of_the_list_is_there() -> None:
    """No file got lost, and none came without being listed here."""
    assert [hop.name for hop in HOPS] == sorted(EXPECTED)


@pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.name)
def test_every_fact_says_how_it_is_known(hop: Hop) -> None:
    """A measurement names the program and its version, a claim or report the address where it stands."""
    assert sources(hop)
    for source in sources(hop):
        if source.mark == "measured":
            assert len(source.text) > 5, source
        else:
            assert re.match(r"https?://[\w.-]+/", source.text), source


@pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.name)
def test_every_way_of_holding_has_its_cure_and_every_cure_its_use(hop: Hop) -> None:
    """Each habit is one that a finding can have, and has remedies; each remedy is for a habit or a timer."""
    used = {name for habit in hop.habits for name in habit.remedies} | {timer.remedy for timer in hop.timers}
    for habit in hop.habits:
        assert CODES[habit.mechanism].severity in {Severity.HELD, Severity.NOTE}
        assert habit.remedies
        assert not set(habit.freed_by) & set(habit.not_freed_by), habit.id
    for remedy in hop.remedies:
        assert remedy.id in used
        assert remedy.lines.strip()
        assert remedy.place.strip()


@pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.name)
def test_ranges_are_ranges_and_patterns_stay_linear(hop: Hop) -> None:
    """Low before high, and no repetition of a repetition: header values come from strangers."""
    for habit in hop.habits:
        for span in (habit.block_bytes, habit.period_ms):
            assert span is None or 0 < span[0] <= span[1], habit.id
    for trace in hop.traces:
        assert not re.search(r"[+*}]\)[+*{]", trace.pattern), trace
        assert trace.pattern.count(".*") == 0, trace


@pytest.mark.parametrize(("names", "headers", "seen"), WRITTEN, ids=lambda value: repr(value)[:40])
def test_headers_that_programs_write_are_known(names: set[str], headers: Headers, seen: AppView | None) -> None:
    """Who wrote these headers is sighted, and nobody else but those who write the same."""
    assert {sighting.hop for sighting in traced([probe(headers, seen)], HOPS)} == names


def test_every_program_that_shows_itself_is_in_the_samples() -> None:
    """A trace strong enough to name a program has a sample here, but for the few that only errors or requests show."""
    named = set[str]().union(*(names for names, _, _ in WRITTEN))
    shown = {hop.name for hop in HOPS if any(trace.strength >= 0.5 for trace in hop.traces)}
    assert shown - named == {"aws-api-gateway", "azure-app-service", "azure-application-gateway", "spring"}


def test_proven_is_what_the_zoo_proves() -> None:
    """A remedy is called proven where the zoo applies it to the real program and sees it flow, and only there."""
    proved = {(cure.hop, cure.remedy) for one in CONFIGURATIONS for cure in one.cures}
    assert {(hop.name, remedy.id) for hop in HOPS for remedy in hop.remedies if remedy.proven} == proved


GOOD = """
name = "demo"
title = "Demo"
kind = "proxy"
[[traces]]
where = "response"
header = "server"
pattern = "demo"
strength = 0.5
source = { mark = "measured", text = "demo 1.0" }
[[habits]]
id = "one"
mechanism = "blocks"
because = "it does"
prior = 0.5
remedies = ["cure"]
source = { mark = "measured", text = "demo 1.0" }
[[remedies]]
id = "cure"
lines = "off"
place = "demo.conf"
source = { mark = "measured", text = "demo 1.0" }
"""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('title = "Demo"', 'titel = "Demo"', "titel"),
        ('kind = "proxy"', 'kind = "toaster"', "toaster"),
        ('mechanism = "blocks"', 'mechanism = "magic"', r"magic.*habits"),
        (
            'remedies = ["cure"]',
            'remedies = ["other"]',
            r"habit one: remedies: expected an id of \['cure'\], got 'other'",
        ),
        ('remedies = ["cure"]', "remedies = []", "expected at least one"),
        ('pattern = "demo"', 'pattern = "(demo"', "expected a regular expression"),
        ("strength = 0.5", "strength = 2.0", "strength: expected more than 0 and at most 1, got 2.0"),
        ("prior = 0.5", "prior = 0.0", "prior: expected more than 0"),
        ('header = "server"', 'header = "Server"', "expected lower case"),
        ('name = "demo"', 'name = "other"', "expected 'demo' like the file, got 'other'"),
        ("prior = 0.5", 'prior = 0.5\nversions = "2.0"', "habit one: versions: .*expected >="),
        ("[[remedies]]", "[[remedies", "Expected"),
    ],
)
def test_a_wrong_file_is_told_with_its_field(tmp_path: Path, before: str, after: str, said: str) -> None:
    """An unknown field, word or id is an error that names the file, the field, what was expected and what was got."""
    path = tmp_path / "demo.toml"
    path.write_text(GOOD)
    assert load_hop(path).name == "demo"
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(KnowledgeError, match=f"(?s)demo.toml.*{said}"):
        load_hop(path)


def test_the_knowledge_lies_inside_the_package() -> None:
    """The wheel takes what lies in the package: the files are there and nowhere else."""
    assert SHIPPED.parent.name == "doctor"
    assert {path.suffix for path in SHIPPED.iterdir()} == {".toml"}
