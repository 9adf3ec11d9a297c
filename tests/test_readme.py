"""Every block of the README is run as it stands, and those of docs/relay.md."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from e2e.conftest import CHROMIUM, CHROMIUM_FLAGS, until
from streamgap.demo.fake_gemini import FakeGemini, paced
from streamgap.demo.hoarder import Habits, Hoarder, Mode
from streamgap.demo.loopback import HOST
from streamgap.demo.processes import free_port, running

ROOT = Path(__file__).parents[1]
TEXT = "Two clocks that never meet.\n\nevent: done\n"
pytestmark = pytest.mark.slow


def blocks(language: str, page: str = "README.md") -> list[str]:
    """Return the code blocks in `language` of a page, by default of the README."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


# A page's app, and beside it the pages its other blocks are put into.
PAGES = """
from fastapi.responses import FileResponse, HTMLResponse
from page_app import app

@app.get("/html")
async def html() -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>readme</title><body>" + {html!r})

@app.get("/js")
async def js() -> HTMLResponse:
    importmap = '<script type="importmap">{{"imports": {{"@streamgap/beacon": "/index.js"}}}}</script>'
    script = "<script type=module>" + {js!r} + "</script>"
    return HTMLResponse("<!doctype html><title>readme</title><body>" + importmap + script)

@app.get("/index.js")
async def module() -> FileResponse:
    return FileResponse({module!r}, media_type="text/javascript")
"""


