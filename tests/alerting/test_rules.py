"""Each alert fires when it should and is quiet when it should be, in promtool's own evaluation.

A scenario is written in minutes; under the compressed profile its minutes are seconds.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamgap.alerting import PRODUCTION, Profile, prometheus_rules
from streamgap.alerting.render import duration
from streamgap.alerting.spec import alerts

pytestmark = pytest.mark.slow

Firing = Mapping[int, Sequence[Mapping[str, str]]]
"""The label sets an alert fires with, by minute."""

CHAT = {"route": "/chat"}
HELD_BY_BUFFER = 'streamgap_held_total{route="/chat",mechanism="whole_response"}'
HELD_BY_TIMER = 'streamgap_held_total{route="/chat",mechanism="timer"}'
HELD_BY_NOTHING = 'streamgap_held_total{route="/chat",mechanism="unknown"}'
HELD_ELSEWHERE = 'streamgap_held_total{route="/other",mechanism="compressor"}'
UNRANKED = 'The panel "Held by mechanism" ranks the likely mechanisms.'
HELD = 'streamgap_client_windows_total{route="/chat",verdict="held"}'
FLOWING = 'streamgap_client_windows_total{route="/chat",verdict="flowing"}'
NARROW = 'streamgap_gap_seconds_bucket{route="/chat",model="m",le="1.0"}'
GAPS = 'streamgap_gap_seconds_count{route="/chat",model="m"}'
SERVER = 'streamgap_reports_accepted_total{half="server"}'
CLIENT = 'streamgap_reports_accepted_total{half="client"}'
RESIDUAL = 'streamgap_residual{half="client",instance="a"}'
BUILD = 'streamgap_build_info{version="1"}'
STARTED = 'streamgap_generations_total{route="/chat",result="started"}'
RESTARTED = 'streamgap_generations_total{route="/chat",result="restarted"}'
BYPASSED = 'streamgap_generations_total{route="/chat",result="bypassed"}'
ATTACHED = 'streamgap_generations_total{route="/chat",result="attached"}'
DELIVERED = 'streamgap_tokens_total{route="/chat",fate="delivered"}'
UNHEARD = 'streamgap_tokens_total{route="/chat",fate="unheard"}'
PROBED = 'streamgap_probe_runs_total{route="/chat",result="flowing"}'
PROBES_HELD = 'streamgap_probe_runs_total{route="/chat",result="held"}'
PROBES_FAILED = 'streamgap_probe_runs_total{route="/chat",result="failed"}'
HELD_RECENTLY = 'streamgap_probe_recent_held_runs{route="/chat"}'
HELD_WHOLE = 'streamgap_probe_held{route="/chat",mechanism="whole_response"}'
CHAT_WHOLE = {"route": "/chat", "mechanism": "whole_response"}


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Runs promtool on the rules of one profile, in a directory of its own."""

    directory: Path
    profile: Profile
    minute_s: float

    def expect(self, series: Mapping[str, str], firing: Mapping[str, Firing], *, ranking: str = UNRANKED) -> None:
        """Check what fires, given each series' value minute by minute; `ranking` is what a text's query comes to."""
        (self.directory / "rules.yml").write_text(prometheus_rules(self.profile), encoding="utf-8")
        checks = [
            {
                "eval_time": duration(minute * self.minute_s),
                "alertname": name,
                "exp_alerts": [self._expected(name, labels, ranking) for labels in fired],
            }
            for name, by_minute in firing.items()
            for minute, fired in by_minute.items()
        ]
        test = {
            "interval": duration(self.minute_s),
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": checks,
        }
        step = duration(self.profile.eval_interval_s)
        document = {"rule_files": ["rules.yml"], "evaluation_interval": step, "tests": [test]}
        (self.directory / "test.yml").write_text(yaml.safe_dump(document, width=10_000), encoding="utf-8")
        promtool("test", "rules", str(self.directory / "test.yml"))

    def _expected(self, name: str, labels: Mapping[str, str], ranking: str) -> dict[str, Any]:
        (alert,) = (alert for alert in alerts(self.profile) if alert.name == name)
        texts = {
            key: re.sub(
                r"{{ \.Labels\.(\w+) }}",
                lambda found: labels[found[1]],
                re.sub("{{- with query .*{{- end }}", ranking, text),
            )
            for key, text in alert.annotations.items()
        }
        return {"exp_labels": {**alert.labels, **labels}, "exp_annotations": texts}


