"""What reconnects cost: how requests came by their answers, and what became of the generations behind them.

A call of the model counts once, from the record of its generation, however many responses read it. Responses that
called nothing, reconnects, heartbeats and disconnects count from the server halves, whatever becomes of their join: a
browser that reconnects uses its stream id again, and only the first of its halves can be joined. A span that comes
twice counts once, and so does a generation that two replicas enter.
"""

from streamgap.core import catalog
from streamgap.core.wire import GenerationRecord, ServerHalf
from streamgap.core.words import Fate, GenerationResult
from streamgap.service.exposition import Counter
from streamgap.service.seen import Seen

WITHOUT_CALL = frozenset({GenerationResult.ATTACHED, GenerationResult.REPLAYED})


class Generations:
    """The counters of the relay's ledger. `route` is the route's label; all of its children exist (see `by_route`)."""

    def __init__(self) -> None:
        self.results = Counter(catalog.GENERATIONS)
        self.ends = Counter(catalog.GENERATIONS_ENDED)
        self.tokens = Counter(catalog.TOKENS)
        self.reconnects = Counter(catalog.RECONNECTS)
        self.heartbeats = Counter(catalog.HEARTBEATS)
        self.disconnects = Counter(catalog.DISCONNECTS)
        self.rejected = Counter(catalog.GENERATION_RECORDS_REJECTED)
        self._seen = Seen()

    @property
    def by_route(self) -> tuple[Counter, ...]:
        """The counters whose first label is the route."""
        return self.results, self.ends, self.tokens, self.reconnects, self.heartbeats, self.disconnects

    def answer(self, route: str, half: ServerHalf) -> None:
        """Count what one response says of its relay and of its connection."""
        silent = half.result is None and not half.beats and half.how is None
        if silent or not self._seen.first(half.span_id):
            return
        if half.result in WITHOUT_CALL:
            self.results.add(route, half.result.value)
        if half.cause is not None:
            self.reconnects.add(route, half.cause.value)
        if half.beats:
            self.heartbeats.add(route, count=half.beats)
        if half.how is not None:
            self.disconnects.add(route, half.how.value)

    def end(self, route: str, record: GenerationRecord) -> None:
        """Count a generation that has ended, or was refused."""
        if not self._seen.first(record.span_id):
            return
        if record.status == "refused":
            self.results.add(route, record.result.value)
        elif self._seen.first(record.id):
            # An owner that was found lost, and entered by whoever found it, may yet enter its own end, and the cost.
            self.results.add(route, record.result.value)
            self.ends.add(route, record.status)
        for fate, tokens in ((Fate.DELIVERED, record.delivered), (Fate.UNHEARD, record.unheard)):
            if tokens:
                self.tokens.add(route, fate.value, count=tokens)
