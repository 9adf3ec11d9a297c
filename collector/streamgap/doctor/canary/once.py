"""`streamgap canary --once`: every way of every route, one time, for a person or a gate."""

import json
from collections.abc import Mapping, Sequence

from streamgap.core.hops import Hop
from streamgap.core.showing import shown
from streamgap.core.words import ProbeResult
from streamgap.doctor.canary.patrol import told
from streamgap.doctor.canary.watch import Run

UNDECIDED = 3


def exit_status(runs: Mapping[str, Run]) -> int:
    """Return 1 where a route is held, 3 where one could not be reached or decided, else 0."""
    results = {run.result for run in runs.values()}
    if ProbeResult.HELD in results:
        return 1
    return 0 if results == {ProbeResult.FLOWING} else UNDECIDED


def table(runs: Mapping[str, Run], *, hops: Sequence[Hop]) -> str:
    """Return a line per route, and what is known below each that does not flow."""
    return "".join(line for route, run in runs.items() for line in _lines(route, run, hops=hops))


def document(runs: Mapping[str, Run], *, hops: Sequence[Hop]) -> str:
    """Return everything as one line of JSON."""
    routes = [{"route": route, "result": run.result, **told(run, hops=hops)} for route, run in runs.items()]
    return json.dumps({"routes": routes}) + "\n"


def _lines(route: str, run: Run, *, hops: Sequence[Hop]) -> list[str]:
    code = run.finding.code
    lines = [f"{run.result:<9} {route}  {code.code} {code.title}\n"]
    if run.result is not ProbeResult.FLOWING:
        known = told(run, hops=hops)
        lines += [f"          {name}: {_quoted(known[name])}\n" for name in ("evidence", "failure") if known[name]]
        if known["suspect"]:
            lines.append(f"          suspect: {known['suspect']} ({known['suspect_confidence']:.0%})\n")
    return lines


def _quoted(said: str | float | None) -> str:
    """Show text that may quote a server, for a terminal."""
    return shown(str(said), at_most=400)[1:-1]
