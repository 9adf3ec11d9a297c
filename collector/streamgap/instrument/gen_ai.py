"""The semantic conventions' metrics of a model call, through the OpenTelemetry API only.

Names, buckets and attributes: github.com/open-telemetry/semantic-conventions-genai. A record costs microseconds, so all
of a stream's are made at once after its end; none are made, nor measured for, where the app has no metrics SDK.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from opentelemetry import metrics
from opentelemetry.metrics import Histogram, MeterProvider

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
MAX_RECORDED_GAPS = 32
"""Of a longer stream an evenly spaced sample of its gaps is recorded, for a record costs microseconds. Every gap is in
the collector's `streamgap_chunk_gap_seconds`, which bins them in bulk."""
_FALLBACK_OPERATION = "generate_content"
_FALLBACK_PROVIDER = "_OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One finished call in the words of the semantic conventions; empty and None: unknown."""

    operation: str
    provider: str
    request_model: str
    response_model: str
    server_address: str
    server_port: int | None
    error: str
    duration_s: float
    first_chunk_s: float | None
    gaps_s: Sequence[float]
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instruments:
    first_chunk: Histogram
    chunk: Histogram
    duration: Histogram
    tokens: Histogram


def record_call(measurement: Callable[[], Measurement]) -> None:
    """Record one call, if the app has a metrics SDK; only then is `measurement` asked for."""
    provider = metrics.get_meter_provider()
    if is_bare_api(provider):
        return
    call, instruments = measurement(), _instruments(provider)
    attributes = _attributes(call)
    if call.first_chunk_s is not None:
        instruments.first_chunk.record(call.first_chunk_s, attributes)
    for gap_s in call.gaps_s[:: ceil(len(call.gaps_s) / MAX_RECORDED_GAPS) or 1]:
        instruments.chunk.record(gap_s, attributes)
    instruments.duration.record(call.duration_s, attributes | ({"error.type": call.error} if call.error else {}))
    for kind, count in (("input", call.input_tokens), ("output", call.output_tokens)):
        if count is not None:
            instruments.tokens.record(count, attributes | {"gen_ai.token.type": kind})


def is_bare_api(provider: object) -> bool:
    """Tell the API's own do-nothing providers from those of an SDK."""
    return type(provider).__module__.startswith(("opentelemetry.metrics", "opentelemetry.trace"))


def _attributes(call: Measurement) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": call.operation or _FALLBACK_OPERATION,
        "gen_ai.provider.name": call.provider or _FALLBACK_PROVIDER,
        "gen_ai.request.model": call.request_model,
        "gen_ai.response.model": call.response_model,
        "server.address": call.server_address,
        "server.port": call.server_port or "",
    }
    return {name: value for name, value in attributes.items() if value}


@lru_cache(maxsize=1)
def _instruments(provider: MeterProvider) -> _Instruments:
    meter = provider.get_meter("streamgap")

    def seconds(name: str, description: str) -> Histogram:
        return meter.create_histogram(
            name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
        )

    return _Instruments(
        first_chunk=seconds("gen_ai.client.operation.time_to_first_chunk", "Request until the first content chunk."),
        chunk=seconds("gen_ai.client.operation.time_per_output_chunk", "Time between consecutive chunks."),
        duration=seconds("gen_ai.client.operation.duration", "Request until the end of the stream."),
        tokens=meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        ),
    )
