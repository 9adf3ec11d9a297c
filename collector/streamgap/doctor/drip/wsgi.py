"""`DripWsgi`: one line in a WSGI app."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from streamgap.doctor.drip.answering import Answering
from streamgap.doctor.drip.limits import MAX_REQUEST_BODY_BYTES, Limits
from streamgap.doctor.drip.refusals import RefusedError, too_long
from streamgap.doctor.drip.request import Clock, Request
from streamgap.doctor.drip.streaming import Streaming

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Sleep = Callable[[float], None]


class DripWsgi:
    """The same as `Drip`, for WSGI. A stream occupies its worker or thread, as every streamed answer does there."""

    def __init__(
        self,
        *,
        token: str | None = None,
        limits: Limits | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._answering = Answering(token=token, limits=limits, clock=clock)
        self._sleep = sleep

    @property
    def in_flight(self) -> int:
        """How many of its streams run now in this process."""
        return self._answering.seats.taken

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one WSGI request."""
        request = request_of(environ, began_s=self._answering.clock())
        try:
            _read_body(environ)
            streaming = self._answering.grant(request)
        except RefusedError as refused:
            start_response(_line(refused.status), list(refused.headers))
            return [refused.body]
        start_response(_line(HTTPStatus.OK), list(streaming.headers))
        return PacedBody(streaming, sleep=self._sleep)


class PacedBody:
    """The writes of a stream, each when it is due. `close` gives its seat back, also where nobody began to read."""

    def __init__(self, streaming: Streaming, *, sleep: Sleep) -> None:
        self.close = streaming.close
        self._streaming = streaming
        self._steps = streaming.steps()
        self._sleep = sleep

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        step = next(self._steps)
        if (wait_s := self._streaming.wait_s(step)) > 0:
            self._sleep(wait_s)
        return self._streaming.write(step)


def request_of(environ: Environ, *, began_s: float) -> Request:
    """Read an environ of WSGI, which has forgotten the headers' order and case."""
    names = [name for name in environ if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")]
    return Request(
        method=environ["REQUEST_METHOD"],
        protocol=environ.get("SERVER_PROTOCOL", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=tuple((_header_name(name), str(environ[name])) for name in names if environ[name]),
        began_s=began_s,
    )


def _header_name(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").lower()


def _read_body(environ: Environ) -> None:
    """Read the request's body, which says nothing. Raises RefusedError where it is too long."""
    text = environ.get("CONTENT_LENGTH") or "0"
    length = int(text) if text.isdecimal() else 0
    if length > MAX_REQUEST_BODY_BYTES:
        raise too_long()
    if length:
        environ["wsgi.input"].read(length)


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
