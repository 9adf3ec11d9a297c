"""The generated files: where each lies, and whether what lies there is current."""

from pathlib import Path

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


def write_all(
    target_dir: Path, profile: Profile = PRODUCTION, webhook_url: str = EXAMPLE_WEBHOOK_URL
) -> tuple[Path, ...]:
    """Write every generated file below `target_dir` and return their paths."""
    written = []
    for name, text in rendered(profile, webhook_url).items():
        path = target_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def stale(target_dir: Path) -> tuple[str, ...]:
    """Return the names of the files below `target_dir` that are missing or differ from what would be written."""
    return tuple(
        name
        for name, text in rendered().items()
        if not (target_dir / name).is_file() or (target_dir / name).read_text(encoding="utf-8") != text
    )
