"""Generate once, stream to many: one paid generation, a log of it, and any number of connections that read the log."""

from streamgap.relay.asking import Principal, anyone
from streamgap.relay.blocking import from_blocking
from streamgap.relay.limits import Limits
from streamgap.relay.memory import MemoryStore
from streamgap.relay.relay import Relay
from streamgap.relay.response import EventStream
from streamgap.relay.store import LogStore, StoreUnavailableError

__all__ = [
    "EventStream",
    "Limits",
    "LogStore",
    "MemoryStore",
    "Principal",
    "Relay",
    "StoreUnavailableError",
    "anyone",
    "from_blocking",
]
