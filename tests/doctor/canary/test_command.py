"""The command as it is used: for ever until a signal, or once as a gate."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest

from doctor.canary.stage import COMMAND, canary, edge, until
from instrument.lab import HOST, serving
from streamgap.demo.processes import free_port
from streamgap.doctor import Drip
from streamgap.doctor.canary.command import main

pytestmark = pytest.mark.slow


async def run(*words: str) -> int:
    """Run the command beside the servers of the test's own loop."""
    return await asyncio.to_thread(main, words)


async def test_once_over_a_path_that_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every way flows: a line for the route, and 0."""
    async with edge(tmp_path) as path:
        status = await run("--once", "--insecure", "--route", f"/chat={path.url}")
    assert (status, capsys.readouterr().out) == (0, "flowing   /chat  SG100 the stream flows\n")


async def test_once_over_a_path_that_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mechanism, its code, the evidence and a suspect are told, and 1, whatever the other routes do."""
    async with edge(tmp_path, buffering="on") as path:
        direct = f"direct=http://{HOST}:{path.upstream}/"
        status = await run("--once", "--insecure", "--json", "--route", f"/chat={path.url}", "--route", direct)
    routes = {route["route"]: route for route in json.loads(capsys.readouterr().out)["routes"]}
    assert status == 1
    assert routes["direct"]["result"] == "flowing"
    held = routes["/chat"]
    assert (held["result"], held["mechanism"], held["code"]) in (
        ("held", "blocks", "SG103"),
        ("held", "whole_response", "SG101"),
    )
    assert held["evidence"]
    assert "nginx" in held["suspect"]


async def test_once_where_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens: what was expected and what was got, and 3."""
    assert await run("--once", f"http://{HOST}:{free_port()}/drip") == 3
    out = capsys.readouterr().out
    assert out.startswith("failed ")
    assert "failure: " in out


async def test_once_with_a_wrong_token(capsys: pytest.CaptureFixture[str]) -> None:
    """A drip that wants another token is a failure; with the right one it flows."""
    async with serving(Drip(token="right")) as port:
        assert await run("--once", f"http://{HOST}:{port}/") == 3
        assert await run("--once", "--token", "right", f"http://{HOST}:{port}/") == 0
    assert "right" not in capsys.readouterr().out


async def test_an_address_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the option and the address, and the command ends with 2."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert await run("--bind", f"{HOST}:{port}", f"http://{HOST}:1/") == 2
    assert f"--bind: expected a free address, got {HOST}:{port}" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """It probes, it counts, and a signal in the middle of a run ends it with 0."""
    async with serving(Drip()) as port, canary(tmp_path, "--every", "1", f"http://{HOST}:{port}/") as watcher:
        route = f"{HOST}:{port}/"

        async def has_run() -> bool:
            return bool(await watcher.metric(f'streamgap_probe_runs_total{{result="flowing",route="{route}"}}'))

        await until(has_run, "a run that flows")
        watcher.process.send_signal(number)
        assert await asyncio.wait_for(watcher.process.wait(), 10) == 0
    assert [line["event"] for line in watcher.lines()] == ["listening", "flowing", "stopped"]


async def test_it_runs_as_a_module() -> None:
    """Usage is told, and nothing is asked, without a URL."""
    process = await asyncio.create_subprocess_exec(*COMMAND, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"expected a URL or --route NAME=URL, got none" in said
