"""The conservation law: what became of every half that reached the collector.

    received = accepted + Σ rejected{reason}
    accepted = joined + duplicate + superseded + late + Σ unmatched{reason} + pending

Both hold after every call, for each half alone; `residual` is what is missing, and must be 0.
"""

from streamgap.core import catalog
from streamgap.core.words import Reason, Unmatched
from streamgap.service.exposition import Counter
from streamgap.service.pending import Departed, Fate, HalfName, Offer, Waiting


class Ledger:
    """The counters of the law, and the only code that moves them."""

    def __init__(self) -> None:
        self.received = Counter(catalog.RECEIVED)
        self.accepted = Counter(catalog.ACCEPTED)
        self.rejected = Counter(catalog.REJECTED)
        self.joined = Counter(catalog.JOINED)
        self.duplicate = Counter(catalog.DUPLICATE)
        self.superseded = Counter(catalog.SUPERSEDED)
        self.late = Counter(catalog.LATE)
        self.unmatched = Counter(catalog.UNMATCHED)

    def reject(self, half: HalfName, reason: Reason) -> None:
        """Count a half that was refused."""
        self.received.values[(half,)] += 1
        self.rejected.values[half, reason.value] += 1

    def accept(self, half: HalfName, offer: Offer) -> None:
        """Count a half that the store took, and what the store made of it."""
        key = (half,)
        self.received.values[key] += 1
        self.accepted.values[key] += 1
        if offer.superseded:
            self.superseded.values[key] += 1
        if offer.fate is Fate.JOINED:
            self.pair()
        elif offer.fate is Fate.DUPLICATE:
            self.duplicate.values[key] += 1
        elif offer.fate is Fate.LATE:
            self.late.values[key] += 1

    def pair(self) -> None:
        """Count a pair that is being emitted."""
        values = self.joined.values
        values["server",] += 1
        values["client",] += 1

    def part(self, departed: Departed, reason: Unmatched) -> None:
        """Count a half that leaves without its other half."""
        half = "server" if departed.client is None else "client"
        self.unmatched.values[half, reason.value] += 1

    def totals(self, half: HalfName) -> dict[str, int]:
        """Return every number of the law by its name, except what waits."""
        return {name: counter.total(half=half) for name, counter in vars(self).items()}

    def residual(self, half: HalfName, waiting: Waiting) -> int:
        """Return received − rejected − everything an accepted half can become."""
        totals = self.totals(half)
        pending = waiting.server if half == "server" else waiting.client
        became = sum(totals[fate] for fate in ("joined", "duplicate", "superseded", "late", "unmatched"))
        return totals["received"] - totals["rejected"] - became - pending

    def coverage(self) -> float | None:
        """Return the share of the server's streams that were joined, of those that wait no longer; None before any."""
        joined = self.joined.total(half="server")
        decided = joined + self.unmatched.total(half="server")
        return joined / decided if decided else None
