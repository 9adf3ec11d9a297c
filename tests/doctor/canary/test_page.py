"""A path begins to hold where nobody looks: the canary sees it, the real Prometheus pages, and it ends when healed."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doctor.canary.stage import Canary, canary, edge, until
from instrument.lab import HOST
from streamgap.alerting import alertmanager_config
from streamgap.alerting.profile import Profile
from streamgap.demo.pager import pager_programs, run_pager
from streamgap.demo.processes import free_port, running

pytestmark = pytest.mark.slow

# A second stands for a minute; the page is not kept for a quarter of one, for the test waits for its end.
PROFILE = replace(Profile.compressed(60), keep_firing_s=2.0)
# A TLS record of 16 KiB is a block where the stream is longer than a few of them.
FULL_RECORD = {"blocks", "whole_response"}
HELD, TICKET = "StreamgapProbeHeld", "StreamgapProbeFailing"


def programs() -> tuple[str, str]:
    found = pager_programs()
    assert found, "expected prometheus and prometheus-alertmanager; install the Debian packages of these names"
    return found


class Prometheus:
    """What a running Prometheus says of the canary's alerts."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def firing(self, name: str) -> list[dict[str, str]]:
        """Return the labels of each alert of that name that fires."""
        alerts = (await self._http.get(f"{self._url}/api/v1/alerts")).json()["data"]["alerts"]
        return [a["labels"] for a in alerts if a["state"] == "firing" and a["labels"]["alertname"] == name]


async def test_a_path_that_begins_to_hold_pages_and_healing_ends_it(tmp_path: Path) -> None:
    """The running nginx gets buffering: three held runs page with the mechanism; without it again, it resolves."""
    async with (
        edge(tmp_path, h2=False) as path,  # one way less to ask makes the three runs shorter
        canary(tmp_path, "--every", "1", "--insecure", "--route", f"/chat={path.url}") as watcher,
        run_pager(
            programs(),
            target=f"{HOST}:{watcher.port}",
            webhook_url=f"http://{HOST}:9/",
            profile=PROFILE,
            directory=tmp_path,
        ) as pager,
    ):
        prometheus = Prometheus(pager.prometheus_url, watcher.http)
        await until(lambda: ran(watcher, "flowing"), "a run that flows")
        path.reload(buffering="on")
        labels, *_ = await until(lambda: prometheus.firing(HELD), "the page")
        assert (labels["route"], labels["severity"]) == ("/chat", "page")
        assert labels["mechanism"] in FULL_RECORD
        path.reload(buffering="off")

        async def is_over() -> bool:
            return not await prometheus.firing(HELD)

        await until(is_over, "the end of the page")
        assert not await prometheus.firing(TICKET)
    changes = [line for line in watcher.lines() if line.get("was") != line["event"] and "route" in line]
    assert [line["event"] for line in changes] == ["flowing", "held", "flowing"]
    assert changes[1]["mechanism"] in FULL_RECORD
    assert "nginx" in changes[1]["suspect"]


async def ran(watcher: Canary, result: str) -> bool:
    return bool(await watcher.metric(f'streamgap_probe_runs_total{{result="{result}",route="/chat"}}'))


async def test_the_peoples_page_silences_the_canarys(tmp_path: Path) -> None:
    """A real Alertmanager keeps the canary's page back where people page for the same route, and nowhere else."""
    port = free_port()
    config = tmp_path / "alertmanager.yml"
    config.write_text(alertmanager_config(PROFILE, f"http://{HOST}:9/"), encoding="utf-8")
    command = [programs()[1], f"--config.file={config}", f"--storage.path={tmp_path / 'store'}"]
    command += [f"--web.listen-address={HOST}:{port}", "--cluster.listen-address="]
    url = f"http://{HOST}:{port}/api/v2/alerts"
    sent = [alert("StreamgapPathHolding", "/chat"), alert(HELD, "/chat"), alert(HELD, "/search")]
    async with running(command, log=tmp_path / "alertmanager.log"), httpx2.AsyncClient(timeout=5) as http:

        async def accepted() -> bool:
            return (await http.post(url, json=sent)).is_success

        async def inhibited() -> list[dict[str, Any]] | None:
            alerts = json.loads((await http.get(url)).text)
            return [a["labels"] for a in alerts if a["status"]["inhibitedBy"]] if len(alerts) == len(sent) else None

        await until(accepted, "Alertmanager")
        (labels,) = await until(inhibited, "an inhibition")
    assert (labels["alertname"], labels["route"]) == (HELD, "/chat")


def alert(name: str, route: str) -> dict[str, Any]:
    labels = {"alertname": name, "route": route, "service": "streamgap", "severity": "page"}
    return {"labels": labels, "startsAt": datetime.now(UTC).isoformat()}
