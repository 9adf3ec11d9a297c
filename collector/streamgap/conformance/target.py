"""The endpoint under test, and the requests that are made of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx2

from streamgap.conformance.varying import another_body, another_url
from streamgap.core.wire import STREAM_ID_HEADER, STREAM_ID_PARAM


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the idempotency key travels."""

    kind: Literal["header", "query"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: the idempotency key, the stream's id, and a reconnect's `Last-Event-ID`. `why` is for people."""

    key: str
    sid: str
    why: str
    last_event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How the endpoint is asked. `body` is JSON, None for none; `vary` names the field or parameter of the prompt."""

    url: httpx2.URL
    method: str
    headers: Sequence[tuple[str, str]] = ()
    body: Any = None
    key_in: KeyPlace
    vary: str = ""

    def request(self, client: httpx2.AsyncClient, ask: Ask) -> httpx2.Request:
        """Build a request as a browser's EventSource, or a page's fetch, would send it."""
        headers = [("accept", "text/event-stream"), ("cache-control", "no-cache"), *self.headers]
        params = {}
        if self.key_in.kind == "header":
            headers.append((self.key_in.name, ask.key))
        else:
            params[self.key_in.name] = ask.key
        if self.method == "GET":
            params[STREAM_ID_PARAM] = ask.sid
        else:
            headers.append((STREAM_ID_HEADER, ask.sid))
        if ask.last_event_id is not None:
            headers.append(("last-event-id", ask.last_event_id))
        content = None
        if self.body is not None:
            headers.append(("content-type", "application/json"))
            content = json.dumps(self.body).encode()
        return client.build_request(
            self.method,
            self.url.copy_merge_params(params),
            headers=[(name.encode(), value.encode()) for name, value in headers],
            content=content,
        )

    def another(self) -> "Target | None":
        """Return the target with another prompt, None where it is not known what the prompt is."""
        if self.body is not None:
            body = another_body(self.body, self.vary)
            return None if body is None else replace(self, body=body)
        url = another_url(self.url, self.vary)
        return None if url is None else replace(self, url=url)
