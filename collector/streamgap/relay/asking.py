"""What a request asks of the relay: which generation, from which place, and whether it may call the model."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs

import msgspec

from streamgap.core.wire import STREAM_ID_HEADER, STREAM_ID_PARAM
from streamgap.core.words import ReconnectCause
from streamgap.instrument.asgi.kinds import Scope, header
from streamgap.relay.event_ids import EventId, parse_event_id
from streamgap.relay.refusals import RefusedError

_CID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_DIGEST_BYTES = 16
_encode = msgspec.json.Encoder(order="deterministic").encode

Principal = Callable[[Scope], str]
"""Names who asks: nobody reads an answer under another name. Equal names share their keys."""


def anyone(_scope: Scope) -> str:
    """Tell nobody apart: whoever knows the key of an answer may read it."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to the relay.

    `key` names the generation, `fingerprint` what was asked ("" where the request cannot tell); `last` is where the
    client left off; `retry`: it knows that the answer failed, and wants another. `patient`: it can be told by a status
    to come back later, as an `EventSource` cannot.
    """

    key: str
    fingerprint: str = ""
    last: EventId | None = None
    retry: bool = False
    patient: bool = True

    @property
    def may_start(self) -> bool:
        """Whether the model may be called for it: never for a client that resumes."""
        return self.last is None and bool(self.fingerprint)

    @property
    def cause(self) -> ReconnectCause:
        """Why the request came, given that the answer was there."""
        if self.last is not None:
            return ReconnectCause.RESUME
        return ReconnectCause.RETRY if self.retry else ReconnectCause.REPEAT


def read_ask(scope: Scope, *, principal: Principal, secret: bytes, asked: Any = None, cid: str = "") -> Ask:
    """Read a request. `cid` is the key's public part where the route has it; `asked` (any JSON) is what is asked.

    Raises RefusedError with status 400 for a request without a key, or with a key or a `Last-Event-ID` that cannot be.
    """
    query = _query(scope)
    headers = scope["headers"]
    cid = cid or _offered(headers, query)
    if not _CID.fullmatch(cid):
        raise RefusedError(
            400,
            "relay: expected a key of 8-64 characters A-Z a-z 0-9 _ . : - in the header Idempotency-Key or the query "
            f"parameter cid (or sid), got {cid[:80]!r}; send one id per answer that a person asks for, e.g. a UUID",
        )
    last = header(headers, b"last-event-id").strip()
    try:
        place = parse_event_id(last) if last else None
    except ValueError as error:
        raise RefusedError(400, f"relay: {error}") from error
    return Ask(
        key=_digest(f"{principal(scope)}\0{cid}".encode(), secret),
        fingerprint="" if asked is None else _digest(_encode(asked), secret),
        last=place,
        retry=query.get("retry") == "1" or header(headers, b"x-streamgap-retry") == "1",
        patient=scope["method"] != "GET",
    )


def _offered(headers: Any, query: dict[str, str]) -> str:
    """Return the key as the client sent it: its own first, else the stream id, which a reconnect repeats in its URL."""
    # draft-ietf-httpapi-idempotency-key-header writes it as a quoted string.
    own = header(headers, b"idempotency-key").strip().strip('"')
    return own or query.get("cid", "") or header(headers, STREAM_ID_HEADER.encode()) or query.get(STREAM_ID_PARAM, "")


def _query(scope: Scope) -> dict[str, str]:
    try:
        fields = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=1000)
    except ValueError as error:
        raise RefusedError(400, f"relay: expected a query string, {error}") from error
    return {name: values[0] for name, values in fields.items()}


def _digest(content: bytes, secret: bytes) -> str:
    return blake2b(content, key=blake2b(secret).digest() if secret else b"", digest_size=_DIGEST_BYTES).hexdigest()
