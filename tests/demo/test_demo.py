"""The demo runs everything, tells the paths apart, and ends cleanly."""

import contextlib
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
from playwright.async_api import Page, async_playwright

from e2e.conftest import CHROMIUM, CHROMIUM_FLAGS
from streamgap.demo.paths import DRIPS, EXPECTED, HELD_BY, DemoPath
from streamgap.demo.script import ANSWER

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "streamgap", "demo"]
STREAMS = 4


def test_once_tells_every_broken_path_from_the_healthy_one() -> None:
    """Headless Chromium goes along every path; the one JSON document has each path's verdict and mechanism; exit 0."""
    command = [*DEMO, "--once", "--json", "--streams", str(STREAMS)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    paths = json.loads(run.stdout)["paths"]
    assert set(paths) == set(DemoPath)
    for path, said in paths.items():
        assert said["streams"] == said["joined"] == STREAMS
        assert max(said["verdicts"], key=said["verdicts"].get) == EXPECTED[path]
        assert max(said["mechanisms"], key=said["mechanisms"].get, default=None) == HELD_BY.get(path)
    assert paths["hold_all"]["hold_p50_s"] > 1.0 > paths["healthy"]["hold_p50_s"]


@contextlib.contextmanager
def demo_on_stage() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the demo without its pager; yield the page's URL and the process, which is killed if it is still there."""
    with subprocess.Popen(
        [*DEMO, "--port", "0", "--no-pager"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            line = ""
            while not (found := re.search(r"Demo page +(http://127\.0\.0\.1:\d+/)", line)):
                line = demo.stdout.readline()
                assert line, "the demo ended before it said where its page is"
            yield found[1], demo
        finally:
            demo.kill()


def test_an_interrupt_ends_it_cleanly() -> None:
    """The demo prints where to look, and Ctrl-C ends it with status 0 and nothing on stderr."""
    with demo_on_stage() as (_, demo):
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=30)
    assert (demo.returncode, errors) == (0, "")


def test_a_drip_drips_along_every_path_and_behind_it() -> None:
    """The line that the demo prints names two URLs of one drip; every path has both, and all events come."""
    with demo_on_stage() as (url, demo):
        assert demo.stdout is not None
        line = next(line for line in demo.stdout if "streamgap doctor" in line)
        found = re.search(rf"doctor --via app=(http://\S+)({DRIPS[DemoPath.BLOCKS]}) (http://\S+)\2$", line.strip())
        assert found
        assert found[3] + "/" == url
        with httpx2.Client(timeout=30) as client:
            for place, path in itertools.product((found[1], found[3]), DRIPS.values()):
                answer = client.get(place + path, params={"segments": "3x100@5"})
                assert (answer.status_code, re.findall(r"(?m)^id: (\d+)", answer.text)) == (200, ["0", "1", "2"])


async def storm(page: Page, way: str) -> tuple[int, int, list[str]]:
    """Press the button of one way, and return connections, model calls and what each reader shows at the end."""
    await page.click(f"#{way} button")
    await page.wait_for_selector(f"#{way} output:text-matches('of 5')", timeout=90_000)
    counts = [int(await page.inner_text(f"#{way} .{name}")) for name in ("connections", "calls")]
    return counts[0], counts[1], await page.locator("#readers pre").all_text_contents()


async def test_a_storm_is_one_call_with_the_relay_and_many_without() -> None:
    """With the relay all five panes end equal to the model's text for one call; without it no connection is free."""
    with demo_on_stage() as (url, _):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            page = await browser.new_page()
            await page.goto(url)
            relayed, plain = await storm(page, "relay"), await storm(page, "plain")
            await browser.close()
    connections, calls, texts = relayed
    assert connections > len(texts)
    assert (calls, texts) == (1, [ANSWER] * 5)
    connections, calls, texts = plain
    assert len(texts) < calls <= connections
    # Who was cut before the first chunk every time has nothing that could be repeated.
    assert any(text != ANSWER for text in texts)
    assert all(text.endswith(ANSWER) for text in texts)
