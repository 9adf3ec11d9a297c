"""A real Prometheus and a real Alertmanager with the shipped rules, in compressed time."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from streamgap.alerting.alertmanager import alertmanager_config
from streamgap.alerting.profile import Profile
from streamgap.alerting.prometheus import prometheus_rules
from streamgap.alerting.render import duration
from streamgap.demo.processes import find_program, free_port, running


@dataclass(frozen=True, slots=True)
class Pager:
    """Where the two programs listen."""

    prometheus_url: str
    alertmanager_url: str


def pager_programs() -> tuple[str, str] | None:
    """Return the paths of prometheus and alertmanager, or None where one is missing."""
    prometheus = find_program("prometheus")
    alertmanager = find_program("prometheus-alertmanager", "alertmanager")
    return (prometheus, alertmanager) if prometheus and alertmanager else None


@contextlib.asynccontextmanager
async def run_pager(
    programs: tuple[str, str], *, target: str, webhook_url: str, profile: Profile, directory: Path
) -> AsyncIterator[Pager]:
    """Scrape `target` (host:port), evaluate the rules of `profile`, and post what fires to `webhook_url`."""
    prometheus, alertmanager = programs
    ports = free_port(), free_port()
    (directory / "streamgap.rules.yml").write_text(prometheus_rules(profile))
    (directory / "alertmanager.yml").write_text(alertmanager_config(profile, webhook_url))
    (directory / "prometheus.yml").write_text(_scrape_config(target, ports[1], profile))
    alerting = [
        alertmanager,
        f"--config.file={directory / 'alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{ports[1]}",
        "--cluster.listen-address=",
    ]
    scraping = [
        prometheus,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{ports[0]}",
        "--enable-feature=exemplar-storage",
        # Both start at once: a first notification that finds no Alertmanager is not to wait the usual minute.
        "--rules.alert.resend-delay=1s",
    ]
    async with (
        running(alerting, log=directory / "alertmanager.log"),
        running(scraping, log=directory / "prometheus.log"),
    ):
        yield Pager(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")


def _scrape_config(target: str, alertmanager_port: int, profile: Profile) -> str:
    """Return Prometheus' configuration as JSON, which is YAML."""
    return json.dumps(
        {
            "global": {
                "scrape_interval": duration(profile.scrape_interval_s),
                "scrape_timeout": duration(profile.scrape_interval_s),
                "evaluation_interval": duration(profile.eval_interval_s),
            },
            "rule_files": ["streamgap.rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]},
            "scrape_configs": [{"job_name": "streamgap", "static_configs": [{"targets": [target]}]}],
        }
    )
