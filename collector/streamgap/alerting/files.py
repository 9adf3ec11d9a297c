"""The generated files, and where each lies."""

from streamgap.alerting.alertmanager import EXAMPLE_WEBHOOK_URL, alertmanager_config
from streamgap.alerting.dashboard import dashboard
from streamgap.alerting.grafana import grafana_rules
from streamgap.alerting.metrics_doc import metrics_doc
from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.prometheus import prometheus_rules
from streamgap.alerting.provisioning import dashboard_provider, datasources


def rendered(profile: Profile = PRODUCTION, webhook_url: str = EXAMPLE_WEBHOOK_URL) -> dict[str, str]:
    """Return the text of every generated file by its path below the repository's root."""
    return {
        "alerts/prometheus/streamgap.rules.yml": prometheus_rules(profile),
        "alerts/grafana/streamgap.yaml": grafana_rules(profile),
        "alerts/alertmanager/alertmanager.yml": alertmanager_config(profile, webhook_url),
        "dashboards/streamgap.json": dashboard(),
        "dashboards/provisioning/dashboards.yaml": dashboard_provider(),
        "dashboards/provisioning/datasources.yaml": datasources(profile),
        "docs/metrics.md": metrics_doc(),
    }
