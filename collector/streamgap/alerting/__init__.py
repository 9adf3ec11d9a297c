"""Rules, notifications and dashboards, generated from one specification and the metric catalogue."""

from streamgap.alerting.alertmanager import alertmanager_config
from streamgap.alerting.dashboard import dashboard
from streamgap.alerting.files import rendered
from streamgap.alerting.grafana import grafana_rules
from streamgap.alerting.metrics_doc import metrics_doc
from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.prometheus import prometheus_rules

__all__ = [
    "PRODUCTION",
    "Profile",
    "alertmanager_config",
    "dashboard",
    "grafana_rules",
    "metrics_doc",
    "prometheus_rules",
    "rendered",
]
