"""The dashboard can be loaded, read and trusted: ids, places, units, words, and limits that are the rules' own."""

import json
from itertools import combinations
from typing import Any

import pytest

from streamgap.alerting import PRODUCTION, dashboard
from streamgap.alerting.dashboard import panel_id
from streamgap.alerting.spec import CALLS_PER_KEY, HELD_SHARE_FAST, PROBES_HELD_LEAST, WIDE_GAP_S, alerts
from streamgap.core import catalog
from streamgap.core.words import Verdict

DASHBOARD: dict[str, Any] = json.loads(dashboard())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
UNITS = {"s", "short", "percentunit", "reqps"}


def titled(title: str) -> dict[str, Any]:
    (found,) = (panel for panel in PANELS if panel["title"] == title)
    return found


def limit(panel: dict[str, Any]) -> float:
    value: float = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
    return value


def test_it_is_the_format_that_provisioning_loads() -> None:
    """Classic JSON with a fixed uid; no import-time inputs, which provisioning leaves unresolved."""
    assert DASHBOARD["schemaVersion"] == 42
    assert DASHBOARD["uid"] == "streamgap"
    assert "__inputs" not in DASHBOARD
    assert "${DS_" not in dashboard()


def test_ids_are_unique_and_rows_have_them_too() -> None:
    """An alert's link finds its panel by id."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))


def test_panels_do_not_overlap() -> None:
    """No panel covers another, and none leaves the grid."""
    for panel in DASHBOARD["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for a, b in combinations((panel["gridPos"] for panel in DASHBOARD["panels"]), 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above


def test_the_first_row_answers_on_one_line() -> None:
    """Held share, gap, both first chunks, coverage and verdicts stand beside each other, without scrolling."""
    titles = [panel["title"] for panel in PANELS if panel["gridPos"]["y"] == 1]
    assert titles == ["People held now", "Gap p95 now", "First chunk p95 now", "Streams joined", "Verdicts in view"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_say_what_they_show(panel: dict[str, Any]) -> None:
    """Every panel has a description, a unit and a legend."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_ask_the_datasource_that_was_chosen(panel: dict[str, Any]) -> None:
    """Every query goes to the variable, under a letter of its own, as an instant or a range query."""
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert source == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["instant"] != target["range"] for target in panel["targets"])


def test_both_variables_exist() -> None:
    """The dashboard can be pointed at any Prometheus and narrowed to some routes."""
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "route"]


def test_lines_are_drawn_at_the_rules_limits() -> None:
    """What turns red is what pages or makes a ticket."""
    assert limit(titled("People held back")) == limit(titled("People held now")) == HELD_SHARE_FAST
    assert limit(titled("Gap, p95")) == limit(titled("Gap p95 now")) == WIDE_GAP_S
    assert limit(titled("Model calls per distinct key")) == CALLS_PER_KEY
    assert limit(titled("Probe runs held")) == PROBES_HELD_LEAST
    curves = ("People held back", "Gap, p95", "Model calls per distinct key", "Probe runs held")
    styles = [titled(t)["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] for t in curves]
    assert styles == [{"mode": "dashed"}] * 4


def test_the_gap_shows_exemplars() -> None:
    """A dot above the line opens the trace of the stream behind it."""
    assert titled("Gap, p95")["targets"][0]["exemplar"]


@pytest.mark.parametrize("title", ["Verdict share", "Verdicts in view"])
def test_every_verdict_has_its_colour(title: str) -> None:
    """A verdict looks the same in every panel, whichever others are present."""
    pinned = {override["matcher"]["options"] for override in titled(title)["fieldConfig"]["overrides"]}
    assert pinned == set(Verdict)


def test_alerts_point_at_panels_that_exist() -> None:
    """An alert leads to the panel that shows it."""
    titles = [alert.panel for alert in alerts(PRODUCTION) if alert.panel]
    assert [titled(title)["id"] for title in titles] == [panel_id(title) for title in titles]


def test_the_headline_metrics_are_shown() -> None:
    """Gap, hold, first chunk and chunk gap of both sides, verdicts, probes, cost of reconnects, data quality."""
    shown = dashboard()
    for metric in (
        catalog.GAP,
        catalog.HOLD,
        catalog.SERVER_TTFC,
        catalog.CLIENT_TTFC,
        catalog.CHUNK_GAP,
        catalog.LONGEST_CHUNK_GAP,
        catalog.STAGE,
        catalog.STREAMS,
        catalog.HELD,
        catalog.CLIENT_WINDOWS,
        catalog.REJECTED,
        catalog.UNMATCHED,
        catalog.RESIDUAL,
        catalog.GENERATIONS,
        catalog.TOKENS,
        catalog.RECONNECTS,
        catalog.DISCONNECTS,
        catalog.PROBE_RUNS,
        catalog.PROBE_RECENT_HELD,
        catalog.PROBE_HELD,
        catalog.PROBE_HOLD,
        catalog.PROBE_HEAD,
        catalog.PROBE_TTFC,
    ):
        assert metric.name in shown
