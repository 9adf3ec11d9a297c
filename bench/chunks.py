"""CPU that instrumentation adds to each streamed chunk: ours, OpenTelemetry's own and OpenLLMetry, over a bare loop.

Method: `AsyncModels.generate_content_stream` is replaced by a generator of ready chunks (real `GenerateContentResponse`
objects), each instrumentation patches it in its own way, and each patched method is kept. A run reads one stream of 20
and one of 1020 chunks; the slope between them is the cost per chunk, so what a stream costs once cancels. Thread CPU
time, garbage collector off during a run, interleaved rounds, medians.

Run with `--sdk` to have an OpenTelemetry SDK record metrics and spans; without it only the API is there.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from google import genai
from google.genai import types
from google.genai.models import AsyncModels
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor
from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from rounds import interleaved, verdict
from streamgap import instrument_genai

SHORT, LONG = 20, 1020
ROUNDS = 41
Method = Callable[..., Any]


def response(text: str, *, last: bool = False) -> types.GenerateContentResponse:
    """Return one chunk as the SDK would have parsed it."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 40, "totalTokenCount": 45} if last else None
    if last:
        candidate["finishReason"] = "STOP"
    return types.GenerateContentResponse.model_validate({"candidates": [candidate], "usageMetadata": usage})


MIDDLE, END = response("word "), response("end", last=True)


async def ready(self: AsyncModels, *, model: str, contents: Any, config: Any = None) -> AsyncIterator[Any]:
    """Stand in for the network: `contents` says how many chunks are ready."""
    del self, model, config

    async def stream() -> AsyncIterator[Any]:
        for _ in range(int(contents) - 1):
            yield MIDDLE
        yield END

    return stream()


def patched(patch: Callable[[], None], unpatch: Callable[[], None]) -> Method:
    """Return the method as `patch` leaves it, and put the ready one back (undoing ours would switch it off)."""
    AsyncModels.generate_content_stream = ready  # type: ignore[method-assign]
    patch()
    method = AsyncModels.generate_content_stream
    unpatch()
    AsyncModels.generate_content_stream = ready  # type: ignore[method-assign]
    return method


def methods() -> dict[str, Method]:
    """Return the four ways to call the model, instrumented or not."""
    official, peer = GoogleGenAiSdkInstrumentor(), GoogleGenerativeAiInstrumentor()  # type: ignore[no-untyped-call]
    return {
        "bare": patched(lambda: None, lambda: None),
        "streamgap": patched(instrument_genai, lambda: None),
        "opentelemetry": patched(lambda: official.instrument(skip_dep_check=True), official.uninstrument),
        "openllmetry": patched(peer.instrument, peer.uninstrument),
    }


def slope_ns(loop: asyncio.AbstractEventLoop, models: AsyncModels, method: Method) -> float:
    """Return the CPU ns one more chunk costs."""

    async def read(count: int) -> int:
        started = time.thread_time_ns()
        async for _ in await method(models, model="gemini-3.5-flash", contents=str(count)):
            pass
        return time.thread_time_ns() - started

    gc.collect()
    gc.disable()
    short_ns, long_ns = loop.run_until_complete(read(SHORT)), loop.run_until_complete(read(LONG))
    gc.enable()
    return (long_ns - short_ns) / (LONG - SHORT)


def main() -> None:
    """Print the CPU each instrumentation adds per chunk, and ours as a ratio of the others'."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sdk", action="store_true", help="record with an OpenTelemetry SDK")
    with_sdk: bool = parser.parse_args().sdk
    if with_sdk:
        metrics.set_meter_provider(MeterProvider(metric_readers=[InMemoryMetricReader()]))
        trace.set_tracer_provider(TracerProvider())
    models = genai.Client(api_key="fake").aio.models
    loop = asyncio.new_event_loop()
    ways = methods()
    runs = {name: lambda method=method: slope_ns(loop, models, method) for name, method in ways.items()}
    ns = interleaved(runs, rounds=ROUNDS, warm_up=3)
    print(f"\nCPU per chunk, {'OpenTelemetry SDK recording' if with_sdk else 'OpenTelemetry API only'}")
    print(f"  bare async for                     {ns['bare']:9.0f} ns")
    for name in ("streamgap", "openllmetry", "opentelemetry"):
        print(f"  {name:<14} adds                {ns[name] - ns['bare']:9.0f} ns")
    ours = ns["streamgap"] - ns["bare"]
    for name, aim in (("opentelemetry", 1 / 30), ("openllmetry", 1 / 6)):
        ratio = ours / (ns[name] - ns["bare"])
        print(f"  streamgap / {name:<14}         {ratio:9.4f}    {verdict(ratio, aim, at_most=True)}")


if __name__ == "__main__":
    main()
