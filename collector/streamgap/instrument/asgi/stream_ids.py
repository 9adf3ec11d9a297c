"""The id of a stream: the page's, where it sent a valid one, else a new one."""

import secrets
from urllib.parse import parse_qs

import msgspec

from streamgap.core.wire import STREAM_ID_HEADER, STREAM_ID_PARAM, StreamId
from streamgap.instrument.asgi.kinds import Scope, header

_ID_BYTES = 16
_MAX_QUERY_FIELDS = 1000


def stream_id(scope: Scope) -> str:
    """Return the id in force for a request; a new one has 128 random bits."""
    offered = header(scope["headers"], STREAM_ID_HEADER.encode())
    for candidate in (offered, *_in_query(scope.get("query_string", b""))):
        if _valid(candidate):
            return candidate
    return secrets.token_urlsafe(_ID_BYTES)


def _in_query(query: bytes) -> list[str]:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=_MAX_QUERY_FIELDS).get(STREAM_ID_PARAM, [])
    except ValueError:
        return []


def _valid(candidate: str) -> bool:
    try:
        msgspec.convert(candidate, StreamId)
    except msgspec.ValidationError:
        return False
    return True
