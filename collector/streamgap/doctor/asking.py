"""Asks one target again and again; where it redirects, it is followed once, and asked there from then on."""

from streamgap.core.probe import Asked, Probe
from streamgap.doctor.client import ClientLimits, Lag, Target, TargetError, probe, settle

_REDIRECTS = range(300, 400)


class Asking:
    """Makes probes of one target. Raises TargetError for a redirect that cannot be followed."""

    def __init__(self, target: Target, *, lag: Lag, limits: ClientLimits) -> None:
        self._target = target
        self._lag = lag
        self._limits = limits

    async def __call__(self, asked: Asked) -> Probe:
        """Ask once; only an answer that redirects costs more than one request."""
        answer = await self._probe(asked)
        if answer.status not in _REDIRECTS:
            return answer
        found = await settle(self._target, limits=self._limits)
        if found.scheme != self._target.scheme:
            # Over TLS other questions are asked: which protocols there are is settled before the first probe.
            raise TargetError(f"{self._target.url}: expected a stream, got a redirect; try {found.url}")
        self._target = found
        return await self._probe(asked)

    async def _probe(self, asked: Asked) -> Probe:
        return await probe(self._target, asked, lag=self._lag, limits=self._limits)
