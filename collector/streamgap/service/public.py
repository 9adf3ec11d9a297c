"""The public listener: beacons in, the beacon script out, and a constant answer to everything else.

A raw ASGI app: a router and a middleware stack would cost a beacon more than everything it is sent for.
"""

from collections.abc import Callable, Mapping
from math import ceil

from starlette.types import ASGIApp, Receive, Scope, Send

from streamgap.core.errors import InvalidReportError
from streamgap.core.words import Reason
from streamgap.service.admission import STATUS, Admission, RefusedError, read_body
from streamgap.service.joiner import Joiner
from streamgap.service.script import BeaconScript
from streamgap.service.settings import Settings

BEACON_PATH = "/v1/beacon"
SCRIPT_PATH = "/beacon.js"
IMMUTABLE = b"public, max-age=31536000, immutable"
FRESH = b"public, max-age=300"

ADVICE: Mapping[Reason, str] = {
    Reason.SIZE: "expected at most 4096 bytes",
    Reason.ENCODING: "expected a body without content encoding",
    Reason.METHOD: "expected POST",
    Reason.ORIGIN: "expected a page of an allowed origin; the collector's operator adds one with --allow-origin",
    Reason.RATE: "expected fewer reports from one address; try again after Retry-After seconds",
    Reason.DISCONNECT: "expected a whole body",
    Reason.JSON: "expected one JSON object in UTF-8",
    Reason.SCHEMA: "expected the fields of docs/wire.md; /status on the admin listener says which one was wrong",
    Reason.VERSION: "expected v = 1; reload the page to get the script that fits this collector",
    Reason.INTERNAL: "the collector failed; its log says how",
}

Header = tuple[bytes, bytes]


def create_public_app(
    joiner: Joiner, *, settings: Settings, script: BeaconScript, clock: Callable[[], float]
) -> ASGIApp:
    """Return the app of the public listener. `clock` (monotonic, s) refills the rate limit."""
    return _PublicApp(joiner, admission=Admission(settings, clock=clock), script=script)


class _PublicApp:
    def __init__(self, joiner: Joiner, *, admission: Admission, script: BeaconScript) -> None:
        self._joiner = joiner
        self._admission = admission
        self._script = script.content
        self._cache_control = {SCRIPT_PATH: FRESH, script.path: IMMUTABLE}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _close(scope, send)
            return
        # A mounted app sees the whole path, of which the mount point is the root path.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        method = scope["method"]
        if path == BEACON_PATH and method != "OPTIONS":
            await self._beacon(scope, receive, send)
        elif path == BEACON_PATH:
            await _answer(send, 204, _PREFLIGHT)
        elif path in self._cache_control and method in ("GET", "HEAD"):
            headers = [*_SCRIPT_HEADERS, (b"cache-control", self._cache_control[path])]
            await _answer(send, 200, headers, self._script, head=method == "HEAD")
        else:
            await _answer(send, 404, _TEXT, b"not found\n", head=method == "HEAD")

    async def _beacon(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = self._admission.allowed_origin(headers)
        refusal: InvalidReportError | None
        try:
            if origin is None:
                raise _foreign(headers.get(b"origin"))
            self._admission.check(scope, headers)
            refusal = self._joiner.offer_client(await read_body(receive))
        except RefusedError as error:
            refusal = self._joiner.reject("client", error)
        if refusal is None:
            # The same for joined, waiting, repeated and late reports: the answer tells nobody which ids exist.
            await send({"type": "http.response.start", "status": 204, "headers": _cors(origin)})
            await send({"type": "http.response.body"})
        elif refusal.reason != Reason.DISCONNECT:
            await _refuse(send, refusal, _cors(origin), head=scope["method"] == "HEAD")


def _foreign(origin: bytes | None) -> RefusedError:
    if origin is None:
        return RefusedError("beacon: expected an Origin header, got none; try --allow-no-origin", reason=Reason.ORIGIN)
    text = origin.decode("latin-1")
    advice = "--allow-null-origin" if text == "null" else f"--allow-origin {text}"
    return RefusedError(f"beacon: expected an allowed origin, got {text!r}; try {advice}", reason=Reason.ORIGIN)


# Lists of headers are made anew for each answer: middleware of the app we are mounted in may add to them in place.
def _cors(origin: bytes | None) -> list[Header]:
    if not origin:
        return [(b"vary", b"Origin")]
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]


async def _refuse(send: Send, refusal: InvalidReportError, headers: list[Header], *, head: bool) -> None:
    reason = Reason(refusal.reason)
    headers += _TEXT
    if reason is Reason.METHOD:
        headers.append((b"allow", b"POST, OPTIONS"))
    if isinstance(refusal, RefusedError) and refusal.wait_s:
        headers.append((b"retry-after", str(ceil(refusal.wait_s)).encode()))
        headers.append((b"access-control-expose-headers", b"Retry-After"))
    if reason is Reason.SIZE:
        # Else the server would go on to read and drop a body of any length.
        headers.append((b"connection", b"close"))
    await _answer(send, STATUS[reason], headers, f"{reason}: {ADVICE[reason]}\n".encode(), head=head)


_TEXT: tuple[Header, ...] = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
_SCRIPT_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"access-control-allow-origin", b"*"),
)
_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"600"),
    (b"allow", b"POST, OPTIONS"),
)


async def _answer(
    send: Send, status: int, headers: list[Header] | tuple[Header, ...], body: bytes = b"", *, head: bool = False
) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]  # noqa: PLR2004 No Content
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _close(scope: Scope, send: Send) -> None:
    if scope["type"] != "websocket":
        raise RuntimeError(f"public app: expected an http scope, got {scope['type']!r}; serve it with lifespan off")
    await send({"type": "websocket.close", "code": 1000})
