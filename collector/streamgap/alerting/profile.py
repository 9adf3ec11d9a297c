"""Every duration that rules and notifications use, in one value, so that a demo can live an hour in a minute."""

from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Durations in seconds; the defaults are production. Shares and minimum counts do not scale with time.

    `fast_s` and `med_s` are the windows a share is taken over; `recent_s` is how far back "still happening" and "in
    silence" look. `client_window_s` is the service's: one count per client and window. `scrape_interval_s` is what
    Prometheus needs to be told so that a window holds enough samples.
    """

    fast_s: float = 600.0
    med_s: float = 3600.0
    recent_s: float = 900.0
    client_window_s: float = 300.0
    silent_for_s: float = 120.0
    absent_for_s: float = 600.0
    ticket_for_s: float = 600.0
    keep_firing_s: float = 900.0
    scrape_interval_s: float = 15.0
    eval_interval_s: float = 30.0
    group_wait_s: float = 10.0
    group_interval_s: float = 60.0
    repeat_interval_s: float = 14_400.0
    watchdog_repeat_s: float = 300.0

    @classmethod
    def compressed(cls, factor: float) -> Self:
        """Return production divided by `factor`: with 60, a second stands for a minute.

        Raises ValueError unless `factor` > 0.
        """
        if not factor > 0:
            raise ValueError(f"profile: expected a factor > 0, got {factor!r}; try 60")
        return cls(**{name: seconds / factor for name, seconds in asdict(cls()).items()})


PRODUCTION = Profile()
