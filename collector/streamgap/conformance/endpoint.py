"""Asks the endpoint once, and records what comes."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from streamgap.conformance.exchange import Ending, Exchange, is_event_stream
from streamgap.conformance.reading import Reading
from streamgap.conformance.recording import Recording
from streamgap.conformance.target import Ask, Target

MAX_REDIRECTS = 5


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One endpoint, asked over one client. An answer has `timeout_s` to come to its end; `clock` counts seconds.

    `progress` is told what is being asked.
    """

    client: httpx2.AsyncClient
    target: Target
    reading: Reading
    timeout_s: float
    progress: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    async def ask(
        self,
        ask: Ask,
        *,
        target: Target | None = None,
        stop_after: int | None = None,
        has_content: asyncio.Event | None = None,
    ) -> Exchange:
        """Send one request and read the answer to its end, or until it has had `stop_after` content events.

        The connection is then dropped, and nothing that came after the last of those events is told. `has_content` is
        set with the first one. What goes wrong is part of the answer; nothing is raised but for bad requests.
        """
        self.progress(ask.why)
        record = Recording(ask.why, self.reading, self.clock, stop_after=stop_after, has_content=has_content)
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._read((target or self.target).request(self.client, ask), record)
        except TimeoutError:
            return record.exchange(Ending.TIMED_OUT)
        except httpx2.RequestError as error:
            return record.exchange(Ending.CUT, failure=_reason(error))
        return record.exchange(record.ending)

    async def _read(self, request: httpx2.Request, record: Recording) -> None:
        response = await self._send(request)
        try:
            record.open(response)
            if is_event_stream(record.status, record.headers):
                async for chunk in response.aiter_bytes():
                    if not record.take(chunk):
                        return
        finally:
            await response.aclose()

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and follow redirects, as long as they stay on its host."""
        response = await self.client.send(request, stream=True)
        for _ in range(MAX_REDIRECTS):
            following = response.next_request
            if following is None or following.url.host != request.url.host:
                break
            await response.aclose()
            response = await self.client.send(following, stream=True)
        return response


def _reason(error: httpx2.RequestError) -> str:
    """Say what happened, and for what is commonly behind it what to try."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"{said}; for a certificate authority of your own set SSL_CERT_FILE to its certificate"
    return said
