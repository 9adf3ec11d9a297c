"""`streamgap canary`: the command line."""

import argparse
import asyncio
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from random import Random

from streamgap.core.diagnosis import diagnose
from streamgap.core.probe import Asked, Probe
from streamgap.doctor.canary.board import Board
from streamgap.doctor.canary.journal import Journal
from streamgap.doctor.canary.listener import listening
from streamgap.doctor.canary.once import document, exit_status, table
from streamgap.doctor.canary.options import parse
from streamgap.doctor.canary.patrol import Clock, Patrol
from streamgap.doctor.canary.schedule import Schedule
from streamgap.doctor.canary.watch import Run, Watch
from streamgap.doctor.client import ClientLimits, Lag, Target, TargetError, probe
from streamgap.doctor.examine import Ask
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.options import headers_of

USAGE = 2
INTERRUPTED = 130
LIMITS = ClientLimits(connect_s=5.0, total_s=15.0)


def main(argv: Sequence[str]) -> int:
    """Probe until a signal, or once; returns the exit status."""
    given = parse(argv)
    try:
        targets = {route.name: _target(route.url, given) for route in given.routes}
        if given.once:
            return _ask_once(targets, as_json=given.json)
        listener = _listen(*given.bind)
    except (TargetError, OSError) as error:
        sys.stderr.write(f"streamgap canary: {error}\n")
        return USAGE
    asyncio.run(_keep_probing(targets, listener=listener, every_s=given.every))
    return 0


def _target(url: str, given: argparse.Namespace) -> Target:
    return Target.of(
        url, headers=headers_of(given), verify=not given.insecure, connect_to=given.connect_to, is_drip=True
    )


def _ask_once(targets: Mapping[str, Target], *, as_json: bool) -> int:
    try:
        runs = asyncio.run(_once(targets))
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.stdout.write((document if as_json else table)(runs, hops=load_hops()))
    return exit_status(runs)


async def _once(targets: Mapping[str, Target]) -> dict[str, Run]:
    watches = _watches(targets)
    runs = await asyncio.gather(*(watch.every_way() for watch in watches.values()))
    return dict(zip(watches, runs, strict=True))


async def _keep_probing(targets: Mapping[str, Target], *, listener: socket.socket, every_s: float) -> None:
    """Watch every route until SIGTERM or SIGINT; a defect in one watch ends the program, and says so."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    journal = Journal(sys.stderr, unix_s=time.time)
    board = Board({name: target.protocols for name, target in targets.items()})
    async with listening(listener, render=board.render):
        journal.say(
            "listening",
            metrics=f"http://{_shown(*listener.getsockname()[:2])}/metrics",
            routes=len(targets),
            every_s=every_s,
        )
        clock = Clock(now_s=time.monotonic, unix_s=time.time)
        patrol = Patrol(_watches(targets), board=board, journal=journal, hops=load_hops(), clock=clock)
        async with asyncio.TaskGroup() as group:
            kept = [
                group.create_task(patrol.keep(name, schedule))
                for name, schedule in _schedules(targets, every_s=every_s).items()
            ]
            await stop.wait()
            for task in kept:
                task.cancel()
    journal.say("stopped")


def _schedules(names: Mapping[str, object], *, every_s: float) -> dict[str, Schedule]:
    """Spread the routes evenly over the interval, the first one at once."""
    began_s, random = time.monotonic(), Random()  # noqa: S311, jitter is no secret
    return {
        name: Schedule(first_s=began_s + nth * every_s / len(names), every_s=every_s, random=random)
        for nth, name in enumerate(names)
    }


def _watches(targets: Mapping[str, Target]) -> dict[str, Watch]:
    return {
        name: Watch(_asking(target), tls=target.scheme == "https", judge=diagnose) for name, target in targets.items()
    }


def _asking(target: Target) -> Ask:
    async def ask(asked: Asked) -> Probe:
        # Its clock ticks a hundred times a second: not while nothing is asked.
        async with Lag(time.monotonic) as lag:
            return await probe(target, asked, clock=time.monotonic, limits=LIMITS, lag=lag)

    return ask


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = f"--bind: expected a free address, got {_shown(host, port)} ({error.strerror}); try another port"
        raise OSError(reason) from error


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
