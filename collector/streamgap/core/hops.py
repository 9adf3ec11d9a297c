"""What is known of the programs that stand on a path: the types of the knowledge base and nothing of its contents."""

from typing import Literal

import msgspec

from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import Hint, Protocol

Kind = Literal["proxy", "cdn", "balancer", "app_server", "framework", "middleware", "platform"]
Mark = Literal["measured", "documented", "reported"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a fact comes from. `text` is a URL, or what was measured with which version."""

    mark: Mark
    text: str


class Trace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a program shows itself: a header of the response, or of the request as the app saw it.

    `header` is in lower case; `:protocol` stands for the request's protocol. `pattern` is a regular expression that is
    searched, case-insensitively; a group named `version` is the version. `strength` is 0…1: 1 where no other program
    is known to do it. An `absent` trace counts where the header is missing.
    """

    where: Literal["response", "request"]
    header: str
    pattern: str = ""
    strength: float
    absent: bool = False
    source: Source


class Remedy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that frees the stream: the very `lines`, and where they go. `proven`: a test applies it and sees it."""

    id: str
    lines: str
    place: str
    note: str = ""
    proven: bool = False
    source: Source


class Habit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way in which a program holds streams, and by what it is known.

    An empty tuple restricts nothing. `methods` are the request methods it holds. `block_bytes` and `period_ms` are
    inclusive ranges of what is seen outside; `freed_by` and `not_freed_by` the hints of the app that do and do not free
    it. `head` says when the headers of a held stream come: `early`, long before its first event, or `late`, with it.
    `versions` are bounds joined by commas, such as `>=1.13,<1.29.7`. `prior` is 0…1: how likely it is that this
    program, when it holds a stream by this mechanism, does it by this habit and not by another; lower where it must be
    told to hold at all.
    """

    id: str
    mechanism: Mechanism
    because: str
    prior: float
    protocols: tuple[Protocol, ...] = ()
    encodings: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    block_bytes: tuple[int, int] | None = None
    period_ms: tuple[float, float] | None = None
    request_protocol: str = ""
    head: Literal["", "early", "late"] = ""
    versions: str = ""
    freed_by: tuple[Hint, ...] = ()
    not_freed_by: tuple[Hint, ...] = ()
    remedies: tuple[str, ...]
    source: Source


class Timer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A timeout that ends streams. `default_s` is None where there is none; `ends` is what the client sees."""

    directive: str
    kind: Literal["idle", "first_byte", "age"]
    default_s: float | None = None
    ends: str = ""
    remedy: str = ""
    source: Source


class Hop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program of the knowledge base, one file of `doctor/hops/`."""

    name: str
    title: str
    kind: Kind
    about: str = ""
    traces: tuple[Trace, ...] = ()
    habits: tuple[Habit, ...] = ()
    timers: tuple[Timer, ...] = ()
    remedies: tuple[Remedy, ...] = ()


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A program that may be the one, how likely (0…1), why, and what frees the stream if it is.

    `hop` is "" where no program of the knowledge base fits: then `because` describes what is known of the unknown one.
    """

    hop: str
    title: str
    confidence: float
    because: tuple[str, ...]
    habit: str = ""
    remedies: tuple[Remedy, ...] = ()