@pytest.fixture(params=[1, 60], ids=["production", "compressed"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    factor: int = request.param
    return Scenario(directory=tmp_path, profile=Profile.compressed(factor), minute_s=60 / factor)


@pytest.mark.parametrize("profile", [PRODUCTION, Profile.compressed(60)], ids=["production", "compressed"])
def test_promtool_accepts_the_rules(profile: Profile, tmp_path: Path) -> None:
    """The rule file is valid Prometheus, whatever the time constants."""
    (tmp_path / "rules.yml").write_text(prometheus_rules(profile), encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_one_group_stays_within_a_hosted_rulers_limit() -> None:
    """Hosted rulers take at most 20 rules a group."""
    (group,) = yaml.safe_load(prometheus_rules())["groups"]
    assert len(group["rules"]) <= 20


def test_a_healthy_day_is_quiet(scenario: Scenario) -> None:
    """One person in a hundred held, one gap in fifty wide, one call in a hundred made again: the watchdog speaks."""
    series = {
        HELD: "0+1x360",
        FLOWING: "0+99x360",
        GAPS: "0+100x360",
        NARROW: "0+98x360",
        SERVER: "0+100x360",
        CLIENT: "0+100x360",
        RESIDUAL: "0+0x360",
        BUILD: "1+0x360",
        STARTED: "0+100x360",
        RESTARTED: "0+1x360",
        BYPASSED: "0+0x360",
        ATTACHED: "0+200x360",
        DELIVERED: "0+50000x360",
        UNHEARD: "0+5000x360",
        PROBED: "0+1x360",
        PROBES_HELD: "0+0x360",
        HELD_RECENTLY: "0+0x360",
        HELD_WHOLE: "0+0x360",
    }
    firing: dict[str, Firing] = {
        alert.name: dict.fromkeys((1, 12, 61, 200, 359), [{}] if alert.name == "StreamgapWatchdog" else ())
        for alert in alerts(scenario.profile)
    }
    scenario.expect(series, firing)


def test_a_sudden_hold_pages_within_ten_minutes(scenario: Scenario) -> None:
    """From minute 60 one person in four is held: the page stands before minute 68, for the held route only."""
    other = FLOWING.replace("/chat", "/search")
    series = {HELD: "0+0x60 2+2x60", FLOWING: "0+8x60 486+6x60", other: "0+10x120"}
    scenario.expect(series, {"StreamgapPathHolding": {59: [], 68: [CHAT], 75: [CHAT]}})


def test_the_page_says_by_what_the_route_is_held(scenario: Scenario) -> None:
    """Prometheus ranks the route's mechanisms of the long window, and neither one without a stream nor other routes."""
    series = {HELD: "0+0x60 2+2x60", FLOWING: "0+8x60 486+6x60", HELD_BY_NOTHING: "0+0x120"}
    series |= {HELD_BY_TIMER: "0+1x120", HELD_BY_BUFFER: "0+5x120", HELD_ELSEWHERE: "0+9x120"}
    window = duration(scenario.profile.med_s)
    ranking = f"Held in {window}, likely by: whole_response (300) timer (60)."
    scenario.expect(series, {"StreamgapPathHolding": {75: [CHAT]}}, ranking=ranking)


def test_a_slow_leak_pages_by_the_long_window(scenario: Scenario) -> None:
    """Two in twenty-five held is below the ten-minute limit and above the hour's."""
    scenario.expect({HELD: "0+2x120", FLOWING: "0+23x120"}, {"StreamgapPathHolding": {60: [CHAT], 119: [CHAT]}})


def test_four_people_at_night_wake_nobody(scenario: Scenario) -> None:
    """Four of four held is a share of 1, and still too few: extrapolation must not make five of them."""
    series = {HELD: "0+0x60 1+1x3 4+0x60", FLOWING: "0+0x120"}
    scenario.expect(series, {"StreamgapPathHolding": dict.fromkeys(range(60, 80), ())})


def test_the_fifth_person_at_night_pages(scenario: Scenario) -> None:
    """Five of five held in ten minutes is enough."""
    series = {HELD: "0+0x60 1+1x4 5+0x60", FLOWING: "0+0x120"}
    scenario.expect(series, {"StreamgapPathHolding": {67: [CHAT]}})


def test_the_page_ends_after_the_path_is_healed(scenario: Scenario) -> None:
    """Healed at minute 80, the page outlives the recency window and `keep_firing_for`, and then it is over."""
    series = {HELD: "0+0x60 5+5x19 100+0x100", FLOWING: "0+10x60 605+5x19 710+10x100"}
    scenario.expect(series, {"StreamgapPathHolding": {70: [CHAT], 105: [CHAT], 115: [], 150: []}})


def test_three_held_probes_page(scenario: Scenario) -> None:
    """From minute 10 every run is held: the third one pages, with the mechanism, whatever the interval of the runs."""
    series = {HELD_RECENTLY: "0+0x10 1 2 3 4+0x30", HELD_WHOLE: "0+0x10 1+0x33"}
    scenario.expect(series, {"StreamgapProbeHeld": {10: [], 12: [], 14: [CHAT_WHOLE], 40: [CHAT_WHOLE]}})


def test_two_held_probes_wake_nobody(scenario: Scenario) -> None:
    """Every second run held, and a single one, are below three of four."""
    half = {HELD_RECENTLY: "0+0x10 2+0x60", HELD_WHOLE: "0+0x10 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1+0x40"}
    scenario.expect(half, {"StreamgapProbeHeld": dict.fromkeys(range(8, 60, 3), ())})


def test_three_of_four_held_probes_page_and_a_flowing_one_between_does_not_end_it(scenario: Scenario) -> None:
    """One backend of several that holds most runs pages, and the page does not flap with each run that flows."""
    series = {HELD_RECENTLY: "0+0x10 1 2 3 3 3 3 3+0x30", HELD_WHOLE: "0+0x10 1 1 1 0 1 1 1 0 1 1 1 0 1+0x20"}
    scenario.expect(series, {"StreamgapProbeHeld": {13: [CHAT_WHOLE], 14: [CHAT_WHOLE], 18: [CHAT_WHOLE]}})


def test_a_healed_path_ends_the_probes_page(scenario: Scenario) -> None:
    """Two runs that flow are enough, and the page outlives them by `keep_firing_for`."""
    series = {HELD_RECENTLY: "0+0x10 1 2 3 4+0x10 3 2 1 0+0x60", HELD_WHOLE: "0+0x10 1+0x13 0+0x70"}
    scenario.expect(series, {"StreamgapProbeHeld": {24: [CHAT_WHOLE], 36: [CHAT_WHOLE], 45: []}})


def test_probes_without_a_result_make_a_ticket(scenario: Scenario) -> None:
    """From minute 60 no stream comes: a ticket once the window and the wait are over, and none for another route."""
    other = PROBED.replace("/chat", "/search")
    series = {PROBED: "0+1x60 60+0x90", PROBES_FAILED: "0+0x60 1+1x90", other: "0+1x150"}
    scenario.expect(series, {"StreamgapProbeFailing": {60: [], 70: [], 90: [CHAT], 140: [CHAT]}})


def test_a_failed_probe_now_and_then_is_no_ticket(scenario: Scenario) -> None:
    """A deploy refuses some runs; one run in five minutes that flows is enough. Held runs are a result, too."""
    series = {
        PROBED: "0+0x4 1+0x4 2+0x4 3+0x4 4+0x4 5+0x4 6+0x4 7+0x4 8+0x4 9+0x4 10+0x4",
        PROBES_FAILED: "0+1x60",
        PROBES_HELD.replace("/chat", "/held"): "0+1x60",
    }
    scenario.expect(series, {"StreamgapProbeFailing": dict.fromkeys(range(1, 55, 5), ())})


def test_a_canary_that_vanishes_makes_a_ticket(scenario: Scenario) -> None:
    """Its metrics are gone from minute 60: a ticket for as long as an hour ago it was there; nobody's canary: none."""
    firing: Firing = {60: [], 90: [CHAT], 110: [CHAT], 125: []}
    scenario.expect({PROBED: "0+1x60 stale _x90"}, {"StreamgapProbeFailing": firing})
    scenario.expect({PROBED: "_x150"}, {"StreamgapProbeFailing": {30: [], 140: []}})


def test_wide_gaps_make_a_ticket(scenario: Scenario) -> None:
    """One stream in five beyond a second for an hour."""
    series = {GAPS: "0+10x120", NARROW: "0+8x120"}
    scenario.expect(series, {"StreamgapGapWide": {5: [], 75: [CHAT], 119: [CHAT]}})


def test_a_few_wide_gaps_make_no_ticket(scenario: Scenario) -> None:
    """Seven of seven in an hour is a share of 1 and too few; one in twenty is too small a share."""
    few = {GAPS: "0+0x60 1+0x5 2+1x5 7+0x60", NARROW: "0+0x130"}
    small = {GAPS.replace("/chat", "/s"): "0+100x130", NARROW.replace("/chat", "/s"): "0+95x130"}
    scenario.expect(few | small, {"StreamgapGapWide": dict.fromkeys(range(60, 120, 5), ())})


def test_silence_of_the_browsers_pages(scenario: Scenario) -> None:
    """Streams finish and nobody reports: the page comes after its short wait, and goes with the first report."""
    series = {SERVER: "0+5x120", CLIENT: "0+10x30 300+0x40 301+5x50"}
    scenario.expect(series, {"StreamgapReportsSilent": {30: [], 44: [], 50: [{}], 70: [{}], 75: []}})


def test_silence_of_both_halves_is_no_silence_of_browsers(scenario: Scenario) -> None:
    """At night 29 streams in 15 minutes and no report is not yet proof."""
    scenario.expect({SERVER: "0+1x120", CLIENT: "0+0x120"}, {"StreamgapReportsSilent": {20: [], 119: []}})


def test_a_missing_collector_pages(scenario: Scenario) -> None:
    """No collector's metrics for ten minutes, whether it vanished or never was."""
    vanished: Firing = {60: [], 70: [], 72: [{}], 100: [{}]}
    scenario.expect({BUILD: "1+0x60 stale _x60"}, {"StreamgapMetricsAbsent": vanished})
    scenario.expect({BUILD: "_x120"}, {"StreamgapMetricsAbsent": {9: [], 11: [{}]}})


@pytest.mark.parametrize("again", [RESTARTED, BYPASSED], ids=["restarted", "bypassed"])
def test_answers_generated_again_make_a_ticket(scenario: Scenario, again: str) -> None:
    """From minute 60 one key in five is called for again: a ticket, which outlives the hour's window a little."""
    series = {STARTED: "0+5x300", again: "0+0x60 1+1x59 60+0x180"}
    scenario.expect(series, {"StreamgapDoubleGeneration": {60: [], 85: [CHAT], 120: [CHAT], 185: [CHAT], 210: []}})


def test_no_key_at_all_beside_bypassed_calls_makes_a_ticket(scenario: Scenario) -> None:
    """With the store down for good nothing starts, and what a key is nobody knows."""
    series = {STARTED: "0+0x120", BYPASSED: "0+1x120"}
    scenario.expect(series, {"StreamgapDoubleGeneration": {119: [CHAT]}})


def test_a_few_retries_make_no_ticket(scenario: Scenario) -> None:
    """Four retries of four keys are too few, one retry in a hundred too small a share, attached readers no calls."""
    few = {STARTED: "0+0x60 4+0x60", RESTARTED: "0+0x60 1+1x3 4+0x57"}
    small = {STARTED.replace("/chat", "/s"): "0+100x120", RESTARTED.replace("/chat", "/s"): "0+1x120"}
    attached = {STARTED.replace("/chat", "/a"): "0+1x120", ATTACHED.replace("/chat", "/a"): "0+50x120"}
    quiet: Firing = dict.fromkeys(range(60, 120, 5), ())
    scenario.expect(few | small | attached, {"StreamgapDoubleGeneration": quiet})


def test_tokens_for_nobody_make_a_ticket(scenario: Scenario) -> None:
    """From minute 60 every second token is written to nobody."""
    series = {DELIVERED: "0+1000x180", UNHEARD: "0+0x60 1000+1000x120"}
    scenario.expect(series, {"StreamgapUnheardTokens": {60: [], 100: [CHAT], 179: [CHAT]}})


def test_a_few_unheard_tokens_make_no_ticket(scenario: Scenario) -> None:
    """A hundred a minute is all of a quiet route's and too few; a tenth of a busy route's is too small a share."""
    few = {DELIVERED: "0+0x120", UNHEARD: "0+100x120"}
    small = {DELIVERED.replace("/chat", "/s"): "0+9000x120", UNHEARD.replace("/chat", "/s"): "0+1000x120"}
    scenario.expect(few | small, {"StreamgapUnheardTokens": dict.fromkeys(range(60, 120, 5), ())})


def test_a_residual_makes_a_ticket(scenario: Scenario) -> None:
    """A residual of either sign that stays is a ticket that names the half and the replica."""
    series = {RESIDUAL: "0+0x20 -2+0x40", RESIDUAL.replace("client", "server"): "0+0x20 3+0x3 0+0x40"}
    client = {"half": "client", "instance": "a"}
    scenario.expect(series, {"StreamgapResidual": {20: [], 25: [], 32: [client], 50: [client]}})
