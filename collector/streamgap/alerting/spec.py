"""What is worth waking somebody for, as data. Every emitter, panel and test takes its numbers from here.

The page looks at people, not at streams or quantiles: the share of client windows whose worst verdict was `held`.
Simulated on 30 days of healthy traffic with nuisances that rule pages 0 to 0.5 times a month at 0.5 to 60 streams a
minute, where a p95 above 2 s pages 10 to 40 times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from streamgap.alerting.profile import Profile
from streamgap.alerting.promql import any_of, at_least, greatest, increase, matcher, series, summed, up_to
from streamgap.alerting.render import duration
from streamgap.core import catalog
from streamgap.core.pages import runbook
from streamgap.core.words import MODEL_CALLS, PROBE_RECENT_RUNS, Fate, GenerationResult, ProbeResult, Verdict

Severity = Literal["page", "ticket", "none"]

SERVICE = "streamgap"

HELD = matcher("verdict", Verdict.HELD)
HELD_SHARE_FAST, HELD_LEAST_FAST = 0.12, 5
HELD_SHARE_MED, HELD_LEAST_MED = 0.06, 7
WIDE_GAP_S, WIDE_SHARE, WIDE_LEAST = 1.0, 0.1, 10
SILENT_LEAST = 30
# Above 1 and not at it: where a model call fails before its first word, it is made again, and that is no fault.
CALLS_PER_KEY, EXTRA_CALLS_LEAST = 1.02, 5
UNHEARD_SHARE, UNHEARD_LEAST = 0.2, 20_000
# Simulated with a run every 30 s: false pages 0.0003 a month where one run in a thousand is held, 0.35 at one in 100.
PROBES_HELD_LEAST = 3

HELD_BY_PANEL = "Held by mechanism"

# `.Labels` rather than `$labels`: both Prometheus and Grafana know it, and Grafana's provisioning expands `$`.
_ROUTE = "{{ .Labels.route }}"
_MECHANISM = "{{ .Labels.mechanism }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording rule, one series per route."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert rule: `expr` yields one series per thing that is wrong. `panel` is the title of the panel to look at."""

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    for_s: float = 0.0
    keep_firing_s: float = 0.0
    panel: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Labels that notifications are routed by."""
        return {"severity": self.severity, "service": SERVICE}

    @property
    def annotations(self) -> dict[str, str]:
        """Text for people. It holds no value of its own, so that Prometheus and Grafana expand it alike."""
        runbook_url = runbook(self.name)
        return {"summary": self.summary, "description": self.description, "runbook_url": runbook_url}


def held_count(window: str, *matchers: str, by: tuple[str, ...] = ("route",)) -> str:
    """Return the client windows judged `held`."""
    return summed(increase(catalog.CLIENT_WINDOWS, window, HELD, *matchers), *by)


def held_share(window: str, *matchers: str, by: tuple[str, ...] = ("route",)) -> str:
    """Return the share of client windows judged `held`; NaN where there was no client."""
    return (
        f"{held_count(window, *matchers, by=by)} / {summed(increase(catalog.CLIENT_WINDOWS, window, *matchers), *by)}"
    )


def calls_per_key(window: str, *matchers: str) -> str:
    """Return the calls of the model per distinct key, by route: 1 where each key had one; NaN without any."""
    return f"{_calls(MODEL_CALLS, window, *matchers)} / {_calls((GenerationResult.STARTED,), window, *matchers)}"


def _calls(results: Sequence[GenerationResult], window: str, *matchers: str) -> str:
    return summed(increase(catalog.GENERATIONS, window, any_of("result", *results), *matchers), "route")


def _gaps(window: str) -> tuple[str, str]:
    """Return the joined streams with a gap, and those of them whose gap is at most `WIDE_GAP_S`."""
    narrow = increase(catalog.GAP, window, up_to(catalog.GAP, WIDE_GAP_S), part="_bucket")
    return summed(increase(catalog.GAP, window, part="_count"), "route"), summed(narrow, "route")


def recordings(profile: Profile) -> tuple[Recording, ...]:
    """Return what the alerts refer to by name, per window."""
    made: list[Recording] = []
    for name, seconds in (("fast", profile.fast_s), ("med", profile.med_s)):
        window = duration(seconds)
        every, narrow = _gaps(window)
        made += (
            Recording(name=f"route:streamgap_held_clients:count_{name}", expr=held_count(window)),
            Recording(name=f"route:streamgap_held_clients:share_{name}", expr=held_share(window)),
            Recording(name=f"route:streamgap_wide_gaps:count_{name}", expr=f"{every} - {narrow}"),
            Recording(name=f"route:streamgap_wide_gaps:share_{name}", expr=f"1 - {narrow} / {every}"),
        )
    return tuple(made)


def alerts(profile: Profile) -> tuple[Alert, ...]:
    """Return every alert, pages first."""
    return (
        _path_holding(profile),
        _probe_held(profile),
        _reports_silent(profile),
        _metrics_absent(profile),
        _gap_wide(profile),
        _double_generation(profile),
        _unheard_tokens(profile),
        _probe_failing(profile),
        _residual(profile),
        _watchdog(),
    )


def _path_holding(profile: Profile) -> Alert:
    fast, med, recent = duration(profile.fast_s), duration(profile.med_s), duration(profile.recent_s)
    return Alert(
        name="StreamgapPathHolding",
        severity="page",
        expr=(
            f"(route:streamgap_held_clients:share_fast > {HELD_SHARE_FAST}"
            f" and route:streamgap_held_clients:count_fast {at_least(HELD_LEAST_FAST)})\n"
            f"or (route:streamgap_held_clients:share_med > {HELD_SHARE_MED}"
            f" and route:streamgap_held_clients:count_med {at_least(HELD_LEAST_MED)}"
            f" and {held_count(recent)} {at_least(1)})"
        ),
        summary=f"Answers on {_ROUTE} are held between server and browser",
        description=(
            f"More than {HELD_SHARE_FAST:.0%} of people in {fast} (at least {HELD_LEAST_FAST}), or more than"
            f" {HELD_SHARE_MED:.0%} in {med} (at least {HELD_LEAST_MED}, one of them in the last {recent}), got an"
            f" answer whose bytes waited on the path. The app wrote them in time. {_held_by(med)}"
        ),
        keep_firing_s=profile.keep_firing_s,
        panel="People held back",
    )


def _held_by(window: str) -> str:
    """Return the sentence that ranks the mechanisms of the alert's route.

    Prometheus asks for them while it writes the text. Grafana knows `query`, and it never finds anything: `else` is
    for it. (`range` without variables: its provisioning expands every dollar sign.)
    """
    held = summed(increase(catalog.HELD, window, "route=%q"), "mechanism")
    return (
        f"{{{{- with query (printf `sort_desc({held} {at_least(1)})` .Labels.route) }}}} Held in {window}, likely by:"
        '{{- range . }} {{ label "mechanism" . }} ({{ value . | printf "%.0f" }}){{- end }}.'
        f'{{{{- else }}}} The panel "{HELD_BY_PANEL}" ranks the likely mechanisms.{{{{- end }}}}'
    )


def _probe_held(profile: Profile) -> Alert:
    of = ("route", "mechanism")
    recent = greatest(series(catalog.PROBE_RECENT_HELD), "route")
    return Alert(
        name="StreamgapProbeHeld",
        severity="page",
        # Counted in runs and not in minutes: how often the canary probes is the operator's choice.
        expr=(f"{greatest(series(catalog.PROBE_HELD), *of)} == 1\nand on (route) {recent} >= {PROBES_HELD_LEAST}"),
        summary=f"Probes of {_ROUTE} are held: {_MECHANISM}",
        description=(
            f"{PROBES_HELD_LEAST} of the last {PROBE_RECENT_RUNS} runs of the canary were held, each seen twice"
            " at once. The app wrote the events in time, and no model is involved."
        ),
        keep_firing_s=profile.keep_firing_s,
        panel="Probe runs held",
    )


def _reports_silent(profile: Profile) -> Alert:
    window = duration(profile.recent_s)
    server, client = (
        summed(increase(catalog.ACCEPTED, window, matcher("half", half))) for half in ("server", "client")
    )
    return Alert(
        name="StreamgapReportsSilent",
        severity="page",
        expr=f"{server} {at_least(SILENT_LEAST)}\nunless {client} > 0",
        summary="Streams finish, but no browser reports",
        description=(
            f"The app servers reported at least {SILENT_LEAST} streams in {window} and not one browser report was"
            " accepted: whether answers reach people is unknown."
        ),
        for_s=profile.silent_for_s,
        panel="Streams joined",
    )


def _metrics_absent(profile: Profile) -> Alert:
    return Alert(
        name="StreamgapMetricsAbsent",
        severity="page",
        expr=f"absent({series(catalog.BUILD_INFO)})",
        summary="No collector is being scraped",
        description="Prometheus has no metrics of any collector: every other alert of streamgap is blind.",
        for_s=profile.absent_for_s,
    )


def _gap_wide(profile: Profile) -> Alert:
    fast, med = duration(profile.fast_s), duration(profile.med_s)
    return Alert(
        name="StreamgapGapWide",
        severity="ticket",
        expr=(
            f"route:streamgap_wide_gaps:share_med > {WIDE_SHARE}\n"
            f"and route:streamgap_wide_gaps:share_fast > {WIDE_SHARE}\n"
            f"and route:streamgap_wide_gaps:count_med {at_least(WIDE_LEAST)}"
        ),
        summary=f"First chunks on {_ROUTE} reach the browser late",
        description=(
            f"More than {WIDE_SHARE:.0%} of joined streams had a gap above {WIDE_GAP_S:g} s, in {med} (at least"
            f" {WIDE_LEAST}) and in {fast} alike."
        ),
        for_s=profile.ticket_for_s,
        keep_firing_s=profile.keep_firing_s,
        panel="Gap, p95",
    )


def _double_generation(profile: Profile) -> Alert:
    window = duration(profile.med_s)
    extra = _calls((GenerationResult.RESTARTED, GenerationResult.BYPASSED), window)
    return Alert(
        name="StreamgapDoubleGeneration",
        severity="ticket",
        expr=f"{calls_per_key(window)} > {CALLS_PER_KEY}\nand {extra} {at_least(EXTRA_CALLS_LEAST)}",
        summary=f"Answers on {_ROUTE} are generated more than once",
        description=(
            f"In {window} the model was called more than {CALLS_PER_KEY} times per distinct key, and at least"
            f" {EXTRA_CALLS_LEAST} times beyond one each: answers are made again, and paid for again."
        ),
        for_s=profile.ticket_for_s,
        keep_firing_s=profile.keep_firing_s,
        panel="Model calls per distinct key",
    )


def _unheard_tokens(profile: Profile) -> Alert:
    window = duration(profile.med_s)
    unheard = summed(increase(catalog.TOKENS, window, matcher("fate", Fate.UNHEARD)), "route")
    return Alert(
        name="StreamgapUnheardTokens",
        severity="ticket",
        expr=(
            f"{unheard} / {summed(increase(catalog.TOKENS, window), 'route')} > {UNHEARD_SHARE}\n"
            f"and {unheard} {at_least(UNHEARD_LEAST)}"
        ),
        summary=f"The model writes to nobody on {_ROUTE}",
        description=(
            f"More than {UNHEARD_SHARE:.0%} of the output tokens in {window} (at least {UNHEARD_LEAST}) were generated"
            " after everybody had left."
        ),
        for_s=profile.ticket_for_s,
        keep_firing_s=profile.keep_firing_s,
        panel="Tokens by fate",
    )


def _probe_failing(profile: Profile) -> Alert:
    window, before = duration(profile.recent_s), duration(profile.med_s)
    decided = increase(catalog.PROBE_RUNS, window, any_of("result", ProbeResult.FLOWING, ProbeResult.HELD))
    known = f"present_over_time({series(catalog.PROBE_RUNS)}[{before}])"
    return Alert(
        name="StreamgapProbeFailing",
        severity="ticket",
        expr=f"{summed(known, 'route')}\nunless {summed(decided, 'route')} > 0",
        summary=f"Probes of {_ROUTE} come to no result",
        description=(
            f"A canary probed this route within {before}, and for {window} no run found it flowing or held: no stream"
            " comes, the evidence decides nothing, or the canary is gone."
        ),
        for_s=profile.ticket_for_s,
        panel="Probe runs by result",
    )


def _residual(profile: Profile) -> Alert:
    return Alert(
        name="StreamgapResidual",
        severity="ticket",
        expr=f"{series(catalog.RESIDUAL)} != 0",
        summary="The collector lost {{ .Labels.half }} halves without counting them",
        description="Received, accepted, rejected, joined and pending halves do not add up: a defect of the collector.",
        for_s=profile.ticket_for_s,
        panel="Residual",
    )


def _watchdog() -> Alert:
    return Alert(
        name="StreamgapWatchdog",
        severity="none",
        expr="vector(1)",
        summary="Always firing: its absence means that rules or notifications do not work",
        description="Send this to a dead man's switch that raises the alarm when it stops coming.",
    )
