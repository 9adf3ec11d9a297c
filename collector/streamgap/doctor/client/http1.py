"""One request over HTTP/1.1: h11's framing, fed by reads, telling a `Recording`."""

from collections.abc import Iterable

import h11

from streamgap.core.probe import Ending
from streamgap.doctor.client.recording import Recording

_SHOWN_BYTES = 80
_SHOWN_CHARS = 300
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # alert, handshake
_TLS_SHOWN_BYTES = 16


class Http1:
    """Pure: bytes in, bytes out."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=recording.limits.head_bytes)
        self._framed = False
        self._at_eof = False
        self._first = b""

    def request(self, method: str, path: str, authority: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
        """Return the bytes of the request."""
        fields = list(headers)
        if not any(name == "host" for name, _ in fields):
            fields.insert(0, ("host", authority))
        request = h11.Request(
            method=method, target=path, headers=[(name.encode(), value.encode("latin-1")) for name, value in fields]
        )
        parts = [self._h11.send(request)]
        if body:
            parts.append(self._h11.send(h11.Data(data=body)))
        parts.append(self._h11.send(h11.EndOfMessage()))
        return b"".join(part or b"" for part in parts)

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server; HTTP/1.1 has nothing to answer."""
        if self._recording.status is None:
            self._first = (self._first + data)[:_SHOWN_BYTES]
        self._h11.receive_data(data)
        self._advance()
        return b""

    def eof(self) -> None:
        """Take the server's FIN."""
        self._at_eof = True
        self._h11.receive_data(b"")
        self._advance()

    def _advance(self) -> None:
        while self._recording.ending is None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                self._fail(str(error))
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                self._switched(event)
                return
            self._take(event)

    def _take(self, event: object) -> None:
        match event:
            case h11.Response():
                names = {name.lower() for name, _ in event.headers}
                self._framed = bool(names & {b"transfer-encoding", b"content-length"})
                self._recording.open(event.status_code, [(_text(n), _text(v)) for n, v in event.headers.raw_items()])
            case h11.Data():
                self._recording.take(bytes(event.data))
            case h11.EndOfMessage():
                closed = self._at_eof and not self._framed
                self._recording.end(Ending.CLOSED if closed else Ending.FRAMED)
            case h11.ConnectionClosed():
                self._recording.end(Ending.REFUSED, "expected a response, got the connection's end (FIN)")

    def _switched(self, event: object) -> None:
        if event is h11.PAUSED:
            self._recording.end(Ending.REFUSED, "expected a response, got 101 Switching Protocols")

    def _fail(self, reason: str) -> None:
        reason = reason[:_SHOWN_CHARS]
        if self._recording.status is None:
            self._recording.end(Ending.REFUSED, f"expected an HTTP/1.1 response, got {self._instead(reason)}")
        elif self._at_eof:
            self._recording.end(Ending.TRUNCATED, f"expected the rest of a framed body, got FIN ({reason})")
        else:
            self._recording.end(Ending.TRUNCATED, f"expected HTTP/1.1 framing in the body, got an error ({reason})")

    def _instead(self, reason: str) -> str:
        if not self._first:
            return "the connection's end (FIN) before any byte"
        if self._first.startswith(_TLS_RECORDS):
            return f"TLS ({self._first[:_TLS_SHOWN_BYTES]!r}); try https://"
        return f"{self._first!r}{' and FIN' if self._at_eof else ''} ({reason})"


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
