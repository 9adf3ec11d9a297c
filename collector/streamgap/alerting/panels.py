"""Panels as values, and how each kind is written in Grafana's dashboard JSON (schema version 42)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Literal

Kind = Literal["stat", "bargauge", "timeseries", "heatmap"]
GRID_WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_NO_TRAFFIC = {"type": "special", "options": {"match": "null+nan", "result": {"index": 0, "text": "no traffic"}}}
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression of a panel; `instant` asks for its value now, `exemplars` for dots that open a trace."""

    expr: str
    legend: str = "{{route}}"
    instant: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `limit` is drawn as a line, or colours a stat; `good` is its healthy side.

    `colors` pins the colour of a series by its name.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "s"
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    limit: float | None = None
    good: Literal["below", "above"] = "below"
    stacked: bool = False
    minimum: float | None = 0
    maximum: float | None = None
    colors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A titled band of panels that are laid out from left to right."""

    title: str
    panels: Sequence[Panel]


def panel_ids(rows: Sequence[Row]) -> dict[str, int]:
    """Return the id of each panel by its title, in reading order from 1; rows take ids as well."""
    titles = [title for row in rows for title in (row.title, *(panel.title for panel in row.panels))]
    return {title: number for number, title in enumerate(titles, start=1)}


def laid_out(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the panels' JSON with ids and grid positions; a panel that no longer fits starts a new line."""
    ids = panel_ids(rows)
    made: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        band = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        made.append({"id": ids[row.title], "gridPos": _at(0, y, GRID_WIDTH, 1), **band})
        x, y, line_height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > GRID_WIDTH:
                x, y, line_height = 0, y + line_height, 0
            made.append({"id": ids[panel.title], "gridPos": _at(x, y, panel.width, panel.height), **_panel(panel)})
            x, line_height = x + panel.width, max(line_height, panel.height)
        y += line_height
    return made


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            _target(ref, query, panel.kind) for ref, query in zip(ascii_uppercase, panel.queries, strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_pin(*item) for item in panel.colors.items()]},
        "options": _OPTIONS[panel.kind],
    }


def _target(ref_id: str, query: Query, kind: Kind) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": "heatmap" if kind == "heatmap" else "time_series",
        "instant": query.instant,
        "range": not query.instant,
        "exemplar": query.exemplars,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    below, above = ("green", "red") if panel.good == "below" else ("red", "green")
    steps: list[dict[str, Any]] = [{"color": "text" if panel.limit is None else below, "value": None}]
    if panel.limit is not None:
        steps.append({"color": above, "value": panel.limit})
    by_threshold = panel.kind == "stat"
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if by_threshold else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if by_threshold:
        defaults["mappings"] = [_NO_TRAFFIC]
    if panel.kind == "timeseries":
        defaults["custom"] = _curve(panel)
    bounds = {"min": panel.minimum, "max": panel.maximum}
    return defaults | {key: bound for key, bound in bounds.items() if bound is not None}


def _curve(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineWidth": 0 if panel.stacked else 1,
        "fillOpacity": 70 if panel.stacked else 0,
        "showPoints": "auto",
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "off" if panel.limit is None else "dashed"},
    }


def _pin(name: str, color: str) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
    }


_OPTIONS: Mapping[Kind, dict[str, Any]] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _LAST,
        "textMode": "auto",
        "wideLayout": True,
    },
    "bargauge": {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": _LAST,
        "showUnfilled": True,
        "valueMode": "color",
    },
    "timeseries": {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "scale": "exponential"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
    },
}
