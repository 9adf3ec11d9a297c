"""Everything that rules and dashboard say in PromQL is about the catalogue."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.promlint import Labels, catalogued, check, template_labels
from streamgap.alerting import PRODUCTION, Profile, dashboard, grafana_rules
from streamgap.alerting.spec import Alert, Recording, alerts, recordings

KNOWN = catalogued()
PROFILES = (PRODUCTION, Profile.compressed(60))
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


def with_recordings() -> dict[str, Labels]:
    return KNOWN | {rule.name: {"route": None} for rule in recordings(PRODUCTION)}


def targets() -> list[dict[str, Any]]:
    return [target for panel in json.loads(dashboard())["panels"] for target in panel.get("targets", ())]


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ("streamgap_hold_secs_bucket", "metric of the catalogue"),
        ("streamgap_hold_seconds", "metric of the catalogue"),
        ('streamgap_streams_total{model="x"}', "one of its labels"),
        ('streamgap_streams_total{verdict="heldd"}', "verdict among"),
        ('streamgap_streams_total{verdict=~"held|gone"}', "verdict among"),
        ('streamgap_gap_seconds_bucket{le="1"}', "le among"),
        ('streamgap_gap_seconds_bucket{le="0.9"}', "le among"),
        ("sum by (side) (streamgap_streams_total)", "grouped by"),
        ("sum by (route) (sum by (verdict) (streamgap_streams_total))", "grouped by"),
        ("streamgap_residual / on (where) streamgap_pending", "matched on"),
        ("histogram_quantile(0.9, sum by (route) (rate(streamgap_gap_seconds_bucket[5m])))", "histogram_quantile"),
        ("sum(rate(streamgap_streams_total[5m])", "expected PromQL"),
    ],
)
def test_planted_faults_are_found(expr: str, fault: str) -> None:
    """A wrong metric, label, value, boundary, grouping or syntax is named."""
    faults = check(expr, KNOWN).faults
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize("rule", [rule for profile in PROFILES for rule in recordings(profile)], ids=lambda r: r.name)
def test_recordings_speak_of_the_catalogue(rule: Recording) -> None:
    """A recording refers to what the catalogue has, and yields one series per route."""
    checked = check(rule.expr, KNOWN)
    assert not checked.faults
    assert checked.labels == {"route"}


@pytest.mark.parametrize("alert", [alert for profile in PROFILES for alert in alerts(profile)], ids=lambda a: a.name)
def test_alerts_speak_of_the_catalogue(alert: Alert) -> None:
    """An alert refers to the catalogue and the recordings, and its text names only labels that it has."""
    checked = check(alert.expr, with_recordings())
    assert not checked.faults
    assert template_labels(" ".join(alert.annotations.values())) <= checked.labels


def test_queries_inside_texts_speak_of_the_catalogue() -> None:
    """A text that asks Prometheus something asks about what the catalogue has, and names only labels of the answer."""
    texts = [text for alert in alerts(PRODUCTION) for text in alert.annotations.values() if "query" in text]
    assert texts
    for text in texts:
        (query,) = re.findall(r"printf `(.+?)`", text)
        checked = check(query.replace("%q", '"/chat"'), KNOWN)
        assert not checked.faults
        assert set(re.findall(r'label "(\w+)"', text)) <= checked.labels


@pytest.mark.parametrize("rule", yaml.safe_load(grafana_rules())["groups"][0]["rules"], ids=lambda rule: rule["title"])
def test_grafana_rules_need_no_recording(rule: dict[str, Any]) -> None:
    """A Grafana rule refers to the catalogue alone: the recordings are written out."""
    assert not check(rule["data"][0]["model"]["expr"], KNOWN).faults


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["expr"][:60])
def test_panels_speak_of_the_catalogue(target: dict[str, Any]) -> None:
    """A panel's query refers to the catalogue, and its legend names only labels that the query returns."""
    checked = check(target["expr"], KNOWN)
    assert not checked.faults
    assert template_labels(target["legendFormat"]) <= checked.labels


def test_the_route_variable_lists_a_label_of_the_catalogue() -> None:
    """The values of `$route` come from a metric that has the label."""
    (route,) = (v for v in json.loads(dashboard())["templating"]["list"] if v["name"] == "route")
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", route["query"]["query"])
    assert found
    assert found[2] in KNOWN[found[1]]


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_runbook_queries_speak_of_the_catalogue(page: Path) -> None:
    """Every ```promql block that a runbook asks to run is about metrics that exist."""
    for query in re.findall(r"```promql\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        assert not check(query, KNOWN).faults
