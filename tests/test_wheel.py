"""The built wheel works in an empty environment: light for an app server, whole for the collector."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import httpx2
import pytest

from streamgap.demo.processes import free_port

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

LIGHT = """
import sys
from streamgap import StreamGapMiddleware, observe, sse_event
assert list(observe(["a", "b"])) == ["a", "b"]
assert sse_event({"t": "x"}) == b'data: {"t":"x"}\\n\\n'
heavy = {"fastapi", "uvicorn", "prometheus_client", "google.genai", "opentelemetry.sdk"} & set(sys.modules)
assert not heavy, heavy
"""
SHIPPED = """
from streamgap.shipped import read_bytes
for name in ("beacon_js/beacon.iife.js", "dashboards/streamgap.json", "alerts/prometheus/streamgap.rules.yml"):
    assert read_bytes(name), name
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def environment(directory: Path, requirement: str) -> Path:
    """Make an empty virtual environment with `requirement` in it; returns its bin directory."""
    venv.create(directory, with_pip=True)
    programs = directory / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", requirement], check=True, capture_output=True)
    return programs


def test_an_app_server_gets_the_light_half(wheel: Path, tmp_path: Path) -> None:
    """Without extras the instrumentation imports and works, pulls in no server, and the CLI says what to install."""
    programs = environment(tmp_path / "light", str(wheel))
    subprocess.run([programs / "python", "-c", LIGHT], check=True)
    said = subprocess.run([programs / "streamgap", "serve"], check=False, capture_output=True, text=True)
    assert said.returncode == 2
    assert "pip install 'streamgap[collector]'" in said.stderr


def test_the_collector_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """With the collector extra `streamgap serve` runs and serves the shipped beacon, and rules and dashboards print."""
    programs = environment(tmp_path / "whole", f"{wheel}[collector]")
    subprocess.run([programs / "python", "-c", SHIPPED], check=True)
    for command in ("rules", "dashboards"):
        assert subprocess.run([programs / "streamgap", command], check=True, capture_output=True).stdout
    public, admin = free_port(), free_port()
    binds = ["--bind", f"127.0.0.1:{public}", "--admin-bind", f"127.0.0.1:{admin}"]
    server = subprocess.Popen([programs / "streamgap", "serve", *binds], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = next(line for line in server.stderr if "integrity" in line)
        assert "createBeacon" in httpx2.get(json.loads(said)["url"]).text
        assert httpx2.get(f"http://127.0.0.1:{admin}/healthz").text == "ok\n"
    finally:
        server.terminate()
    assert server.wait(20) == 0
    server.stderr.close()
