"""Real OpenTelemetry SDKs, in place of the process's for the time of one test."""

from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from instrument.metering import Points
from streamgap.demo.fake_gemini import FakeGemini, Script
from streamgap.instrument import instrument_genai, uninstrument_genai


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Points]:
    """Collect the metrics of a real SDK: metric name → its data points."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    # The API sets its provider once per process.
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", provider)
    yield Points(reader)
    provider.shutdown()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Collect the spans of a real SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def fake_of() -> Iterator[Callable[[Script], FakeGemini]]:
    """Start a fake Gemini that plays a script."""
    running: list[FakeGemini] = []

    def start(script: Script) -> FakeGemini:
        running.append(FakeGemini(script).__enter__())
        return running[-1]

    yield start
    for fake in running:
        fake.__exit__(None)


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Have google-genai instrumented for one test."""
    instrument_genai()
    yield
    uninstrument_genai()


@pytest.fixture
def faults(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Expect the instrumentation itself to fail: the parts that did."""
    return lambda: [
        record.getMessage().split()[1].rstrip(":") for record in caplog.records if record.name == "streamgap"
    ]


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail any test in which the instrumentation or a task of its failed, but for one about that (`faults`)."""
    yield
    if "faults" not in request.fixturenames:
        found = [
            record.getMessage() for record in caplog.get_records("call") if record.name in ("streamgap", "asyncio")
        ]
        assert not found, found
