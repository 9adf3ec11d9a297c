"""The admin listener: metrics in both formats, health, status, docs."""

import json
from collections.abc import Callable

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from halves import server_half
from service.lab import PACE_MS, Clock, body, get, http, join_one, post, served
from streamgap.service.collector import Collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3"
MakeCollector = Callable[..., Collector]


async def test_metrics_come_as_text_and_as_openmetrics(make_collector: MakeCollector) -> None:
    """The scraper's Accept decides; both parse, and only OpenMetrics carries the exemplars."""
    collector = make_collector()
    join_one(collector.joiner, trace_id_=TRACE)
    async with served(collector) as site:
        plain = await http(site.admin_port, get("/metrics"))
        openmetrics = await http(site.admin_port, get("/metrics", OPENMETRICS))
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    texts = plain.body.decode(), openmetrics.body.decode()
    families = list(parse_text(texts[0])), list(parse_openmetrics(texts[1]))  # type: ignore[no-untyped-call]
    assert [family.name for family in families[0]] == [family.name for family in families[1]]
    assert [f'# {{trace_id="{TRACE}"}}' in text for text in texts] == [False, True]


async def test_a_scrape_lets_go_of_what_is_over(make_collector: MakeCollector, clock: Clock) -> None:
    """A half whose time is over is not reported as waiting, whenever the last tick was."""
    collector = make_collector()
    async with served(collector) as site:
        collector.offer_server(server_half(PACE_MS))
        clock.now_s += 60.0
        text = (await http(site.admin_port, get("/metrics"))).body.decode()
    assert 'streamgap_pending{half="server"} 0.0' in text
    assert 'streamgap_reports_unmatched_total{half="server",reason="expired"} 1.0' in text


async def test_health_and_readiness(make_collector: MakeCollector) -> None:
    """/healthz says alive throughout; /readyz turns to 503 when draining begins."""
    collector = make_collector()
    async with served(collector) as site:
        before = [(await http(site.admin_port, get(path))).status for path in ("/healthz", "/readyz")]
        collector.begin_drain()
        after = [(await http(site.admin_port, get(path))).status for path in ("/healthz", "/readyz")]
    assert (before, after) == ([200, 200], [200, 503])


async def test_status_says_how_many_met(make_collector: MakeCollector, clock: Clock) -> None:
    """Coverage is joined / decided, beside the law's numbers of each half."""
    collector = make_collector()
    async with served(collector) as site:
        before = json.loads((await http(site.admin_port, get("/status"))).body)
        join_one(collector.joiner)
        collector.offer_server(server_half(PACE_MS, sid="stream-lost"))
        clock.now_s += 60.0
        await http(site.admin_port, get("/metrics"))
        collector.offer_server(server_half(PACE_MS, sid="stream-open"))
        after = json.loads((await http(site.admin_port, get("/status"))).body)
    assert (before["coverage"], before["advice"], before["rejections"]) == (None, [], [])
    assert after["coverage"] == 0.5
    assert after["server"] == {
        "received": 3,
        "accepted": 3,
        "rejected": 0,
        "joined": 1,
        "duplicate": 0,
        "superseded": 0,
        "late": 0,
        "unmatched": 1,
        "pending": 1,
        "residual": 0,
    }


@pytest.mark.parametrize(
    ("servers", "clients", "junk", "advice"),
    [
        (0, 1, 0, "no app server does"),
        (100, 0, 0, "no browser does"),
        (1, 1, 2, "most reports of browsers are refused"),
        (100, 100, 0, "most halves never meet"),
    ],
)
async def test_status_advises(
    make_collector: MakeCollector, clock: Clock, *, servers: int, clients: int, junk: int, advice: str
) -> None:
    """Where one side is silent, refused, or never met, the page says what to try."""
    collector = make_collector()
    for i in range(servers):
        collector.offer_server(server_half(PACE_MS, sid=f"server-{i}"))
    for i in range(clients):
        collector.offer_client(body(sid=f"client-{i}"))
    for _ in range(junk):
        collector.offer_client(b"{")
    clock.now_s += 60.0
    async with served(collector) as site:
        await http(site.admin_port, get("/metrics"))
        status = json.loads((await http(site.admin_port, get("/status"))).body)
    assert [advice in said for said in status["advice"]] == [True]


async def test_the_docs_describe_both_listeners(make_collector: MakeCollector) -> None:
    """/docs shows every operation of the document and loads nothing; the beacon stands beside the admin routes."""
    async with served(make_collector()) as site:
        page = (await http(site.admin_port, get("/docs"))).body.decode()
        document = json.loads((await http(site.admin_port, get("/openapi.json"))).body)
    assert {"/metrics", "/status", "/v1/traces", "/healthz", "/readyz", "/v1/beacon"} <= set(document["paths"])
    content = document["paths"]["/v1/beacon"]["post"]["requestBody"]["content"]["text/plain"]
    assert {"sid", "page", "n", "via", "end", "v"} <= set(content["schema"]["required"])
    assert all(path in page for path in document["paths"])
    assert "<script" not in page
    assert "://" not in page


async def test_beacons_are_not_taken_on_the_admin_listener(make_collector: MakeCollector) -> None:
    """Admission guards the public listener; there is no way around it."""
    async with served(make_collector()) as site:
        assert (await http(site.admin_port, post(body()))).status in (404, 405)


async def test_no_request_makes_a_span_of_its_own(
    make_collector: MakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI's own telemetry stays off where the process has SDK providers, as in a user's app."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", MeterProvider())
    async with served(make_collector()) as site:
        assert (await http(site.admin_port, get("/healthz"))).status == 200
        assert (await http(site.public_port, post(body()))).status == 204
    assert exporter.get_finished_spans() == ()
