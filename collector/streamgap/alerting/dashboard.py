"""The dashboard "Is it flowing?" as classic Grafana JSON (v1): provisioning from a file refuses the v2 format."""

from streamgap.alerting.panels import DATASOURCE, laid_out, panel_ids
from streamgap.alerting.render import to_json
from streamgap.alerting.rows import ROWS
from streamgap.core import catalog

DASHBOARD_UID = "streamgap"
SCHEMA_VERSION = 42
ROUTES_QUERY = f"label_values({catalog.SERVER_STREAMS.name}, route)"


def panel_id(title: str) -> int:
    """Return the id of the panel with this title; KeyError where there is none."""
    return panel_ids(ROWS)[title]


def dashboard() -> str:
    """Return the dashboard for file provisioning or import."""
    return to_json(
        {
            "uid": DASHBOARD_UID,
            "title": "Is it flowing?",
            "description": "The gap between what the LLM server streamed and what the browser saw.",
            "tags": ["streamgap", "llm", "streaming"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [_datasource_variable(), _route_variable()]},
            "annotations": {"list": []},
            "links": [],
            "panels": laid_out(ROWS),
        }
    )


def _datasource_variable() -> dict[str, object]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "current": {},
        "hide": 0,
    }


def _route_variable() -> dict[str, object]:
    return {
        "name": "route",
        "label": "Route",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": ROUTES_QUERY,
        "query": {"query": ROUTES_QUERY, "refId": "route"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }
