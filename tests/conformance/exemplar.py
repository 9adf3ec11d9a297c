"""An endpoint that keeps every rule, small enough to read. The tests break it in one place at a time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

PIECES = 8
EVERY_S = 0.01
HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no", "content-encoding": "identity"}


class Answer:
    """One generation; in the middle it waits until somebody else has asked for it."""

    def __init__(self, number: int, prompt: str) -> None:
        self.prompt = prompt
        self.pieces: list[str] = []
        self.done = False
        self.met = asyncio.Event()
        self._number = number
        self._changed = asyncio.Event()

    async def generate(self) -> None:
        for piece in range(1, PIECES + 1):
            if piece == PIECES // 2 + 1:
                await self.met.wait()
            await asyncio.sleep(EVERY_S)
            self.pieces.append(f"Generation {self._number}, piece {piece}:\na line. ")
            self._wake()
        self.end()

    def end(self) -> None:
        self.done = True
        self._wake()

    async def after(self, number: int) -> AsyncIterator[tuple[int, str]]:
        while True:
            while number < len(self.pieces):
                number += 1
                yield number, self.pieces[number - 1]
            if self.done:
                return
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Exemplar:
    """An ASGI app. Ids are 1, 2, …, and `end`; each way to answer is a method, for a test to override."""

    separate = False
    """Whether the same key starts another answer: then the first one waits until that has ended."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.calls = 0
        self.requests = 0
        self._retries = count(1500)
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests += 1
        asked = json.loads(await request.body() or b"{}")
        key = request.headers.get("idempotency-key") or request.query_params["cid"]
        prompt = asked.get("prompt") or request.query_params["prompt"]
        known = self.answers.get(key)
        last = request.headers.get("last-event-id")
        response = await self.respond(key, prompt, last)
        if known is not None and (last is not None or not self.separate):
            known.met.set()
        await response(scope, receive, send)
        if known is not None:
            known.met.set()

    async def close(self) -> None:
        """End the answers that nobody waited for."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def respond(self, key: str, prompt: str, last: str | None) -> Response:
        known = self.answers.get(key)
        if last is not None and re.fullmatch("[0-9]{1,3}|end", last) is None:
            return self.senseless()
        if last == "end":
            return self.past_the_end()
        if known is None:
            return self.unknown(key, prompt) if last is not None else self.stream(self.start(key, prompt))
        if known.prompt != prompt:
            return self.other_question(known)
        if last is not None:
            return await self.resume(known, int(last))
        return self.again(known)

    def start(self, key: str, prompt: str) -> Answer:
        self.calls += 1
        answer = Answer(self.calls, prompt)
        self.answers[key] = answer
        task = asyncio.create_task(answer.generate())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return answer

    def senseless(self) -> Response:
        return Response(status_code=400)

    def past_the_end(self) -> Response:
        return Response(status_code=204)

    def unknown(self, _key: str, _prompt: str) -> Response:
        return self.events([self.end()])

    def other_question(self, _known: Answer) -> Response:
        return Response(status_code=422)

    def again(self, known: Answer) -> Response:
        return self.stream(known, result="attached")

    async def resume(self, known: Answer, last: int) -> Response:
        if known.done and last == PIECES:
            return self.past_the_end()
        return self.stream(known, after=last, result="attached")

    def stream(self, answer: Answer, *, after: int = 0, result: str = "started") -> Response:
        return StreamingResponse(
            self.body(answer, after=after, result=result), headers=self.headers(), media_type="text/event-stream"
        )

    def events(self, events: list[bytes]) -> Response:
        return Response(b"".join(events), headers=self.headers(), media_type="text/event-stream")

    async def body(self, answer: Answer, *, after: int, result: str) -> AsyncIterator[bytes]:
        yield b"".join(self.opening(result))
        async for number, piece in answer.after(after):
            yield self.event(number, piece)
        yield self.end()

    def opening(self, result: str) -> Iterator[bytes]:
        yield b": open\n\n"
        yield b"retry: %d\n\n" % self.retry_ms()
        yield b'event: sg-open\ndata: {"result": "%b"}\n\n' % result.encode()

    def event(self, number: int, piece: str) -> bytes:
        return b"id: %d\ndata: %b\n\n" % (number, json.dumps({"t": piece}).encode())

    def end(self) -> bytes:
        return b"event: end\nid: end\ndata: {}\n\n"

    def retry_ms(self) -> int:
        return next(self._retries)

    def headers(self) -> dict[str, str]:
        return HEADERS


class SaysTheEndAgain(Exemplar):
    def past_the_end(self) -> Response:
        return self.events([self.end()])
