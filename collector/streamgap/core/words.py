"""The closed sets of words that labels and the wire take their values from."""

from enum import StrEnum

from streamgap.core.mechanism import CODES, Mechanism, Severity
from streamgap.core.probe import Protocol


class Verdict(StrEnum):
    """The one word for a joined stream, worst first."""

    HELD = "held"
    CUT = "cut"
    SLOW_PAGE = "slow_page"
    SLOW_APP = "slow_app"
    SLOW_MODEL = "slow_model"
    ABANDONED = "abandoned"
    INCOMPLETE = "incomplete"
    FLOWING = "flowing"


class Outcome(StrEnum):
    """How a stream ended on the app server."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    APP_ERROR = "app_error"
    CLIENT_GONE = "client_gone"


class GenerationResult(StrEnum):
    """How a request to the relay came by its answer. All but `attached`, `replayed` and `refused` called the model."""

    STARTED = "started"
    ATTACHED = "attached"
    REPLAYED = "replayed"
    RESTARTED = "restarted"
    REFUSED = "refused"
    BYPASSED = "bypassed"


class Fate(StrEnum):
    """What became of the tokens of a generation: heard by somebody, or generated after everybody had left."""

    DELIVERED = "delivered"
    UNHEARD = "unheard"


class ReconnectCause(StrEnum):
    """Why a request came for an answer that was there: with `Last-Event-ID`, as it was, or as an explicit retry."""

    RESUME = "resume"
    REPEAT = "repeat"
    RETRY = "retry"


class Disconnect(StrEnum):
    """How a client left before the end: it closed, it reset, it vanished, or it read too slowly and was closed."""

    FIN = "fin"
    RST = "rst"
    TIMEOUT = "timeout"
    SLOW = "slow"


class Reason(StrEnum):
    """Why a report was rejected. The set is closed: every refusal counts under one of these."""

    SIZE = "size"
    ENCODING = "encoding"
    METHOD = "method"
    ORIGIN = "origin"
    RATE = "rate"
    DISCONNECT = "disconnect"
    JSON = "json"
    SCHEMA = "schema"
    VERSION = "version"
    INTERNAL = "internal"


class ProbeResult(StrEnum):
    """What one run of the canary came to: a hold counts only when it was seen again at once."""

    FLOWING = "flowing"
    HELD = "held"
    FAILED = "failed"
    DOUBTFUL = "doubtful"


class Unmatched(StrEnum):
    """Why an accepted half left the pending store without its other half."""

    EXPIRED = "expired"
    EVICTED = "evicted"
    SHUTDOWN = "shutdown"


HELD_BY = (
    Mechanism.WHOLE,
    Mechanism.COMPRESSOR,
    Mechanism.BLOCKS,
    Mechanism.TIMER,
    Mechanism.ONE_BEHIND,
    Mechanism.FIRST_BYTES,
    Mechanism.QUEUE,
    Mechanism.NETWORK,
    Mechanism.UNKNOWN,
)
"""The mechanisms that the two halves of a held stream can tell apart."""

PROBE_HELD_BY = tuple(mechanism for mechanism, code in CODES.items() if code.severity is Severity.HELD)
"""The mechanisms that a probe may convict a path of."""

PROBE_PROTOCOLS = tuple(Protocol)
PROBE_RECENT_RUNS = 4
MODEL_CALLS = (GenerationResult.STARTED, GenerationResult.RESTARTED, GenerationResult.BYPASSED)
GENERATION_ENDS = ("done", "failed", "stopped")
HALVES = ("server", "client")
SIDES = HALVES
STAGES = ("app", "model", "path", "page")
LABELS_WITH_OVERFLOW = ("route", "model")
