"""What Grafana needs beside dashboards and rules: where to find them, and the datasources they speak to."""

from streamgap.alerting.profile import PRODUCTION, Profile
from streamgap.alerting.render import duration, to_yaml

FOLDER = "Streamgap"
PROMETHEUS_UID = "prometheus"
TEMPO_UID = "tempo"
DASHBOARDS_PATH = "/var/lib/grafana/dashboards/streamgap"


def dashboard_provider() -> str:
    """Return a file for Grafana's `provisioning/dashboards`: every JSON below `DASHBOARDS_PATH`, not editable."""
    provider = {
        "name": "streamgap",
        "orgId": 1,
        "folder": FOLDER,
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": DASHBOARDS_PATH},
    }
    return to_yaml({"apiVersion": 1, "providers": [provider]})


def datasources(profile: Profile = PRODUCTION) -> str:
    """Return a file for Grafana's `provisioning/datasources`.

    The link from an exemplar to its trace lives here and not in the dashboard.
    """
    prometheus = {
        "name": "Prometheus",
        "uid": PROMETHEUS_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": "http://localhost:9090",
        "jsonData": {
            "timeInterval": duration(profile.scrape_interval_s),
            "exemplarTraceIdDestinations": [{"name": "trace_id", "datasourceUid": TEMPO_UID}],
        },
    }
    tempo = {"name": "Tempo", "uid": TEMPO_UID, "type": "tempo", "access": "proxy", "url": "http://localhost:3200"}
    return to_yaml({"apiVersion": 1, "datasources": [prometheus, tempo]})
