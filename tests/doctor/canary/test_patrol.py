"""All routes in their own time, and one log line for each change."""

import asyncio
import io
import json
from collections.abc import Mapping
from random import Random
from typing import Any

from doctor.canary.lab import Path, held, judge, refused
from doctor.canary.test_board import samples
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import Asked, Probe, Protocol
from streamgap.doctor.canary.board import Board
from streamgap.doctor.canary.journal import Journal
from streamgap.doctor.canary.patrol import Clock, Patrol
from streamgap.doctor.canary.schedule import Schedule
from streamgap.doctor.canary.watch import Watch

EVERY_S = 60.0


class Hour:
    """A clock that moves when its patrol sleeps, up to `until_s`; who sleeps longer than that never wakes."""

    def __init__(self, *, until_s: float) -> None:
        self.s = 0.0
        self.over = asyncio.Event()
        self._until_s = until_s

    def now_s(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        if self.s + seconds >= self._until_s:
            self.over.set()
            await asyncio.Event().wait()
        self.s += seconds
        await asyncio.sleep(0)


async def patrolled(path: Path, hour: Hour) -> tuple[list[dict[str, Any]], Mapping[tuple[str, ...], str]]:
    """Keep one route for an hour; the log's lines, and the metrics at the end."""
    log = io.StringIO()
    board = Board({"/chat": (Protocol.TLS, Protocol.H2)})
    patrol = Patrol(
        {"/chat": Watch(path, tls=True, judge=judge)},
        board=board,
        journal=Journal(log, unix_s=hour.now_s),
        hops=(),
        clock=Clock(now_s=hour.now_s, unix_s=hour.now_s, sleep=hour.sleep),
    )
    random = Random(1)  # noqa: S311, jitter is no secret
    keeping = asyncio.create_task(patrol.keep("/chat", Schedule(first_s=0.0, every_s=EVERY_S, random=random)))
    over = asyncio.create_task(hour.over.wait())
    await asyncio.wait({keeping, over}, return_when=asyncio.FIRST_COMPLETED)
    keeping.cancel()
    over.cancel()
    (ended, _) = await asyncio.gather(keeping, over, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended
    return [json.loads(line) for line in log.getvalue().splitlines()], samples(board)


async def test_each_change_of_state_is_one_line() -> None:
    """Ten minutes flowing, ten held, ten without a stream, ten flowing: four lines, each with what was before."""
    hour = Hour(until_s=40 * EVERY_S)
    phases = (Mechanism.FLOWING, Mechanism.WHOLE, Mechanism.REFUSED, Mechanism.FLOWING)
    path = Path(lambda _: phases[int(hour.s // (10 * EVERY_S))])
    log, metrics = await patrolled(path, hour)
    assert [(line["event"], line.get("was")) for line in log] == [
        ("flowing", None),
        ("held", "flowing"),
        ("failed", "held"),
        ("flowing", "failed"),
    ]
    counted = {result: metrics["streamgap_probe_runs_total", "/chat", result] for result in ("flowing", "held")}
    assert counted == {"flowing": "20", "held": "10"}
    assert metrics["streamgap_probe_overruns_total", "/chat"] == "0"


async def test_a_hold_is_logged_with_its_mechanism() -> None:
    """Who reads the log learns the mechanism, its code, how long, the evidence, and whom to suspect."""
    (line,), _ = await patrolled(Path(held), Hour(until_s=5 * EVERY_S))
    told = {key: line[key] for key in ("event", "route", "mechanism", "code", "hold_s", "evidence", "asked")}
    assert told == {
        "event": "held",
        "route": "/chat",
        "mechanism": "whole_response",
        "code": "SG101",
        "hold_s": 1.8,
        "evidence": "2 of 2 events came late",
        "asked": "ordinary",
    }
    assert line["suspect"]


async def test_another_mechanism_is_news() -> None:
    """A hold that changes its kind is a line of its own; different reasons to flow are not."""
    hour = Hour(until_s=20 * EVERY_S)
    path = Path(lambda _: Mechanism.WHOLE if hour.s < 10 * EVERY_S else Mechanism.TIMER)
    log, _ = await patrolled(path, hour)
    assert [line["mechanism"] for line in log] == ["whole_response", "timer"]
    hour = Hour(until_s=20 * EVERY_S)
    path = Path(lambda _: Mechanism.FLOWING if hour.s < 10 * EVERY_S else Mechanism.SLOW_APP)
    log, _ = await patrolled(path, hour)
    assert [line["event"] for line in log] == ["flowing"]


async def test_a_failure_is_logged_with_what_was_got() -> None:
    """The line says in the client's words why no stream came."""
    (line,), _ = await patrolled(Path(refused), Hour(until_s=3 * EVERY_S))
    assert (line["event"], line["failure"]) == ("failed", "expected a connection, got none")


async def test_a_run_that_takes_too_long_is_counted_and_never_doubled() -> None:
    """A run of two and a half minutes leaves out two each time, and no second one begins beside it."""
    hour = Hour(until_s=30 * EVERY_S)

    class Slow(Path):
        running = 0

        async def __call__(self, asked: Asked) -> Probe:
            self.running += 1
            assert self.running == 1
            hour.s += 2.5 * EVERY_S
            await asyncio.sleep(0)
            self.running -= 1
            return await super().__call__(asked)

    _, metrics = await patrolled(Slow(), hour)
    runs = int(metrics["streamgap_probe_runs_total", "/chat", "flowing"])
    left_out = int(metrics["streamgap_probe_overruns_total", "/chat"])
    assert left_out == 2 * runs
    assert 28 <= runs + left_out <= 33
