"""What the dashboard shows: the first row answers "is it flowing?", the others say since when, where and whose."""

from collections.abc import Mapping

from streamgap.alerting.panels import Panel, Query, Row
from streamgap.alerting.profile import PRODUCTION
from streamgap.alerting.promql import greatest, increase, quantile, rate, series, summed
from streamgap.alerting.render import duration
from streamgap.alerting.spec import (
    CALLS_PER_KEY,
    HELD_BY_PANEL,
    HELD_SHARE_FAST,
    PROBES_HELD_LEAST,
    WIDE_GAP_S,
    calls_per_key,
    held_share,
)
from streamgap.core import catalog
from streamgap.core.catalog import Metric
from streamgap.core.words import PROBE_RECENT_RUNS, Fate, ProbeResult, Verdict

_ROUTE = 'route=~"$route"'
_STEP = "$__rate_interval"
_FAST = duration(PRODUCTION.fast_s)
_MED = duration(PRODUCTION.med_s)
_JOINED_SHARE_LEAST = 0.5
_VERDICT_COLORS: Mapping[str, str] = {
    Verdict.HELD: "red",
    Verdict.CUT: "dark-red",
    Verdict.SLOW_PAGE: "orange",
    Verdict.SLOW_APP: "yellow",
    Verdict.SLOW_MODEL: "purple",
    Verdict.ABANDONED: "blue",
    Verdict.INCOMPLETE: "text",
    Verdict.FLOWING: "green",
}
_RESULT_COLORS: Mapping[str, str] = {
    ProbeResult.HELD: "red",
    ProbeResult.FAILED: "dark-red",
    ProbeResult.DOUBTFUL: "yellow",
    ProbeResult.FLOWING: "green",
}


def _p95(metric: Metric, window: str = _STEP, *, by: tuple[str, ...] = ()) -> str:
    return quantile(0.95, metric, window, _ROUTE, by=by)


def _both_ttfc(window: str) -> tuple[Query, Query]:
    return (
        Query(expr=_p95(catalog.SERVER_TTFC, window), legend="server"),
        Query(expr=_p95(catalog.CLIENT_TTFC, window), legend="client"),
    )


def _verdict_share() -> str:
    streams = rate(catalog.STREAMS, _STEP, _ROUTE)
    return f"{summed(streams, 'verdict')} / ignoring (verdict) group_left () {summed(streams)}"


def _joined_share() -> str:
    joined, finished = (summed(increase(metric, _FAST, _ROUTE)) for metric in (catalog.STREAMS, catalog.SERVER_STREAMS))
    # A stream may join a minute after it was counted as finished, so a window can hold more joins than ends.
    return f"clamp_max({joined} / {finished}, 1)"


def _mean_per_stage() -> str:
    seconds = summed(rate(catalog.STAGE, _STEP, _ROUTE, part="_sum"), "stage")
    return f"{seconds} / {summed(rate(catalog.STAGE, _STEP, _ROUTE, part='_count'), 'stage')}"


