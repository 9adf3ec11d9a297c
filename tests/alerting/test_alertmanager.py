"""Who hears of what, as Alertmanager's own tool reads it."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from streamgap.alerting import PRODUCTION, Profile, alertmanager_config
from streamgap.alerting.spec import alerts
from streamgap.core.errors import SettingsError

RECEIVERS = {"page": "streamgap-pager", "ticket": "streamgap-tickets", "none": "streamgap-deadman"}


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("profile", [PRODUCTION, Profile.compressed(60)], ids=["production", "compressed"])
def test_amtool_accepts_the_configuration(profile: Profile, tmp_path: Path) -> None:
    """The configuration is valid whatever the time constants."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_config(profile, "http://127.0.0.1:9/alerts"), encoding="utf-8")
    assert "SUCCESS" in amtool("check-config", str(path))


def test_each_alert_reaches_its_receiver(tmp_path: Path) -> None:
    """Pages go to the pager, tickets to the tickets, the watchdog to the dead man's switch."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_config(), encoding="utf-8")
    for alert in alerts(PRODUCTION):
        labels = [f"{name}={value}" for name, value in {"alertname": alert.name, **alert.labels}.items()]
        routed = amtool("config", "routes", "test", f"--config.file={path}", *labels)
        assert routed.strip() == RECEIVERS[alert.severity]


def test_everything_goes_to_the_webhook_given() -> None:
    """Three receivers, told apart by name, post to the one URL."""
    url = "http://127.0.0.1:9/alerts"
    receivers = yaml.safe_load(alertmanager_config(PRODUCTION, url))["receivers"]
    assert [receiver["name"] for receiver in receivers] == list(RECEIVERS.values())
    assert {hook["url"] for receiver in receivers for hook in receiver["webhook_configs"]} == {url}


def test_a_page_silences_the_rest_of_its_route_only() -> None:
    """People's own page hides the tickets and the canary's page of the same route, and of no other."""
    rules = yaml.safe_load(alertmanager_config())["inhibit_rules"]
    assert all(rule["equal"] == ["service", "route"] for rule in rules)
    assert all(rule["source_matchers"] == ['alertname="StreamgapPathHolding"'] for rule in rules)
    targets = [target for rule in rules for target in rule["target_matchers"]]
    assert targets == ['severity="ticket"', 'alertname="StreamgapProbeHeld"']


def test_what_inhibits_and_what_is_inhibited_exist() -> None:
    """An inhibition that names an alert names one of the specification, which has the labels that are compared."""
    names = {alert.name for alert in alerts(PRODUCTION)}
    for rule in yaml.safe_load(alertmanager_config())["inhibit_rules"]:
        matchers = (*rule["source_matchers"], *rule["target_matchers"])
        assert set(re.findall(r'alertname="(\w+)"', " ".join(matchers))) <= names


@pytest.mark.parametrize("url", ["", "example.org/alerts", "ftp://example.org/", "http://"])
def test_a_url_that_cannot_be_posted_to_is_refused(url: str) -> None:
    """The error shows what was got and an example of what is wanted."""
    with pytest.raises(SettingsError, match=r"webhook URL: expected http\(s\)://host/…, got .*; try https://"):
        alertmanager_config(PRODUCTION, url)
