"""What the relay tells the ledger: one record for each generation that ends, and for each request it refuses."""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from opentelemetry import context as otel_context

from streamgap.core.wire import GenerationRecord
from streamgap.core.words import GenerationResult
from streamgap.instrument.asgi.kinds import Scope
from streamgap.instrument.asgi.routes import route_template
from streamgap.instrument.export import GenerationSink, export_generation
from streamgap.relay.owner import Owner
from streamgap.relay.states import OWNER_LOST, End, Status

BYTES_PER_TOKEN = 4
"""Where the provider gave no count: it does so with the last chunk, which a cancelled call never sees."""


def generation_id(key: str, epoch: int) -> str:
    """Return the name of one generation, the same in halves, spans and records."""
    return f"{key}.{epoch}"


class Ledger:
    """Writes the records that one request gives cause for, under its route and in its trace."""

    def __init__(self, scope: Scope, *, model: str, sinks: Iterable[GenerationSink]) -> None:
        self._route = route_template(scope)
        self._model = model
        self._sinks = tuple(sinks)
        self._context = otel_context.get_current()
        self._start_unix_ns = time.time_ns()
        self._start_ns = time.perf_counter_ns()

    def open(self, key: str, epoch: int, *, result: GenerationResult) -> Callable[[Owner, End], None]:
        """Return what enters the generation that begins now, once it has ended."""

        def close(owner: Owner, end: End) -> None:
            record = self._record(key, epoch, result=result, status=end.status.value, reason=end.reason)
            self._export(msgspec.structs.replace(record, **_cost(owner)))

        return close

    def refuse(self, key: str, reason: str) -> None:
        """Enter a request that got no generation."""
        self._export(self._record(key, 0, result=GenerationResult.REFUSED, status="refused", reason=reason))

    def mourn(self, key: str, epoch: int) -> None:
        """Enter a generation whose owner died: nobody else will. What it cost, nobody knows."""
        status, result = Status.FAILED.value, GenerationResult.STARTED
        self._export(self._record(key, epoch, result=result, status=status, reason=OWNER_LOST))

    def _record(self, key: str, epoch: int, *, result: GenerationResult, status: Any, reason: str) -> GenerationRecord:
        return GenerationRecord(
            id=generation_id(key, epoch),
            result=result,
            status=status,
            reason=reason,
            route=self._route,
            model=self._model,
            dur=(time.perf_counter_ns() - self._start_ns) / 1e6,
            start_unix_ns=self._start_unix_ns,
        )

    def _export(self, record: GenerationRecord) -> None:
        export_generation(record, context=self._context, sinks=self._sinks)


def _cost(owner: Owner) -> dict[str, Any]:
    """Say what a generation cost, and who heard it. What came after everybody had left is shared out by its bytes."""
    generation, log = owner.generation, owner.log
    counted = generation.facts.output_tokens if generation else None
    tokens = math.ceil(log.total_bytes / BYTES_PER_TOKEN) if counted is None else max(counted, 0)
    unheard_bytes = 0 if owner.unheard_from is None else log.total_bytes - owner.unheard_from
    unheard = round(tokens * unheard_bytes / log.total_bytes) if log.total_bytes else 0
    return {
        **({"provider": generation.provider, "model": generation.model} if generation else {}),
        "delivered": tokens - unheard,
        "unheard": unheard,
        "estimated": counted is None,
        "listeners": owner.most_readers,
        "events": log.last,
    }
