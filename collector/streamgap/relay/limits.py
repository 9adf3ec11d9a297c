"""The bounds of a relay. Each has a documented state past it."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one relay (one process) holds at most.

    Of a generation's log the last `log_events` events and `log_bytes` bytes are kept: past either, the log slides, live
    readers read on, and whoever comes too late for its beginning is told `expired`, reason `truncated`. A generation
    that runs for `age_s` is cancelled and ends as `failed`, reason `age`. Past `generations` running ones, or
    `listeners` of one of them, requests are asked to come back later. A reader that takes nothing for `stall_s` is
    disconnected, and resumes from its place. A store that cannot be read for `patience_s` ends its readers as `failed`,
    reason `store`; they may resume.
    """

    log_events: int = 20_000
    log_bytes: int = MIB
    age_s: float = 600.0
    generations: int = 5_000
    listeners: int = 1_000
    stall_s: float = 30.0
    patience_s: float = 10.0
