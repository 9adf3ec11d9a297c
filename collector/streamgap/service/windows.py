"""The share of people affected: one count per client and window, with the worst verdict it met.

A client that retries a held stream ten times is one unhappy person, not ten; and on a quiet route one such person must
not look like an outage.
"""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from streamgap.core.words import Verdict

MAX_CLIENTS = 100_000
MAX_CLOSED_PER_TICK = 1024
AT_ONCE = frozenset({Verdict.HELD, Verdict.CUT})

_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}


class _Window(msgspec.Struct, gc=False):
    end_s: float
    route: str
    verdict: Verdict
    counted: bool


class ClientWindows:
    """Windows of `window_s` per client (one page load), each counted exactly once through `count(route, verdict)`.

    A window opens with a client's first joined stream. `held` and `cut` are counted at once, for detection must not
    wait for the window's end, and nothing that follows in that window is counted. Any other window is counted when it
    ends, with the worst verdict met. Past `max_clients` open windows the oldest is closed early; its client, seen
    again, opens a new one.
    """

    def __init__(
        self, *, window_s: float, count: Callable[[str, Verdict], None], max_clients: int = MAX_CLIENTS
    ) -> None:
        self._window_s = window_s
        self._count = count
        self._max_clients = max_clients
        self._open: OrderedDict[str, _Window] = OrderedDict()

    def meet(self, page: str, *, route: str, verdict: Verdict, now_s: float) -> None:
        """Take in one joined stream of the client `page`."""
        window = self._open.get(page)
        if window is not None and window.end_s <= now_s:
            self._close(page)
            window = None
        if window is None:
            window = self._open[page] = _Window(now_s + self._window_s, route, verdict, counted=False)
            if len(self._open) > self._max_clients:
                self._close(next(iter(self._open)))
        elif window.counted or _RANK[verdict] >= _RANK[window.verdict]:
            return
        window.route, window.verdict = route, verdict
        if verdict in AT_ONCE:
            window.counted = True
            self._count(route, verdict)

    def tick(self, now_s: float) -> bool:
        """Close windows that have ended, at most `MAX_CLOSED_PER_TICK`; returns whether more may have."""
        for _ in range(MAX_CLOSED_PER_TICK):
            page = next(iter(self._open), None)
            if page is None or self._open[page].end_s > now_s:
                return False
            self._close(page)
        return True

    def close_all(self) -> None:
        """Count every open window now."""
        for page in list(self._open):
            self._close(page)

    def __len__(self) -> int:
        return len(self._open)

    def _close(self, page: str) -> None:
        window = self._open.pop(page)
        if not window.counted:
            self._count(window.route, window.verdict)