ANSWER = Row(
    title="Is it flowing?",
    panels=(
        Panel(
            title="People held now",
            description=f"Share of people whose worst answer of the last {_FAST} was held. Red: the page's limit.",
            queries=(Query(expr=held_share(_FAST, _ROUTE, by=()), legend="held"),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=5,
            limit=HELD_SHARE_FAST,
        ),
        Panel(
            title="Gap p95 now",
            description=f"Client TTFC − server TTFC, last {_FAST}: what the path adds. Red: the ticket's limit.",
            queries=(Query(expr=_p95(catalog.GAP, _FAST), legend="gap"),),
            kind="stat",
            width=4,
            height=5,
            limit=WIDE_GAP_S,
        ),
        Panel(
            title="First chunk p95 now",
            description=f"Time to first chunk with content, last {_FAST}, as the server and as the browser saw it.",
            queries=_both_ttfc(_FAST),
            kind="stat",
            width=6,
            height=5,
        ),
        Panel(
            title="Streams joined",
            description=f"Share of finished streams, last {_FAST}, whose browser reported. No panel shows the rest.",
            queries=(Query(expr=_joined_share(), legend="joined"),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=5,
            limit=_JOINED_SHARE_LEAST,
            good="above",
            maximum=1,
        ),
        Panel(
            title="Verdicts in view",
            description="Joined streams by verdict over the time range of the dashboard.",
            queries=(
                Query(
                    expr=summed(increase(catalog.STREAMS, "$__range", _ROUTE), "verdict"),
                    legend="{{verdict}}",
                    instant=True,
                ),
            ),
            unit="short",
            kind="bargauge",
            width=6,
            height=5,
            colors=_VERDICT_COLORS,
        ),
    ),
)

PATH = Row(
    title="The path",
    panels=(
        Panel(
            title="Gap, p95",
            description="Client TTFC − server TTFC by route. Dots open the stream's trace. Dashed: the ticket's limit.",
            queries=(Query(expr=_p95(catalog.GAP, by=("route",)), exemplars=True),),
            limit=WIDE_GAP_S,
        ),
        Panel(
            title="People held back",
            description=f"Share of people whose worst answer was held, by route and {_FAST}. Dashed: the page's limit.",
            queries=(Query(expr=held_share(_FAST, _ROUTE)),),
            unit="percentunit",
            limit=HELD_SHARE_FAST,
        ),
        Panel(
            title="Verdict share",
            description="Joined streams by verdict, as a share of all.",
            queries=(Query(expr=_verdict_share(), legend="{{verdict}}"),),
            unit="percentunit",
            width=8,
            stacked=True,
            maximum=1,
            colors=_VERDICT_COLORS,
        ),
        Panel(
            title=HELD_BY_PANEL,
            description="Streams judged held, by what their halves say held them; docs/codes tells what each means.",
            queries=(Query(expr=summed(increase(catalog.HELD, _STEP, _ROUTE), "mechanism"), legend="{{mechanism}}"),),
            unit="short",
            width=8,
            stacked=True,
        ),
        Panel(
            title="Hold",
            description="How long the path kept bytes, in streams per bucket. A second, higher band is a buffer.",
            queries=(Query(expr=summed(increase(catalog.HOLD, _STEP, _ROUTE, part="_bucket"), "le"), legend="{{le}}"),),
            unit="short",
            width=8,
            kind="heatmap",
        ),
    ),
)

BOTH_SIDES = Row(
    title="Both sides",
    panels=(
        Panel(
            title="Time to first chunk, p95",
            description="First chunk with content. Client far above server: the path. Both high: app or model.",
            queries=_both_ttfc(_STEP),
        ),
        Panel(
            title="Where the first chunk's time went",
            description="Mean per stage: app, model and path make up the client's TTFC, page follows it.",
            queries=(Query(expr=_mean_per_stage(), legend="{{stage}}"),),
            stacked=True,
        ),
        Panel(
            title="Chunk gap, p95",
            description="Time between consecutive chunks, every gap of every joined stream.",
            queries=(Query(expr=_p95(catalog.CHUNK_GAP, by=("side",)), legend="{{side}}"),),
        ),
        Panel(
            title="Longest chunk gap of a stream, p95",
            description="The longest pause of each stream. Client above server: chunks are let through in blocks.",
            queries=(Query(expr=_p95(catalog.LONGEST_CHUNK_GAP, by=("side",)), legend="{{side}}"),),
        ),
    ),
)

COST = Row(
    title="Cost of reconnects",
    panels=(
        Panel(
            title="Generations by result",
            description="Requests to the relay. Started, restarted and bypassed called the model, the others did not.",
            queries=(Query(expr=summed(rate(catalog.GENERATIONS, _STEP, _ROUTE), "result"), legend="{{result}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Model calls per distinct key",
            description=f"Started, restarted and bypassed ÷ started, last {_MED}: 1 is right. Dashed: the ticket's.",
            queries=(Query(expr=calls_per_key(_MED, _ROUTE)),),
            unit="short",
            limit=CALLS_PER_KEY,
        ),
        Panel(
            title="Tokens by fate",
            description="Output tokens of ended generations per second: heard by somebody, or written to nobody.",
            queries=(Query(expr=summed(rate(catalog.TOKENS, _STEP, _ROUTE), "fate"), legend="{{fate}}"),),
            unit="short",
            width=8,
            stacked=True,
            colors={Fate.DELIVERED: "green", Fate.UNHEARD: "red"},
        ),
        Panel(
            title="Reconnects by cause",
            description="Clients that came again: with their place (resume), as before (repeat), on purpose (retry).",
            queries=(Query(expr=summed(rate(catalog.RECONNECTS, _STEP, _ROUTE), "cause"), legend="{{cause}}"),),
            unit="reqps",
            width=8,
        ),
        Panel(
            title="Disconnects by how",
            description="Clients that left early: closed, reset, vanished, or too slow. Many resets: look at the path.",
            queries=(Query(expr=summed(rate(catalog.DISCONNECTS, _STEP, _ROUTE), "how"), legend="{{how}}"),),
            unit="reqps",
            width=8,
        ),
    ),
)

DATA_QUALITY = Row(
    title="Data quality",
    panels=(
        Panel(
            title="Reports rejected",
            description="Halves refused per second, by reason. `origin` or `schema` after a deploy: the beacon.",
            queries=(
                Query(
                    expr=f"{summed(rate(catalog.REJECTED, _STEP), 'half', 'reason')} > 0", legend="{{half}} {{reason}}"
                ),
                Query(
                    expr=f"{summed(rate(catalog.GENERATION_RECORDS_REJECTED, _STEP))} > 0", legend="generation schema"
                ),
            ),
            unit="reqps",
            width=8,
        ),
        Panel(
            title="Halves unmatched",
            description="Accepted halves per second whose other half never came, by reason.",
            queries=(
                Query(expr=summed(rate(catalog.UNMATCHED, _STEP), "half", "reason"), legend="{{half}} {{reason}}"),
            ),
            unit="reqps",
            width=8,
        ),
        Panel(
            title="Residual",
            description="Halves that were lost uncounted. Anything but 0 is a defect of the collector.",
            queries=(Query(expr=series(catalog.RESIDUAL), legend="{{instance}} {{half}}"),),
            unit="short",
            width=8,
            minimum=None,
        ),
    ),
)

PROBES = Row(
    title="Probes",
    panels=(
        Panel(
            title="Probe runs by result",
            description=f"The canary's runs of the last {_FAST}. Failed: no stream came. Doubtful: no decision.",
            queries=(Query(expr=summed(increase(catalog.PROBE_RUNS, _FAST, _ROUTE), "result"), legend="{{result}}"),),
            unit="short",
            width=8,
            stacked=True,
            colors=_RESULT_COLORS,
        ),
        Panel(
            title="Probe runs held",
            description=f"How many of the last {PROBE_RECENT_RUNS} runs were held. Dashed: the page's limit.",
            queries=(Query(expr=greatest(series(catalog.PROBE_RECENT_HELD, _ROUTE), "route")),),
            unit="short",
            width=8,
            limit=PROBES_HELD_LEAST,
            maximum=PROBE_RECENT_RUNS,
        ),
        Panel(
            title="Mechanism of held probes",
            description="By what the last run was held; docs/codes tells what each means.",
            queries=(
                Query(
                    expr=f"{greatest(series(catalog.PROBE_HELD, _ROUTE), 'route', 'mechanism')} > 0",
                    legend="{{route}} {{mechanism}}",
                ),
            ),
            unit="short",
            width=8,
            maximum=1,
        ),
        Panel(
            title="Probe hold",
            description="How long the path kept bytes of the last probe, by the client's protocol.",
            queries=(
                Query(
                    expr=greatest(series(catalog.PROBE_HOLD, _ROUTE), "route", "protocol"),
                    legend="{{route}} {{protocol}}",
                ),
            ),
        ),
        Panel(
            title="Probe headers and first event",
            description="Last probe sent until headers and first event. The drip waits 300 ms before its first event.",
            queries=(
                Query(
                    expr=greatest(series(catalog.PROBE_HEAD, _ROUTE), "route", "protocol"),
                    legend="{{route}} {{protocol}} headers",
                ),
                Query(
                    expr=greatest(series(catalog.PROBE_TTFC, _ROUTE), "route", "protocol"),
                    legend="{{route}} {{protocol}} first event",
                ),
            ),
        ),
    ),
)

ROWS = (ANSWER, PATH, BOTH_SIDES, PROBES, COST, DATA_QUALITY)
