"""Who hears of an alert: an Alertmanager configuration with one webhook."""

from typing import Any
from urllib.parse import urlsplit

from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.render import duration, to_yaml
from streamgap.core.errors import SettingsError

PAGER, TICKETS, DEADMAN = "streamgap-pager", "streamgap-tickets", "streamgap-deadman"
EXAMPLE_WEBHOOK_URL = "https://example.org/streamgap-alerts"
# A held path widens the gap and holds the canary as well: what people feel pages, and nothing else about that route.
_INHIBITIONS = [
    {
        "source_matchers": ['alertname="StreamgapPathHolding"'],
        "target_matchers": [target],
        "equal": ["service", "route"],
    }
    for target in ('severity="ticket"', 'alertname="StreamgapProbeHeld"')
]


def alertmanager_config(profile: Profile = PRODUCTION, webhook_url: str = EXAMPLE_WEBHOOK_URL) -> str:
    """Return a configuration that posts pages, tickets and the watchdog to `webhook_url` under three receiver names.

    Alerts are grouped over routes, so one broken hop is one page. Raises SettingsError unless the URL is http(s).
    """
    url = urlsplit(webhook_url)
    if url.scheme not in {"http", "https"} or not url.netloc:
        raise SettingsError(f"webhook URL: expected http(s)://host/…, got {webhook_url!r}; try {EXAMPLE_WEBHOOK_URL}")
    return to_yaml(
        {
            "route": _route(profile),
            "inhibit_rules": _INHIBITIONS,
            "receivers": [_receiver(name, webhook_url) for name in (PAGER, TICKETS, DEADMAN)],
        }
    )


def _route(profile: Profile) -> dict[str, Any]:
    deadman = {
        "receiver": DEADMAN,
        "matchers": ['alertname="StreamgapWatchdog"'],
        "group_wait": "0s",
        "repeat_interval": duration(profile.watchdog_repeat_s),
    }
    return {
        "receiver": TICKETS,
        "group_by": ["alertname", "service"],
        "group_wait": duration(profile.group_wait_s),
        "group_interval": duration(profile.group_interval_s),
        "repeat_interval": duration(profile.repeat_interval_s),
        "routes": [{"receiver": PAGER, "matchers": ['severity="page"']}, deadman],
    }


def _receiver(name: str, webhook_url: str) -> dict[str, Any]:
    return {"name": name, "webhook_configs": [{"url": webhook_url, "send_resolved": name != DEADMAN}]}
