"""What the tests of the conformance command share: an endpoint under the real uvicorn, asked and judged."""

from typing import Any

import httpx2

from instrument.lab import HOST, serving
from streamgap.conformance.conversation import Conversation, Interviewer
from streamgap.conformance.endpoint import Endpoint
from streamgap.conformance.findings import Finding, Verdict
from streamgap.conformance.reading import Reading
from streamgap.conformance.rules import judge, rules_for
from streamgap.conformance.target import KeyPlace, Target

PATH = "/chat?prompt=hi"
PATIENCE_S = 20.0
HEARTBEAT_S = 60.0


async def conversed(
    app: Any, *, method: str = "GET", body: Any = None, burst: int = 0, vary: str = "", timeout_s: float = PATIENCE_S
) -> Conversation:
    """Serve `app`, and hold the whole conversation with it."""
    async with serving(app) as port, httpx2.AsyncClient(timeout=None) as client:
        target = Target(
            url=httpx2.URL(f"http://{HOST}:{port}{PATH if body is None else '/chat'}"),
            method=method,
            body=body,
            key_in=KeyPlace("query", "cid") if method == "GET" else KeyPlace("header", "Idempotency-Key"),
            vary=vary,
        )
        endpoint = Endpoint(
            client=client, target=target, reading=Reading(), timeout_s=timeout_s, progress=lambda _asked: None
        )
        return await Interviewer(endpoint=endpoint, wait_s=0, burst=burst).converse()


def findings(talk: Conversation, *, method: str = "GET", heartbeat_s: float = HEARTBEAT_S) -> dict[str, Finding]:
    """Judge a conversation; what was found, by the rule's code."""
    rules = rules_for(method=method, heartbeat_s=heartbeat_s)
    return {rule.code: finding for rule, finding in judge(rules, talk)}


def codes(found: dict[str, Finding], verdict: Verdict) -> set[str]:
    """Return the rules that came to `verdict`."""
    return {code for code, finding in found.items() if finding.verdict is verdict}
