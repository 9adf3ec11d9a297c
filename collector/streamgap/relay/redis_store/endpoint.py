"""Where a Redis is, and how to connect to it, as its URL says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, parse_url
from redis.exceptions import RedisError

from streamgap.core.errors import SettingsError

_EXAMPLES = "redis://host:6379/0, rediss://user:password@host:6380 (TLS) or unix:///run/redis.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server. `options` are those of redis-py's connections, password included: never show them."""

    host: str
    port: int
    path: str
    kind: type[AbstractConnection]
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Endpoint({self})"

    @classmethod
    def from_url(cls, url: str, *, timeout_s: float) -> Self:
        """Read a URL. Raises SettingsError, without what the URL says: it may hold a password."""
        # Of redis-py's defaults: protocol 3 brings maintenance notifications, a handshake more per connection, and a
        # timeout of its own would end a wait for entries. Time is limited for each call as a whole (server.py).
        ours = {"protocol": 2, "socket_timeout": None, "socket_connect_timeout": timeout_s, "decode_responses": False}
        try:
            options: dict[str, Any] = {**parse_url(url), **ours}
            kind = options.pop("connection_class", Connection)
            kind(**options)
        except (ValueError, TypeError, RedisError):
            scheme = url.partition("://")[0][:10]
            raise SettingsError(
                f"RedisStore url: expected {_EXAMPLES}, got one that starts with {scheme!r} and cannot be read; "
                "try percent-encoding the password, and without ?options"
            ) from None
        path = options.pop("path", "")
        return cls(options.pop("host", "localhost"), options.pop("port", 6379), path, kind, options)

    def at(self, host: str, port: int) -> Self:
        """Return the same way to connect to another server of the same cluster."""
        return replace(self, host=host, port=port)

    def pool(self, size: int) -> ConnectionPool:
        """Return a pool that opens connections as they are needed."""
        where = {"path": self.path} if self.path else {"host": self.host, "port": self.port}
        return ConnectionPool(connection_class=self.kind, max_connections=size, **where, **self.options)