@contextlib.asynccontextmanager
async def serving(directory: Path, *, python: str, html: str, js: str) -> AsyncIterator[tuple[str, FakeGemini]]:
    """Run a page's Python block under uvicorn, with the fake where Gemini would be."""
    (directory / "page_app.py").write_text(python)
    module = str(ROOT / "beacon_js" / "dist" / "index.js")
    (directory / "pages.py").write_text(PAGES.format(html=html, js=js, module=module))
    port = free_port()
    with FakeGemini(paced(TEXT, first_s=0.1, every_s=0.02)) as fake:
        env = [f"GOOGLE_GEMINI_BASE_URL={fake.base_url}", "GEMINI_API_KEY=fake", f"PYTHONPATH={directory}"]
        server = ["env", *env, sys.executable, "-m", "uvicorn", "pages:app", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        async with running(server, log=directory / "app.log"), httpx2.AsyncClient() as http:

            async def up() -> bool:
                return (await http.get(f"{url}/html")).is_success

            await until(up, "the page's app")
            yield url, fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Run the README's first Python block, with its first page blocks."""
    (js,) = blocks("js")
    python, html = blocks("python")[0], blocks("html")[0]
    async with serving(tmp_path_factory.mktemp("readme"), python=python, html=html, js=js) as (url, _):
        yield url


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("page", ["html", "js"])
async def test_the_app_and_the_page_stream_and_join(app_url: str, page: str) -> None:
    """Python block and page block together: the answer arrives whole, and the collector joins the stream."""
    async with async_playwright() as playwright, httpx2.AsyncClient() as http:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        shown = await browser.new_page()
        errors: list[str] = []
        shown.on("pageerror", lambda error: errors.append(str(error)))
        before = await _joined(http, app_url)
        await shown.goto(f"{app_url}/{page}")
        expected = "never" if page == "js" else TEXT.split("\n", 1)[0]
        await shown.wait_for_function("text => document.body.textContent.includes(text)", arg=expected)

        async def joined() -> bool:
            return len(await _joined(http, app_url)) == len(before) + 1

        assert await until(joined, "the stream to be joined")
        await browser.close()
    assert errors == []


async def test_the_relay_of_the_readme_calls_the_model_once(tmp_path: Path) -> None:
    """The page that reads, and whoever asks again with its key, get the same answer for one call."""
    python, html = blocks("python")[1], blocks("html")[1]
    async with (
        serving(tmp_path, python=python, html=html, js="") as (url, fake),
        async_playwright() as playwright,
        httpx2.AsyncClient() as http,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = await browser.new_page()
        async with page.expect_request("**/chat*") as request:
            await page.goto(f"{url}/html")
        await page.wait_for_function("text => document.body.textContent.endsWith(text)", arg=TEXT)
        cid = httpx2.URL((await request.value).url).params["cid"]
        again = await http.get(f"{url}/streams/{cid}")
        await browser.close()
    assert text_of(again.text) == TEXT
    assert len(fake.calls) == 1


RUN = """
const output = document.body, prompt = "Hello";
const show = (end) => { document.title = end.status; };
"""
ASK = """
ask(prompt, { onText: (text) => output.append(text), onReset: () => output.replaceChildren() }).then(show);
"""


@pytest.mark.parametrize(("nth", "after", "method"), [(0, "", "get"), (1, ASK, "post")], ids=["eventsource", "fetch"])
async def test_the_clients_of_the_relay_page_survive_cuts(tmp_path: Path, nth: int, after: str, method: str) -> None:
    """Docs/relay.md's app and its clients, on a path that cuts them: the text is whole, and paid once."""
    (python,) = blocks("python", "docs/relay.md")
    if method == "get":
        python = python.replace("@app.post(", "@app.get(").replace("Annotated[str, Body(embed=True)]", "str")
    html = f"<script type=module>{RUN}{blocks('js', 'docs/relay.md')[nth]}{after}</script>"
    habits = Habits(cut_s=(0.05, 0.25), cuts=3)
    async with (
        serving(tmp_path, python=python, html=html, js="") as (url, fake),
        Hoarder(HOST, httpx2.URL(url).port or 0, prefixes={"/chat": Mode.CUT_OFTEN}, habits=habits) as proxy,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = await browser.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(f"http://{HOST}:{proxy.port}/html")
        await page.wait_for_function("document.title === 'done'")
        assert (
            await page.locator("body").evaluate("body => [...body.childNodes].slice(1).map(n => n.data).join('')")
            == TEXT
        )
        await browser.close()
    assert len([request for request in requests if "/chat" in request]) > 1
    assert len(fake.calls) == 1


def text_of(stream: str) -> str:
    """Return the text of the content events of a relayed stream."""
    return "".join(json.loads(data)["t"] for data in re.findall(r"data: (.*)\nid: \d+\.\d+\n", stream))


async def _joined(http: httpx2.AsyncClient, app_url: str) -> list[Any]:
    streams: list[Any] = (await http.get(f"{app_url}/internal/streamgap/live/snapshot")).json()["streams"]
    return streams


def test_the_make_commands_exist() -> None:
    """Each `make` line names a target that the Makefile can plan."""
    targets = re.findall(r"^make (\w+)", "".join(blocks("sh")), re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_rules_command_and_the_scrape_configuration_fit(tmp_path: Path) -> None:
    """The `streamgap rules` line writes what the Prometheus block names, and promtool accepts both."""
    (yaml,) = blocks("yaml")
    line = next(block for block in blocks("sh") if "rules" in block)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, env=env, check=True)
    (tmp_path / "prometheus.yml").write_text(yaml)
    subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, check=True, capture_output=True)


async def test_the_serve_command_serves(tmp_path: Path) -> None:
    """The `streamgap serve` line starts, says where it listens, and ends with 0 on SIGTERM."""
    line = next(block for block in blocks("sh") if "serve" in block)
    words = line.replace("0.0.0.0:8790", "127.0.0.1:0").split()
    command = [shutil.which("streamgap", path=str(Path(sys.executable).parent)) or words[0], *words[1:]]
    log = tmp_path / "serve.log"
    async with running([*command, "--admin-bind", "127.0.0.1:0"], log=log) as process:

        async def announced() -> bool:
            await asyncio.sleep(0)
            return "integrity" in log.read_text()

        await until(announced, "the collector to say where its script is")
        process.terminate()
        assert await process.wait() == 0, os.linesep + log.read_text()
