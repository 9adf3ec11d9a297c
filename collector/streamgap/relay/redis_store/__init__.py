"""A log store in Redis Streams, for all replicas: `RedisStore`. Nothing else of the relay imports redis."""

try:
    import redis as _redis  # noqa: F401, its absence is told here and not three files further
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("RedisStore needs redis-py: try `pip install 'streamgap[redis]'`") from error

from streamgap.relay.redis_store.store import RedisStore

__all__ = ["RedisStore"]
