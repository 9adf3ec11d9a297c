"""The rules as Grafana-managed alerts, in the shape that Grafana's own importer of Prometheus rules produces.

Query → math → threshold: any series that the query returns alerts, whatever its value, and no series is normal, so
`noDataState` is OK for every rule, the one on absence included.
"""

import re
from math import ceil
from typing import Any

from streamgap.alerting.dashboard import DASHBOARD_UID, panel_id
from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.provisioning import FOLDER, PROMETHEUS_UID
from streamgap.alerting.render import duration, to_yaml
from streamgap.alerting.spec import Alert, alerts, recordings

SCHEDULER_STEP_S = 10  # Grafana evaluates at multiples of this.
QUERY_LOOKBACK_S = 600
_EXPRESSION = {"type": "__expr__", "uid": "__expr__"}


def grafana_rules(profile: Profile = PRODUCTION, datasource_uid: str = PROMETHEUS_UID) -> str:
    """Return a file for Grafana's `provisioning/alerting`, with recording rules inlined.

    The watchdog is left out: without a dead man's switch of its own it would only ring the default contact point. Rules
    carry labels (`severity`, `service`) and no contact point, so the notification policies of the installation apply.
    """
    interval_s = ceil(profile.eval_interval_s / SCHEDULER_STEP_S) * SCHEDULER_STEP_S
    rules = [_rule(alert, profile, datasource_uid) for alert in alerts(profile) if alert.severity != "none"]
    group = {"orgId": 1, "name": "streamgap", "folder": FOLDER, "interval": duration(interval_s), "rules": rules}
    return to_yaml({"apiVersion": 1, "groups": [group]})


def _rule(alert: Alert, profile: Profile, datasource_uid: str) -> dict[str, Any]:
    panel = {} if alert.panel is None else {"dashboardUid": DASHBOARD_UID, "panelId": panel_id(alert.panel)}
    return {
        "uid": re.sub(r"(?<!^)(?=[A-Z])", "-", alert.name).lower(),
        "title": alert.name,
        "condition": "threshold",
        "data": [_query(_inlined(alert.expr, profile), datasource_uid), _MATH, _THRESHOLD],
        **panel,
        "noDataState": "OK",
        "execErrState": "Error",
        "missing_series_evals_to_resolve": 1,
        "for": duration(alert.for_s),
        "keepFiringFor": duration(alert.keep_firing_s),
        "labels": alert.labels,
        "annotations": alert.annotations,
    }


def _inlined(expr: str, profile: Profile) -> str:
    """Replace each recording by its expression: Grafana may run without our Prometheus rules."""
    for rule in recordings(profile):
        expr = expr.replace(rule.name, f"({rule.expr})")
    return expr


def _query(expr: str, datasource_uid: str) -> dict[str, Any]:
    return {
        "refId": "query",
        "relativeTimeRange": {"from": QUERY_LOOKBACK_S, "to": 0},
        "datasourceUid": datasource_uid,
        "model": {
            "refId": "query",
            "datasource": {"type": "prometheus", "uid": datasource_uid},
            "expr": expr,
            "instant": True,
            "range": False,
        },
    }


def _expression(ref_id: str, kind: str, **model: Any) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "queryType": kind,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": _EXPRESSION["uid"],
        "model": {"refId": ref_id, "type": kind, "datasource": _EXPRESSION, **model},
    }


_MATH = _expression("prometheus_math", "math", expression="is_number($query) || is_nan($query) || is_inf($query)")
_THRESHOLD = _expression(
    "threshold",
    "threshold",
    expression="prometheus_math",
    conditions=[{"evaluator": {"type": "gt", "params": [0]}}],
)
