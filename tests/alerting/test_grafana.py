"""The Grafana-managed rules have the shape that Grafana's file provisioning reads; it ignores keys it does not know."""

import re
from typing import Any

import pytest
import yaml

from streamgap.alerting import PRODUCTION, Profile, grafana_rules
from streamgap.alerting.dashboard import DASHBOARD_UID
from streamgap.alerting.provisioning import dashboard_provider, datasources
from streamgap.alerting.spec import alerts

RULE_KEYS = {
    "uid",
    "title",
    "condition",
    "data",
    "noDataState",
    "execErrState",
    "missing_series_evals_to_resolve",
    "for",
    "keepFiringFor",
    "labels",
    "annotations",
}
DURATION = re.compile(r"(\d+h)|(\d+m)|(\d+s)|(\d+ms)")


def group(profile: Profile = PRODUCTION) -> dict[str, Any]:
    document = yaml.safe_load(grafana_rules(profile))
    assert set(document) == {"apiVersion", "groups"}
    (only,) = document["groups"]
    found: dict[str, Any] = only
    return found


RULES: list[dict[str, Any]] = group()["rules"]


def test_the_group_has_what_grafana_insists_on() -> None:
    """A group needs name, folder and interval, or the whole file is refused."""
    assert set(group()) == {"orgId", "name", "folder", "interval", "rules"}
    assert group()["interval"] == "30s"


def test_grafanas_step_bounds_the_interval() -> None:
    """Grafana evaluates at multiples of 10 s, so a compressed profile is rounded up."""
    assert group(Profile.compressed(60))["interval"] == "10s"


def test_every_alert_that_somebody_must_hear_is_there() -> None:
    """The watchdog is for a dead man's switch and stays with Prometheus; all others are Grafana rules too."""
    expected = [alert.name for alert in alerts(PRODUCTION) if alert.severity != "none"]
    assert [rule["title"] for rule in RULES] == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_rules_have_known_keys_and_states(rule: dict[str, Any]) -> None:
    """Keys are Grafana's own spelling, identifiers fit, and no data is a healthy answer of a comparison."""
    assert set(rule) - {"dashboardUid", "panelId"} == RULE_KEYS
    assert ("dashboardUid" in rule) == ("panelId" in rule)
    assert rule.get("dashboardUid", DASHBOARD_UID) == DASHBOARD_UID
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", rule["uid"])
    assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")
    assert DURATION.fullmatch(rule["for"])
    assert DURATION.fullmatch(rule["keepFiringFor"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_rules_ask_then_turn_any_answer_into_an_alert(rule: dict[str, Any]) -> None:
    """Query → math → threshold: a series alerts whatever its value, as in Prometheus."""
    query, math, threshold = rule["data"]
    keys = {"refId", "relativeTimeRange", "datasourceUid", "model"}
    assert (set(query), set(math), set(threshold)) == (keys, keys | {"queryType"}, keys | {"queryType"})
    assert query["relativeTimeRange"]["from"] > query["relativeTimeRange"]["to"]
    assert (query["model"]["instant"], query["model"]["range"]) == (True, False)
    assert all(node["model"]["refId"] == node["refId"] for node in rule["data"])
    assert math["model"]["expression"] == "is_number($query) || is_nan($query) || is_inf($query)"
    assert threshold["model"]["expression"] == math["refId"]
    assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]
    assert rule["condition"] == threshold["refId"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_nothing_is_expanded_from_the_environment(rule: dict[str, Any]) -> None:
    """Provisioning replaces `$name` outside the query models, so no text holds a dollar sign."""
    assert "$" not in str({key: value for key, value in rule.items() if key != "data"})


def test_a_text_with_a_query_says_something_where_queries_find_nothing() -> None:
    """Grafana's `query` never finds anything, so what asks for one also says what to read instead."""
    texts = [text for rule in RULES for text in rule["annotations"].values() if "{{- with query" in text]
    assert texts
    assert all(re.search(r"{{- else }} \S.+{{- end }}", text) for text in texts)


def test_uids_are_unique() -> None:
    """Two rules with one uid would overwrite each other."""
    assert len({rule["uid"] for rule in RULES}) == len(RULES)


def test_another_datasource_can_be_named() -> None:
    """An installation whose Prometheus has another uid says so, and only the queries change."""
    rules = yaml.safe_load(grafana_rules(PRODUCTION, "mimir"))["groups"][0]["rules"]
    assert {rule["data"][0]["datasourceUid"] for rule in rules} == {"mimir"}
    assert {rule["data"][0]["model"]["datasource"]["uid"] for rule in rules} == {"mimir"}
    assert {node["datasourceUid"] for rule in rules for node in rule["data"][1:]} == {"__expr__"}


def test_an_exemplar_leads_to_its_trace() -> None:
    """The provisioned Prometheus names a trace store that is provisioned with it, and the rules' own uid."""
    by_type = {source["type"]: source for source in yaml.safe_load(datasources())["datasources"]}
    (link,) = by_type["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link == {"name": "trace_id", "datasourceUid": by_type["tempo"]["uid"]}
    assert by_type["prometheus"]["uid"] == RULES[0]["data"][0]["datasourceUid"]


def test_dashboards_and_rules_share_a_folder() -> None:
    """The dashboard lands where the rules are."""
    (provider,) = yaml.safe_load(dashboard_provider())["providers"]
    assert provider["type"] == "file"
    assert provider["folder"] == group()["folder"]
