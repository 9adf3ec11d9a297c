"""The relay end to end: browser → resetter → nginx → uvicorn → google-genai → a fake Gemini of its own."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import BrowserContext, Page

from e2e.conftest import HERE, PATIENCE_S, Stack, until
from e2e.nginx import RELAY_SCHEMES
from e2e.resetter import Resetter
from streamgap.demo.fake_gemini import Call, FakeGemini, GeminiRequest, Raw, Sleep, Step, Text, event
from streamgap.demo.processes import running

TORTURE = (
    "\ufeffcarriage\rreturn",
    "\r\n",
    "line\nfeed\n\n",
    "\n\nevent: done\ndata: [DONE]\n\n",
    "event: sg-end\r\rdata: {}\r\r",
    "id: 7.end\n\nretry: 0\n\n:\n\n",
    "\u2028\u2029\u0085\x0b\x0c\x1c",
    "nul \x00 bell \x07 bom \ufeff \x7f",
    "🚀 👩\u200d👩\u200d👧 ",
    "e\u0301 \u202eabc\u202c \u200b \uffff \U0010ffff",
    '"quoted" \\ \\n \\u0000 {"t":"x"}',
    " ",
    "\t",
)
PADDING = "word " * 100
PIECES = tuple(f"{nth} {piece}{PADDING}" if nth % 3 else piece for nth, piece in enumerate(TORTURE * 4))
GOLDEN = "".join(PIECES)
EVERY_S = 0.01
MINUTES = 10_000
"""Pieces of an answer that no test has the patience for."""


def endless(pieces: int) -> str:
    """Return the beginning of the endless answer."""
    return "".join(f"piece {nth}, " for nth in range(pieces))


def speak(request: GeminiRequest) -> list[Step]:
    """Answer the prompt `endless <key>` for minutes, and any other one with `GOLDEN`.

    The wire splits some of its chunks anywhere, so in the middle of emoji too.
    """
    steps: list[Step] = []
    if request.prompt.startswith("endless "):
        for nth in range(MINUTES):
            steps += [Text(f"piece {nth}, "), Sleep(EVERY_S * 2)]
        return steps
    for nth, piece in enumerate(PIECES):
        in_pieces = Raw(event({"candidates": [{"content": {"parts": [{"text": piece}]}}]}), pieces=1 + nth % 5 * 10)
        steps += [in_pieces, Sleep(EVERY_S)]
    return [*steps, Text("", finish="STOP")]


@dataclass(slots=True)
class RelayStage:
    """The relay's app with all that stands around it; a test names its answers by keys of its own."""

    stack: Stack
    fake: FakeGemini
    resetters: dict[str, Resetter]
    log: Path

    def origin(self, path: str) -> str:
        return f"{RELAY_SCHEMES[path]}://127.0.0.1:{self.stack.relay_ports[path]}"

    @property
    def app(self) -> str:
        return f"http://127.0.0.1:{self.stack.relay_app_port}"

    def calls(self, cid: str) -> list[Call]:
        """Return what the model was called for this key: by the fake's own log."""
        return [call for call in self.fake.calls if call.request.prompt.split(" ")[-1] == cid]

    def requests(self, cid: str) -> list[dict[str, Any]]:
        """Return what was asked for this key: by the app's own log."""
        entries = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [entry for entry in entries if entry["cid"] == cid]

    async def stop(self, cid: str) -> None:
        """End an answer, as a page's stop button does."""
        assert (await self.stack.http.post(f"{self.app}/streams/{cid}/stop")).status_code == 204

    @contextlib.asynccontextmanager
    async def person(self) -> AsyncIterator[BrowserContext]:
        """Open a browser context: a person, with all the tabs that `tab` opens."""
        context = await self.stack.browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE_S * 1000)
        yield context
        await context.close()

    async def tab(self, person: BrowserContext, path: str = "relay_clear") -> Page:
        """Open the test page in a new tab."""
        page = await person.new_page()
        await page.goto(f"{self.origin(path)}/page?beacon={self.stack.beacon}")
        return page


def url_of(cid: str, *, prompt: str = "golden", route: str = "/chat", **query: str) -> str:
    """Return the URL that a page asks for the answer `cid`; the prompt carries the key, for the fake's log to show."""
    return f"{route}?{urlencode({'cid': cid, 'prompt': f'{prompt} {cid}', **query})}"


async def ask(page: Page, via: str, cid: str, *, url: str = "", **options: Any) -> None:
    """Let the page ask for an answer."""
    await page.evaluate("(args) => run(...args)", [via, cid, url or url_of(cid), options])


async def shown(page: Page, cid: str, condition: str = "answer.end") -> dict[str, Any]:
    """Wait until `condition` holds of the `answer` that the page shows, and return all of it."""
    check = f"(cid) => {{ const answer = answers[cid]; return {condition}; }}"
    await page.wait_for_function(check, arg=cid, polling=20)
    got: dict[str, Any] = json.loads(await page.evaluate("(cid) => JSON.stringify(answers[cid])", cid))
    return got


@contextlib.asynccontextmanager
async def relay_on_stage(stack: Stack) -> AsyncIterator[RelayStage]:
    """Run the app under the real uvicorn behind the stack's nginx, and a resetter in front of each of its servers."""
    log = stack.directory / "requests.jsonl"
    async with contextlib.AsyncExitStack() as closing:
        fake = closing.enter_context(FakeGemini(speak))
        env = {
            "RELAY_TRACES": f"{stack.admin}/v1/traces",
            "RELAY_GEMINI": fake.base_url,
            "RELAY_LOG": str(log),
            "PYTHONPATH": str(HERE.parent),
        }
        server = ["uvicorn", "--factory", "e2e.relay_app:make_app", "--port", str(stack.relay_app_port)]
        command = ["env", *(f"{name}={value}" for name, value in env.items()), sys.executable, "-m", *server]
        await closing.enter_async_context(running(command, log=stack.directory / "relay.log"))
        stage = RelayStage(stack=stack, fake=fake, resetters={}, log=log)
        await until(lambda: stack.answers(f"{stage.app}/page"), "the relay's app")
        for path in RELAY_SCHEMES:
            resetter = Resetter(stack.ports[path], port=stack.relay_ports[path])
            stage.resetters[path] = await closing.enter_async_context(resetter)
        yield stage
