import asyncio
from typing import Any

from instrument.lab import until
from streamgap.instrument.asgi.mailbox import MAX_AHEAD, Mailbox

DISCONNECT = {"type": "http.disconnect"}


class Server:
    """The server's side of `receive`: gives out what is put in, to one reader at a time."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.readers = 0

    async def receive(self) -> Any:
        self.readers += 1
        assert self.readers == 1, "two readers at once"
        try:
            return await self.messages.get()
        finally:
            self.readers -= 1

    def body(self, *parts: bytes) -> None:
        for part in parts:
            self.messages.put_nowait({"type": "http.request", "body": part, "more_body": True})

    def leave(self) -> None:
        self.messages.put_nowait(DISCONNECT)


async def test_nothing_is_read_before_anybody_asks() -> None:
    """An app that reads nothing, and is not watched, leaves its body with the server."""
    server = Server()
    server.body(b"a")
    Mailbox(server.receive)
    await asyncio.sleep(0)
    assert server.messages.qsize() == 1


async def test_messages_read_ahead_reach_the_app_in_order() -> None:
    """What the watch has read the app still gets, each message once, and the disconnect last."""
    server = Server()
    mailbox = Mailbox(server.receive)
    watch = asyncio.create_task(mailbox.client_left())
    server.body(b"a", b"b")
    server.leave()
    await watch
    assert [(await mailbox.receive())["body"] for _ in range(2)] == [b"a", b"b"]
    assert await mailbox.receive() == DISCONNECT
    assert await mailbox.receive() == DISCONNECT
    assert not mailbox.told


async def test_a_reader_that_came_first_is_not_disturbed() -> None:
    """An app that waits for a message when the watch begins gets it, and the watch takes over from there."""
    server = Server()
    mailbox = Mailbox(server.receive)
    reading = asyncio.create_task(mailbox.receive())
    await until(lambda: server.readers)
    watch = asyncio.create_task(mailbox.client_left())
    server.body(b"a")
    assert (await reading)["body"] == b"a"
    server.leave()
    await watch
    assert mailbox.gone


async def test_every_listener_is_told() -> None:
    """Two readers in the app and the watch share one disconnect."""
    server = Server()
    mailbox = Mailbox(server.receive)
    readers = [asyncio.create_task(mailbox.receive()) for _ in range(2)]
    watch = asyncio.create_task(mailbox.client_left())
    await until(lambda: server.readers)
    server.leave()
    assert await asyncio.gather(*readers) == [DISCONNECT] * 2
    await watch
    assert mailbox.told


async def test_a_reader_that_gives_up_loses_nothing() -> None:
    """A cancelled reader takes no message with it, and no other reader."""
    server = Server()
    mailbox = Mailbox(server.receive)
    watch = asyncio.create_task(mailbox.client_left())
    quitter, stayer = (asyncio.create_task(mailbox.receive()) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    quitter.cancel()
    await asyncio.wait((quitter,))
    server.body(b"a")
    assert (await stayer)["body"] == b"a"
    server.leave()
    await watch


async def test_reading_ahead_is_bounded() -> None:
    """A body that the app does not read is not read for it beyond a few messages."""
    server = Server()
    server.body(*[b"x"] * (2 * MAX_AHEAD))
    mailbox = Mailbox(server.receive)
    watch = asyncio.create_task(mailbox.client_left())
    await until(lambda: server.messages.qsize() == MAX_AHEAD)
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.messages.qsize() == MAX_AHEAD
    await mailbox.receive()
    await until(lambda: server.messages.qsize() == MAX_AHEAD - 1)
    watch.cancel()
    await asyncio.wait((watch,))
