"""The rules as a Prometheus rule file."""

from typing import Any

from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.render import duration, to_yaml
from streamgap.alerting.spec import Alert, alerts, recordings


def prometheus_rules(profile: Profile = PRODUCTION) -> str:
    """Return the rule file, recordings first: one group is evaluated in order, so no alert sees a stale recording."""
    rules: list[dict[str, Any]] = [{"record": rule.name, "expr": rule.expr} for rule in recordings(profile)]
    rules += [_rule(alert) for alert in alerts(profile)]
    return to_yaml({"groups": [{"name": "streamgap", "interval": duration(profile.eval_interval_s), "rules": rules}]})


def _rule(alert: Alert) -> dict[str, Any]:
    times = {"for": alert.for_s, "keep_firing_for": alert.keep_firing_s}
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **{key: duration(seconds) for key, seconds in times.items() if seconds},
        "labels": alert.labels,
        "annotations": alert.annotations,
    }
