"""How much of a server one probe takes before it lets go."""

from dataclasses import dataclass

_MIB = 1024 * 1024
OVERHEAD_PER_BODY = 16  # a stream of one byte per HTTP/2 frame has 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Bounds of one probe; past one of them it ends as `stopped`, past a time as `timed_out`.

    `connect_s` is for DNS, TCP and TLS together, `total_s` for all that follows. `settle_s` is how long a redirect is
    waited for. Behind the terminator the end of the response has `after_done_s`, then the probe has seen enough.
    `body_bytes` bounds the body both as transferred and as decoded, `lines` its lines (2 µs each), `head_bytes` the
    response's headers. `events` bounds events, and all that are none; `reads` the receives that are kept. What is not
    body (headers, framing, 1xx, PING) may be `overhead_bytes`, and 16 times the body more.
    """

    connect_s: float = 10.0
    total_s: float = 60.0
    settle_s: float = 5.0
    after_done_s: float = 2.0
    body_bytes: int = 16 * _MIB
    lines: int = 262_144
    head_bytes: int = 64 * 1024
    events: int = 8192
    reads: int = 65_536
    overhead_bytes: int = _MIB
