"""What is asked: a URL, and everything about the request that does not vary from probe to probe."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from streamgap.core.errors import StreamgapError
from streamgap.core.probe import EVENT_STREAM, Asked, Protocol

Header = tuple[str, str]
Origin = tuple[str, str, int]  # scheme, host, port
DEFAULT_PORTS = {"http": 80, "https": 443}
USER_AGENT = "streamgap-doctor"
MAX_BODY_BYTES = 1024 * 1024
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-drip-token"})
# Those that the probe varies, or that HTTP's framing rests on.
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
)
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_HOST = re.compile(r"[0-9A-Za-z._~%:-]+")
_UNPRINTED = re.compile(r"[\x00-\x20\x7f]")


class TargetError(StreamgapError):
    """A URL, header or body that cannot be asked for, or a redirect that is not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the request goes and what it carries; made by `Target.of`.

    `path` holds the query. `connect_to` is where to connect instead of the URL's own host and port: Host and SNI stay
    the URL's, so that an origin can be asked for the public name. `verify` is about TLS certificates. `is_drip`: the
    query of a drip is added to the URL's own, which it is too when the probe asks for a pace.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    headers: tuple[Header, ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    verify: bool = True
    connect_to: tuple[str, int] | None = None
    is_drip: bool = False

    @classmethod
    def of(
        cls,
        url: str,
        *,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
        verify: bool = True,
        connect_to: tuple[str, int] | None = None,
        is_drip: bool = False,
    ) -> "Target":
        """Return the target of an http or https URL; raises TargetError for what cannot be asked for."""
        if body is not None and len(body) > MAX_BODY_BYTES:
            raise TargetError(f"body: expected at most {MAX_BODY_BYTES} bytes, got {len(body)}")
        parts = _split(url)
        return cls(
            scheme=parts.scheme,
            host=_ascii_host(url, parts.hostname or ""),
            port=_port(url, parts),
            path=_path(parts.path, parts.query),
            headers=tuple(_checked(name, value) for name, value in headers),
            body=body,
            verify=verify,
            connect_to=connect_to,
            is_drip=is_drip,
        )

    @property
    def origin(self) -> Origin:
        """Scheme, host and port: what credentials belong to."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, as it is asked for."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocols that a URL of this scheme can be asked by, the ordinary one first."""
        return (Protocol.TLS, Protocol.H2) if self.scheme == "https" else (Protocol.CLEAR,)

    def path_for(self, query: Mapping[str, str]) -> str:
        """Return path and query with `query` added."""
        if not query:
            return self.path
        return f"{self.path}{'&' if '?' in self.path else '?'}{urlencode(query, safe=',:@')}"

    def headers_for(self, asked: Asked) -> list[Header]:
        """Return the request's headers in lower case, without Host: a browser's, then the user's in their place."""
        headers = {"accept": EVENT_STREAM, "cache-control": "no-cache", "user-agent": USER_AGENT}
        if asked.method == "POST":
            headers["content-type"] = "application/json"
        given = {name.lower() for name, _ in self.headers}
        fields = [(name, value) for name, value in headers.items() if name not in given]
        if asked.accept_encoding:
            fields.append(("accept-encoding", asked.accept_encoding))
        if asked.method == "POST":
            fields.append(("content-length", str(len(self.body or b""))))
        return fields + [(name.lower(), value) for name, value in self.headers]


def _split(url: str) -> SplitResult:
    if _UNPRINTED.search(url):
        raise TargetError(f"URL: expected one without spaces and control characters, got {url!r}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise TargetError(f"URL: expected http://… or https://…, got {url!r} ({error})") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise TargetError(f"URL: expected http://… or https://…, got {url!r}")
    if parts.username is not None or parts.password is not None:
        raise TargetError("URL: expected no user name or password in it; try --header 'Authorization: …'")
    return parts


def _ascii_host(url: str, host: str) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise TargetError(f"URL: expected a host name, got {host!r} in {url!r} ({error})") from error
    if not _HOST.fullmatch(name):
        raise TargetError(f"URL: expected a host name, got {host!r} in {url!r}")
    return name


def _port(url: str, parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise TargetError(f"URL: expected a port from 1 to 65535, got {url!r}") from error
    if port == 0:
        raise TargetError(f"URL: expected a port from 1 to 65535, got {url!r}")
    return DEFAULT_PORTS[parts.scheme] if port is None else port


def _path(path: str, query: str) -> str:
    quoted = quote(path or "/", safe=_SAFE_IN_PATH)
    return f"{quoted}?{quote(query, safe=_SAFE_IN_PATH + '?')}" if query else quoted


def _checked(name: str, value: str) -> Header:
    if not _TOKEN.fullmatch(name):
        raise TargetError(f"header: expected a name, got {name!r}")
    if name.lower() in _OURS:
        raise TargetError(f"header {name}: expected none, the probe sets it itself")
    if not _VALUE.fullmatch(value):
        raise TargetError(f"header {name}: expected one line of Latin-1 text, got {value!r}")
    return name, value.strip()
