"""The demo runs everything, tells the paths apart, and ends cleanly."""

import json
import re
import signal
import subprocess
import sys

import pytest

from streamgap.demo.paths import EXPECTED, DemoPath

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "streamgap", "demo"]
STREAMS = 4


def test_once_tells_every_broken_path_from_the_healthy_one() -> None:
    """Headless Chromium goes along every path; the one JSON document on stdout has each path's verdict; exit 0."""
    command = [*DEMO, "--once", "--json", "--streams", str(STREAMS)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    paths = json.loads(run.stdout)["paths"]
    assert set(paths) == set(DemoPath)
    for path, said in paths.items():
        assert said["streams"] == said["joined"] == STREAMS
        assert max(said["verdicts"], key=said["verdicts"].get) == EXPECTED[path]
    assert paths["hold_all"]["hold_p50_s"] > 1.0 > paths["healthy"]["hold_p50_s"]


def test_an_interrupt_ends_it_cleanly() -> None:
    """The demo prints where to look, and Ctrl-C ends it with status 0 and nothing on stderr."""
    demo = subprocess.Popen(
        [*DEMO, "--port", "0", "--no-pager"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    line = ""
    while not re.search(r"Demo page +http://127\.0\.0\.1:\d+/", line):
        line = demo.stdout.readline()
        assert line, "the demo ended before it said where its page is"
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=30)
    assert (demo.returncode, errors) == (0, "")
