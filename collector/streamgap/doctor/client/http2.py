"""One request over HTTP/2: h2's framing, fed by reads, telling a `Recording`."""

from collections.abc import Iterable
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from streamgap.core.probe import Ending
from streamgap.doctor.client.recording import Recording

WINDOW_BYTES = 16 * 1024 * 1024
_DEFAULT_WINDOW_BYTES = 65_535
_FRAME_HEAD_BYTES = 9
_FRAME_TYPE_AT = 3
_SETTINGS = 4
_SHOWN_BYTES = 40


class _Connection(H2Connection):
    """Goes on after a GOAWAY without error, which announces an end and is none: servers drain streams behind it.

    h2 takes every GOAWAY for the end of the connection and refuses the frames behind it (python-hyper/h2#1181).
    """

    def _receive_goaway_frame(self, frame: Any) -> Any:
        told = super()._receive_goaway_frame(frame)
        if frame.error_code == ErrorCodes.NO_ERROR and frame.last_stream_id >= 1:
            self.state_machine.state = ConnectionState.CLIENT_OPEN
        return told


class Http2:
    """Pure: bytes in, bytes out."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._h2 = _Connection(H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: recording.limits.head_bytes,
            },
        )
        self._h2.decoder.max_header_list_size = recording.limits.head_bytes
        self._stream = 0
        self._unsent = b""
        self._drained = ""
        self._first = b""

    def request(self, method: str, path: str, authority: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
        """Return the bytes of preface and request; what of `body` no window has room for follows by `receive`."""
        fields = list(headers)
        authority = next((value for name, value in fields if name == "host"), authority)
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        named = [(name, value) for name, value in fields if name != "host"]
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES - _DEFAULT_WINDOW_BYTES)
        self._stream = self._h2.get_next_available_stream_id()
        coded = [(name.encode(), value.encode("latin-1")) for name, value in pseudo + named]
        self._h2.send_headers(self._stream, coded, end_stream=not body)
        self._unsent = body
        self._send_body()
        return self._h2.data_to_send()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server and return what is to be answered."""
        if self._is_other(data):
            self._recording.end(Ending.REFUSED, f"expected HTTP/2, got {self._first!r}")
            return b""
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
            self._send_body()
        except H2Error as error:
            self._fail(f"expected HTTP/2, got {data[:_SHOWN_BYTES]!r} ({error})")
        return self._h2.data_to_send()

    def eof(self) -> None:
        """Take the server's FIN."""
        self._fail(f"expected END_STREAM, got the connection's end (FIN){self._drained}")

    def _is_other(self, data: bytes) -> bool:
        """Say whether the first frame is not SETTINGS; h2 would wait for the end of a frame of 4 MB that is text."""
        if len(self._first) < _FRAME_HEAD_BYTES:
            self._first = (self._first + data)[:_SHOWN_BYTES]
        return len(self._first) >= _FRAME_HEAD_BYTES and self._first[_FRAME_TYPE_AT] != _SETTINGS

    def _take(self, event: events.Event) -> None:
        match event:
            case events.ResponseReceived():
                self._open(event.headers or [])
            case events.DataReceived():
                self._recording.take(event.data or b"")
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
            case events.StreamEnded():
                self._recording.end(Ending.FRAMED)
            case events.StreamReset():
                self._cut(f"RST_STREAM {_name(event.error_code)}")
            case events.ConnectionTerminated() if event.error_code or (event.last_stream_id or 0) < self._stream:
                self._cut(f"GOAWAY {_name(event.error_code)}")
            case events.ConnectionTerminated():
                self._drained = " after GOAWAY NO_ERROR"

    def _open(self, headers: Iterable[Any]) -> None:
        pairs = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]
        status = next((value for name, value in pairs if name == ":status"), "")
        if not (status.isascii() and status.isdigit()):
            self._recording.end(Ending.REFUSED, f"expected a status, got {status!r}")
            return
        self._recording.open(int(status), [pair for pair in pairs if not pair[0].startswith(":")])

    def _cut(self, said: str) -> None:
        ending = Ending.REFUSED if self._recording.status is None else Ending.RESET
        self._recording.end(ending, f"expected END_STREAM, got {said}")

    def _fail(self, failure: str) -> None:
        self._recording.end(Ending.REFUSED if self._recording.status is None else Ending.TRUNCATED, failure)

    def _send_body(self) -> None:
        while self._unsent and self._recording.ending is None:
            room = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self._h2.send_data(self._stream, part, end_stream=not self._unsent)


def _name(code: int | None) -> str:
    try:
        return ErrorCodes(code or 0).name
    except ValueError:
        return str(code)
