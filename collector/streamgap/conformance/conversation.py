"""The requests that are made of an endpoint, in order, and what came of each."""

import asyncio
import secrets
import uuid
from dataclasses import dataclass, replace

from streamgap.conformance.endpoint import Endpoint
from streamgap.conformance.exchange import Exchange
from streamgap.conformance.target import Ask
from streamgap.core.showing import shown

MAX_REQUESTS = 10
GENERATIONS = 2
"""Model calls that an endpoint makes that keeps every rule."""
MAX_WAIT_S = 5.0
DEFAULT_RETRY_MS = 3000
"""How long Chromium waits before it reconnects to an endpoint that sends no `retry:`."""
GARBAGE_ID = "-1e309;\u00e9'{}\\" + "9" * 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Everything that was asked, and answered. None: not asked, because of what came before.

    | | |
    |---|---|
    | `first` | a new key, read to its end |
    | `twin` | the same key again, once `first` had content |
    | `replay` | the same key after the end |
    | `past` | … as a reconnect with the last event id |
    | `other` | … with another prompt, where `replay` was the same as `first` |
    | `garbage` | … with a `Last-Event-ID` that no server ever sent |
    | `dropped` | a second key, its connection dropped in the middle of the answer |
    | `resumed` | its reconnect, with the last event id that `dropped` had |
    | `whole` | its key again after the end, where `replay` was the same as `first` |
    | `stranger` | a third key, as a reconnect with an event id of `first` |
    | `burst` | a key each, all at once |
    """

    first: Exchange
    twin: Exchange | None = None
    replay: Exchange | None = None
    past: Exchange | None = None
    other: Exchange | None = None
    garbage: Exchange | None = None
    dropped: Exchange | None = None
    resumed: Exchange | None = None
    whole: Exchange | None = None
    stranger: Exchange | None = None
    burst: tuple[Exchange, ...] = ()

    @property
    def exchanges(self) -> list[Exchange]:
        """Every answer, in the order of asking."""
        named = (self.first, self.twin, self.replay, self.past, self.other, self.garbage)
        later = (self.dropped, self.resumed, self.whole, self.stranger)
        return [exchange for exchange in (*named, *later, *self.burst) if exchange is not None]

    @property
    def replays(self) -> bool:
        """Whether the same key, asked again after the end, gave the same answer."""
        return self.replay is not None and self.replay.is_stream and self.replay.text == self.first.text


@dataclass(slots=True, kw_only=True)
class Interviewer:
    """Holds the conversation. `wait_s` is the pause before the reconnect; None: as long as the endpoint asks for."""

    endpoint: Endpoint
    wait_s: float | None
    burst: int

    async def converse(self) -> Conversation:
        """Ask until everything is asked, or the first answer leaves nothing to ask about."""
        key = _new("a new key")
        first, twin = await self._together(key)
        talk = Conversation(first=first, twin=twin)
        if first.is_stream and first.content and first.complete:
            talk = await self._afterwards(talk, key)
            if first.has_ids:
                talk = await self._dropped(talk)
                talk = await self._stranger(talk)
        if self.burst:
            asks = (self.endpoint.ask(_new("a key of its own"), stop_after=1) for _ in range(self.burst))
            talk = replace(talk, burst=tuple(await asyncio.gather(*asks)))
        return talk

    async def _together(self, key: Ask) -> tuple[Exchange, Exchange | None]:
        """Ask, and with the first content ask again, unless the answer has ended by then."""
        has_content = asyncio.Event()
        first = asyncio.create_task(self.endpoint.ask(key, has_content=has_content))
        waiting = asyncio.create_task(has_content.wait())
        try:
            await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
            twin = None
            if not first.done():
                twin = await self.endpoint.ask(_again(key, "the same key while the first answer runs"))
            return await first, twin
        finally:
            waiting.cancel()
            first.cancel()

    async def _afterwards(self, talk: Conversation, key: Ask) -> Conversation:
        """Ask with a key whose answer has ended."""
        replay = await self.endpoint.ask(_again(key, "the same key after the end"))
        talk = replace(talk, replay=replay)
        if talk.replays and (another := self.endpoint.target.another()) is not None:
            asked = _again(key, "the same key with another prompt")
            talk = replace(talk, other=await self.endpoint.ask(asked, target=another, stop_after=1))
        if not talk.first.has_ids:
            return talk
        garbage = _again(key, "the same key, a senseless Last-Event-ID", last_event_id=GARBAGE_ID)
        talk = replace(talk, garbage=await self.endpoint.ask(garbage, stop_after=1))
        if not (end := talk.first.last_event_id):
            return talk
        past = _again(key, f"the same key, Last-Event-ID {shown(end)} (the last one)", last_event_id=end)
        return replace(talk, past=await self.endpoint.ask(past, stop_after=1))

    async def _dropped(self, talk: Conversation) -> Conversation:
        """Drop the connection in the middle of an answer that nobody else reads, and reconnect as a browser would."""
        middle = len(talk.first.content) // 2
        if not middle:
            return talk
        key = _new("a second key, to be dropped in the middle")
        dropped = await self.endpoint.ask(key, stop_after=middle)
        talk = replace(talk, dropped=dropped)
        if not dropped.last_event_id:
            return talk
        retry_ms = DEFAULT_RETRY_MS if dropped.retry_ms is None else dropped.retry_ms
        await asyncio.sleep(min(retry_ms / 1000, MAX_WAIT_S) if self.wait_s is None else self.wait_s)
        place = dropped.last_event_id
        again = replace(key, why=f"the second key, Last-Event-ID {shown(place)}", last_event_id=place)
        talk = replace(talk, resumed=await self.endpoint.ask(again))
        if talk.replays:
            talk = replace(talk, whole=await self.endpoint.ask(_again(key, "the second key after the end")))
        return talk

    async def _stranger(self, talk: Conversation) -> Conversation:
        place = next(one for one in talk.first.ids if one)
        key = _new(f"a third key, unknown, Last-Event-ID {shown(place)}")
        return replace(talk, stranger=await self.endpoint.ask(replace(key, last_event_id=place), stop_after=1))


def _new(why: str) -> Ask:
    return Ask(key=str(uuid.uuid4()), sid=secrets.token_urlsafe(16), why=why)


def _again(ask: Ask, why: str, *, last_event_id: str | None = None) -> Ask:
    """Ask with the same key as a page would that was loaded anew: the stream is another."""
    return replace(ask, sid=secrets.token_urlsafe(16), why=why, last_event_id=last_event_id)
