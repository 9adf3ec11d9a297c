"""What the demo knows of its own streams: which path each took, what became of it, and what the pager said."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from statistics import median
from typing import Any

from streamgap.core.join import JoinedStream
from streamgap.core.words import Verdict
from streamgap.demo.paths import EXPECTED, DemoPath

MAX_STREAMS = 2000


class Desk:
    """A sink of joined streams that remembers the last `MAX_STREAMS` streams by id, oldest forgotten first.

    `changed` is set whenever a stream has been joined; whoever waits for it clears it.
    """

    def __init__(self) -> None:
        self._paths: OrderedDict[str, DemoPath] = OrderedDict()
        self._joined: dict[str, JoinedStream] = {}
        self._alerts: dict[str, Mapping[str, Any]] = {}
        self.changed = asyncio.Event()

    def started(self, sid: str, path: DemoPath) -> None:
        """Note that the stream `sid` goes along `path`."""
        self._paths[sid] = path
        while len(self._paths) > MAX_STREAMS:
            oldest, _ = self._paths.popitem(last=False)
            self._joined.pop(oldest, None)

    def emit(self, stream: JoinedStream) -> None:
        """Take one joined stream."""
        if stream.server.sid in self._paths:
            self._joined[stream.server.sid] = stream
            self.changed.set()

    def paged(self, notification: Mapping[str, Any]) -> None:
        """Take one Alertmanager webhook notification (its version 4 body)."""
        for alert in notification.get("alerts", []):
            labels = alert.get("labels", {})
            if labels.get("severity") == "none":
                # The watchdog fires for ever: it would only hide that the others are quiet.
                continue
            self._alerts[f"{labels.get('alertname')} {labels.get('route', '')}".strip()] = alert

    def state(self) -> dict[str, Any]:
        """Return what the demo page shows: the results of the last streams, and the pager."""
        recent = list(self._joined.items())[-50:]
        return {
            "streams": {sid: _result(stream) for sid, stream in recent},
            "alerts": [
                {
                    "name": name,
                    "status": alert.get("status"),
                    "summary": alert.get("annotations", {}).get("summary", ""),
                    "since": alert.get("startsAt"),
                }
                for name, alert in sorted(self._alerts.items())
            ],
        }

    @property
    def started_count(self) -> int:
        """How many streams have started (of the last `MAX_STREAMS`)."""
        return len(self._paths)

    @property
    def waiting(self) -> int:
        """How many streams have started and not been joined."""
        return len(self._paths.keys() - self._joined.keys())

    def report(self) -> dict[str, Any]:
        """Return the document of `streamgap demo --once --json`, times in seconds."""
        return {"paths": {path: self._path_report(path) for path in DemoPath}}

    def _path_report(self, path: DemoPath) -> dict[str, Any]:
        sids = [sid for sid, taken in self._paths.items() if taken == path]
        joined = [self._joined[sid] for sid in sids if sid in self._joined]
        return {
            "streams": len(sids),
            "joined": len(joined),
            "gap_p50_s": _median_s([s.gap for s in joined]),
            "hold_p50_s": _median_s([s.hold for s in joined]),
            "verdicts": dict(Counter(str(s.verdict) for s in joined)),
            "mechanisms": dict(Counter(str(s.mechanism) for s in joined if s.mechanism is not None)),
        }

    def told_apart(self) -> bool:
        """Say whether the healthy path flowed and every broken one got the verdict it deserves, by majority."""
        return all(self._majority(path) == verdict for path, verdict in EXPECTED.items())

    def _majority(self, path: DemoPath) -> Verdict | None:
        verdicts = Counter(
            self._joined[sid].verdict for sid, taken in self._paths.items() if taken == path and sid in self._joined
        )
        return verdicts.most_common(1)[0][0] if verdicts else None


def _result(stream: JoinedStream) -> dict[str, Any]:
    return {
        "verdict": stream.verdict,
        "server_ttfc_ms": stream.server.first,
        "client_ttfc_ms": stream.client.first,
        "gap_ms": stream.gap,
        "hold_ms": stream.hold,
    }


def _median_s(values_ms: list[float | None]) -> float | None:
    known = [value for value in values_ms if value is not None]
    return round(median(known) / 1000, 4) if known else None
