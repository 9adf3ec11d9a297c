"""Server CPU per beacon of the whole ingest endpoint, as a ratio to a raw uvicorn 204 and to an ordinary route.

Method: four servers (see ingest_apps.py), each its own uvicorn process with the same options, the first two also with
the lean options that `streamgap serve` uses. wrk sends beacons of 40 chunks over 32 keep-alive connections, one server
at a time, in random order, `ROUNDS` rounds of `SECONDS`. Before each of our rounds as many server halves are laid in as
beacons will come, so every beacon joins (the share is printed). CPU is the scheduler's account of the server process
over the round, divided by the requests it answered. Requests per second are for information only.
"""

import argparse
import json
import re
import subprocess
import tempfile
from contextlib import ExitStack

from ingest_apps import CHUNKS, offsets_ms
from rounds import interleaved, verdict
from servers import Server, serving
from streamgap.core.timeline import Timeline

ROUNDS = 9
SECONDS = 1
FIRST_RATE = 40_000
MARGIN = 1.5
CONNECTIONS = 32
LEAN = ["--no-proxy-headers", "--no-date-header", "--no-server-header"]
SERVERS = {
    "raw uvicorn 204": ["ingest_apps:raw"],
    "streamgap": ["--factory", "ingest_apps:ours"],
    "streamgap, OTel configured": ["--factory", "ingest_apps:ours_otel"],
    "FastAPI + pydantic + labels": ["--factory", "ingest_apps:ordinary"],
    "raw uvicorn 204, lean": ["ingest_apps:raw", *LEAN],
    "streamgap, lean": ["--factory", "ingest_apps:ours", *LEAN],
}
SCRIPT = """
local nth = {first}
local head, tail = {head}, {tail}
wrk.method = "POST"
wrk.headers["Content-Type"] = "{content_type}"
wrk.headers["Origin"] = "https://app.example"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0"
wrk.headers["Accept"] = "*/*"
wrk.headers["Accept-Language"] = "en"
request = function()
  local body = head .. string.format("%011d", nth) .. tail
  nth = nth + 1
  return wrk.format(nil, "/v1/beacon", nil, body)
end
"""


def beacon_halves() -> tuple[str, str]:
    """Return the JSON of a beacon before and after the number in its stream id."""
    timeline = Timeline()
    for at_ms in offsets_ms(640.0):
        timeline.arrive(1, at_ms)
    report = {
        "v": 1, "sid": "bench", "page": "benchmark", "n": 1, "final": True, "via": "fetch", "end": "done",
        "proto": "h2", "head": 12.1, "byte": 12.9, "paint": 655.0, "at": timeline.offsets.times_ms, "count": CHUNKS,
        "last": timeline.last_ms, "dur": timeline.last_ms, "longest": timeline.longest_gap_ms, "gaps": timeline.gaps,
        "status": 200,
    }  # fmt: skip
    head, tail = json.dumps(report, separators=(",", ":")).split('"bench"')
    return head + '"bench', '"' + tail


class Ingest:
    """One server that takes beacons in."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server
        self.sent = 0
        self.laid_in = 0
        self.rates: list[float] = []

    def round_us(self) -> float:
        """Send beacons for `SECONDS`; return the server's CPU µs per request."""
        if "streamgap" in self.name:
            # As many as the last round used, and some more: what is left over is used next.
            wanted = int(MARGIN * SECONDS * (self.rates[-1] if self.rates else FIRST_RATE)) - (self.laid_in - self.sent)
            self.server.get(f"/lay/{max(wanted, 0)}")
            self.laid_in += max(wanted, 0)
        head, tail = beacon_halves()
        # The ordinary route reads JSON only when it is called JSON; a real sendBeacon would get 422.
        kind = "application/json" if "FastAPI" in self.name else "text/plain"
        script = SCRIPT.format(first=self.sent, head=json.dumps(head), tail=json.dumps(tail), content_type=kind)
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write(script)
            file.flush()
            wrk = [
                "wrk",
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{SECONDS}s",
                "-s",
                file.name,
                f"http://127.0.0.1:{self.server.port}/",
            ]
            before = self.server.cpu_ns()
            said = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
            spent_ns = self.server.cpu_ns() - before
        if "Non-2xx" in said:
            raise SystemExit(f"{self.name}: expected 204 for every beacon, got\n{said}")
        found = re.search(r"(\d+) requests in", said)
        requests = int(found[1]) if found else 0
        # What was under way when wrk stopped was joined, too.
        self.sent += requests + CONNECTIONS
        self.rates.append(requests / SECONDS)
        return spent_ns / 1000 / max(requests, 1)


def main() -> None:
    """Print CPU per beacon and the ratios."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with ExitStack() as closing:
        servers = [Ingest(name, closing.enter_context(serving(options))) for name, options in SERVERS.items()]
        us = interleaved({server.name: server.round_us for server in servers}, rounds=ROUNDS)
        print(f"\nServer CPU per beacon of {CHUNKS} chunks ({len(''.join(beacon_halves())) + 11} bytes)")
        for server in servers:
            rate = sorted(server.rates)[len(server.rates) // 2]
            print(f"  {server.name:<30}{us[server.name]:8.1f} µs   {rate:8.0f}/s")
        for server in servers:
            if server.name == "streamgap":
                print(f"  joined: {int(server.server.get('/joined'))} of {int(sum(server.rates) * SECONDS)} beacons")
    raw, ours, ordinary = us["raw uvicorn 204"], us["streamgap"], us["FastAPI + pydantic + labels"]
    lean = us["raw uvicorn 204, lean"] / us["streamgap, lean"]
    otel = us["streamgap, OTel configured"]
    for label, ratio, aim in (
        ("raw / streamgap", raw / ours, 0.75),
        ("raw / streamgap, both lean", lean, 0.75),
        ("raw / streamgap, OTel configured", raw / otel, 0.75),
        ("ordinary / streamgap", ordinary / ours, 5.0),
        ("ordinary / streamgap, OTel configured", ordinary / otel, 5.0),
    ):
        print(f"  {label:<38}{ratio:6.2f}    {verdict(ratio, aim, at_most=False)}")


if __name__ == "__main__":
    main()
