"""Real endpoints under the real uvicorn: what keeps the rules is found to, what breaks one is found on that one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from conformance.exemplar import HEADERS, PIECES, Answer, Exemplar, SaysTheEndAgain
from conformance.lab import codes, conversed, findings
from streamgap.conformance.conversation import GENERATIONS, MAX_REQUESTS
from streamgap.conformance.findings import Verdict
from streamgap.relay import EventStream, Relay

pytestmark = pytest.mark.slow


UNASKED = {"C15", "C16"}


class LosesNoTransform(Exemplar):
    def headers(self) -> dict[str, str]:
        return {**HEADERS, "cache-control": "no-cache"}


class ForgetsAnId(Exemplar):
    def event(self, number: int, piece: str) -> bytes:
        event = super().event(number, piece)
        return event.partition(b"\n")[2] if number == 3 else event


class Repeats(Exemplar):
    async def resume(self, known: Answer, last: int) -> Response:
        return self.stream(known, after=last - 1) if last < PIECES else await super().resume(known, last)


class Skips(Exemplar):
    async def resume(self, known: Answer, last: int) -> Response:
        return self.stream(known, after=last + 1) if last < PIECES else await super().resume(known, last)


class DiesWithItsReader(Exemplar):
    def __init__(self) -> None:
        super().__init__()
        self._left = asyncio.Event()

    async def body(self, answer: Answer, *, after: int, result: str) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(super().body(answer, after=after, result=result)) as body:  # type: ignore[type-var]
            try:
                async for chunk in body:
                    yield chunk
            except (asyncio.CancelledError, GeneratorExit):
                answer.end()
                self._left.set()
                raise

    async def resume(self, known: Answer, last: int) -> Response:
        await self._left.wait()
        return await super().resume(known, last)


class SaysDup(Exemplar):
    separate = True

    def again(self, known: Answer) -> Response:
        dup = [*self.opening("dup"), b"event: dup\ndata: {}\n\n"]
        return super().again(known) if known.done else self.events(dup)


class SaysConflict(Exemplar):
    separate = True

    def again(self, known: Answer) -> Response:
        return super().again(known) if known.done else Response(status_code=409)


class StartsBesideTheFirst(Exemplar):
    separate = True

    def again(self, known: Answer) -> Response:
        if known.done:
            return super().again(known)
        another = self.start("nobody's", known.prompt)
        another.met.set()
        return self.stream(another)


class Forgets(Exemplar):
    async def body(self, answer: Answer, *, after: int, result: str) -> AsyncIterator[bytes]:
        async for chunk in super().body(answer, after=after, result=result):
            yield chunk
        self.answers = {key: known for key, known in self.answers.items() if known is not answer}

    def start(self, key: str, prompt: str) -> Answer:
        answer = super().start(key, prompt)
        if self.calls == 2:
            answer.met.set()
        return answer


class AnswersTheOldQuestion(Exemplar):
    def other_question(self, known: Answer) -> Response:
        return self.stream(known)


class AnswersTheOtherQuestion(Exemplar):
    def other_question(self, _known: Answer) -> Response:
        return self.stream(self.start("nobody's", "other"))


class StartsOnReconnect(Exemplar):
    def unknown(self, key: str, prompt: str) -> Response:
        return self.stream(self.start(key, prompt))


class JustEnds(Exemplar):
    def end(self) -> bytes:
        return b""


class SendsOneRetry(Exemplar):
    def retry_ms(self) -> int:
        return 3000


class SendsNoRetry(Exemplar):
    def opening(self, result: str) -> Iterator[bytes]:
        return (line for line in super().opening(result) if not line.startswith(b"retry"))


class WritesRawText(Exemplar):
    def event(self, number: int, piece: str) -> bytes:
        return b"id: %d\ndata: %b\n\n" % (number, piece.encode())


class ChokesOnSenselessIds(Exemplar):
    def senseless(self) -> Response:
        return Response(status_code=500)


class ShedsWith429(Exemplar):
    def stream(self, answer: Answer, *, after: int = 0, result: str = "started") -> Response:
        return Response(status_code=429) if self.calls > 4 else super().stream(answer, after=after, result=result)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_endpoint_that_keeps_the_rules_is_found_to(method: str) -> None:
    """Every rule holds or does not apply, with as many requests and model calls as are announced."""
    app = Exemplar()
    talk = await conversed(app, method=method, body={"prompt": "hi"} if method == "POST" else None)
    found = findings(talk, method=method)
    assert codes(found, Verdict.HOLDS) == found.keys() - UNASKED, found
    assert codes(found, Verdict.NOT_APPLICABLE) == UNASKED
    assert (app.requests, app.calls) == (MAX_REQUESTS, GENERATIONS)


@pytest.mark.parametrize(
    ("endpoint", "code", "undecided"),
    [
        (LosesNoTransform, "C03", set()),
        (ForgetsAnId, "C04", set()),
        (Repeats, "C05", set()),
        (Skips, "C05", set()),
        (DiesWithItsReader, "C05", set()),
        (SaysDup, "C06", set()),
        (SaysConflict, "C06", set()),
        (StartsBesideTheFirst, "C06", set()),
        (Forgets, "C07", {"C05", "C08"}),
        (AnswersTheOldQuestion, "C08", set()),
        (AnswersTheOtherQuestion, "C08", set()),
        (StartsOnReconnect, "C09", set()),
        (SaysTheEndAgain, "C10", set()),
        (JustEnds, "C11", set()),
        (SendsOneRetry, "C12", set()),
        (SendsNoRetry, "C12", set()),
        (WritesRawText, "C13", set()),
        (ChokesOnSenselessIds, "C14", set()),
    ],
)
async def test_what_breaks_one_rule_is_found_on_that_one(
    endpoint: type[Exemplar], code: str, undecided: set[str]
) -> None:
    """One fault, one broken rule; only what cannot be known without that rule stays open."""
    app = endpoint()
    found = findings(await conversed(app))
    await app.close()
    assert codes(found, Verdict.BROKEN) == {code}, found
    assert codes(found, Verdict.INCONCLUSIVE) == undecided, found


@pytest.mark.parametrize(("endpoint", "verdict"), [(Exemplar, Verdict.HOLDS), (ShedsWith429, Verdict.BROKEN)])
async def test_a_flood_is_judged_where_it_is_asked_for(endpoint: type[Exemplar], verdict: Verdict) -> None:
    """A flood of GETs that is answered with 429 is broken, and costs no rule but its own."""
    app = endpoint()
    found = findings(await conversed(app, burst=6))
    await app.close()
    assert found["C16"].verdict is verdict, found
    assert codes(found, Verdict.BROKEN) <= {"C16"}


class Naive:
    """The generator that everybody writes first: a model call per request, raw text, no ids, no end."""

    def __init__(self) -> None:
        self.calls = 0
        self._ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await StreamingResponse(self.body(self.calls), media_type="text/event-stream")(scope, receive, send)

    async def body(self, number: int) -> AsyncIterator[str]:
        for piece in range(PIECES):
            if number == 1 and piece == PIECES // 2:
                await self._ended.wait()
            await asyncio.sleep(0.01)
            yield self.event(piece, f"Generation {number}, piece {piece}:\na line. ")
        self._ended.set()

    def event(self, _piece: int, text: str) -> str:
        return f"data: {text}\n\n"


class NaiveWithIds(Naive):
    def event(self, piece: int, text: str) -> str:
        return f"id: {piece}\ndata: {json.dumps(text)}\n\n"


@pytest.mark.parametrize(
    ("app", "expected", "calls"),
    [
        (Naive, {"C03", "C04", "C05", "C06", "C07", "C11", "C12", "C13"}, 3),
        (NaiveWithIds, {"C03", "C05", "C06", "C07", "C09", "C10", "C11", "C12"}, 8),
    ],
)
async def test_the_usual_generator_breaks_what_it_breaks(app: type[Naive], expected: set[str], calls: int) -> None:
    """A model call per request is found out without a word from the endpoint, with as few calls as that takes."""
    naive = app()
    found = findings(await conversed(naive))
    assert codes(found, Verdict.BROKEN) - {"C02"} == expected, found  # C02 is measured, and the machine may be busy
    assert naive.calls == calls


class Relayed:
    """A route that returns the relay's stream; its model waits in the middle until somebody else has asked."""

    def __init__(self, relay: Relay) -> None:
        self.calls = 0
        self._relay = relay
        self._met: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        prompt = json.loads(await request.body() or b"{}").get("prompt") or request.query_params["prompt"]
        key = request.headers.get("idempotency-key") or request.query_params["cid"]
        if key in self._met:
            self._met[key].set()
        await self.stream(prompt, met=self._met.setdefault(key, asyncio.Event()))(scope, receive, send)

    def stream(self, prompt: str, *, met: asyncio.Event) -> EventStream:
        return self._relay.stream(lambda: self.generate(met), asked=[prompt], render=lambda piece: {"t": piece})

    async def generate(self, met: asyncio.Event) -> AsyncIterator[str]:
        self.calls += 1
        for piece in range(PIECES):
            if piece == PIECES // 2:
                await met.wait()
            await asyncio.sleep(0.01)
            yield f"piece {piece}\n\nevent: done\n"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_relay_keeps_every_rule(method: str) -> None:
    """The relay's own stream keeps every rule, with two model calls for ten requests."""
    async with Relay() as relay:
        app = Relayed(relay)
        talk = await conversed(app, method=method, body={"prompt": "hi"} if method == "POST" else None)
    found = findings(talk, method=method)
    assert codes(found, Verdict.HOLDS) == found.keys() - UNASKED, found
    assert (len(talk.exchanges), app.calls) == (MAX_REQUESTS, GENERATIONS)


async def refuse_everybody(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"error": "busy"}, 429, {"retry-after": "1"})(scope, receive, send)


async def test_no_stream_leaves_the_rest_open() -> None:
    """Where the first answer is no stream, one request is made, one rule is broken, and the others are left open."""
    talk = await conversed(refuse_everybody)
    found = findings(talk)
    assert len(talk.exchanges) == 1
    assert codes(found, Verdict.BROKEN) == {"C01"}
    assert codes(found, Verdict.INCONCLUSIVE) == found.keys() - {"C01", "C16"}
    assert "429" in found["C01"].evidence
    assert "gives up for ever" in found["C01"].evidence


async def test_an_answer_that_does_not_end_is_given_up() -> None:
    """An answer that outlasts its time is given up with what it had; what needs its end stays open."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'id: 1\ndata: {"t": "Hel"}\n\n'
        await asyncio.Event().wait()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(endless(), media_type="text/event-stream")(scope, receive, send)

    found = findings(await conversed(app, timeout_s=2))
    assert found["C04"].verdict is Verdict.HOLDS
    for code in ("C05", "C06", "C07", "C08", "C09", "C10", "C11", "C14"):
        assert found[code].verdict is Verdict.INCONCLUSIVE, found[code]
