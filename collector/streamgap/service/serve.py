"""The collector as a program: two listeners in one event loop, and an orderly end."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from math import ceil

import uvicorn
from starlette.types import ASGIApp

from streamgap.core.errors import SettingsError
from streamgap.service import logs
from streamgap.service.collector import Collector
from streamgap.service.protocol import GuardedProtocol
from streamgap.service.public import BEACON_PATH
from streamgap.service.settings import Address, Settings, add_arguments, flag_of, load

ADMIN_DRAIN_S = 1
MAX_RECEIVE_S = 5.0
TICKS_PER_SWEEP = 10

_logger = logging.getLogger(__name__)


class _Listener(uvicorn.Server):
    """One of the two servers. Signals are the program's, not its own."""

    def __init__(self, app: ASGIApp, sock: socket.socket, *, drain_s: float, max_receive_s: float) -> None:
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=ceil(drain_s),
        )
        super().__init__(config)
        self._socket = sock
        self._max_receive_s = max_receive_s
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SWEEP == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedProtocol):
                    connection.close_slow(self._max_receive_s)
        return await super().on_tick(counter)

    async def begin(self) -> None:
        """Return once connections are accepted."""
        self._running = asyncio.create_task(self.serve(sockets=[self._socket]))
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._running}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._running.done():
            await self._running

    async def end(self) -> None:
        """Stop accepting, then wait for open requests, and cancel those that take too long."""
        self.should_exit = True
        if self._running is not None:
            await self._running


async def serve(
    collector: Collector,
    *,
    stop: asyncio.Event,
    public: socket.socket,
    admin: socket.socket,
    max_receive_s: float = MAX_RECEIVE_S,
) -> None:
    """Serve on two bound sockets until `stop` is set; then drain, count what waited, flush, and return.

    A request has `max_receive_s` to arrive.

    The order keeps each end open for as long as something may still come in through it: /readyz says 503, the public
    listener drains (`drain_s` at most) and then the admin listener, so that the halves of the last streams still meet.
    """
    outer = _Listener(collector.public, public, drain_s=collector.settings.drain_s, max_receive_s=max_receive_s)
    inner = _Listener(collector.admin, admin, drain_s=ADMIN_DRAIN_S, max_receive_s=max_receive_s)
    collector.start()
    await inner.begin()
    await outer.begin()
    _announce(collector, public=public, admin=admin)
    await stop.wait()
    _logger.info("draining", extra={"drain_s": collector.settings.drain_s})
    collector.begin_drain()
    await outer.end()
    await inner.end()
    await collector.stop()
    _logger.info("stopped")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status. A second signal ends the process at once."""
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    try:
        collector = Collector(settings)
        public, admin = _listen("bind", settings.bind), _listen("admin_bind", settings.admin_bind)
    except OSError as error:
        _logger.error("cannot start: %s", error)  # noqa: TRY400 the message says it all
        return 1
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signal(collector, public, admin))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line and the environment, then `run`."""
    parser = argparse.ArgumentParser(prog="streamgap serve", description=__doc__)
    add_arguments(parser)
    try:
        settings = load(parser.parse_args(argv), os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(settings)


async def _until_signal(collector: Collector, public: socket.socket, admin: socket.socket) -> None:
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    # What was made so far lives until the end: the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    await serve(collector, stop=stop, public=public, admin=admin)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 does not exist for Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


def _listen(name: str, address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=2048)
    except OSError as error:
        reason = f"{flag_of(name)}: expected a free address, got {address}: {error.strerror}; try another port"
        raise OSError(reason) from error


def _announce(collector: Collector, *, public: socket.socket, admin: socket.socket) -> None:
    outer, inner = _url(public), _url(admin)
    script = f"{outer}{collector.script.path}"
    integrity = collector.script.integrity
    tag = f'<script src="{script}" integrity="{integrity}" crossorigin="anonymous"></script>'
    _logger.info("public listener", extra={"url": outer, "beacon": f"{outer}{BEACON_PATH}"})
    _logger.info("admin listener", extra={"url": inner, "live": f"{inner}/", "metrics": f"{inner}/metrics"})
    _logger.info("beacon script", extra={"url": script, "integrity": integrity, "tag": tag})


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://{Address(host=host, port=port)}"


if __name__ == "__main__":
    raise SystemExit(main())
