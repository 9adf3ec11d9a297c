"""What the drip's tests share: a body taken apart, and a clock on which sleeping is free."""

import json
from dataclasses import dataclass, field
from typing import Any

from instrument.lab import events
from streamgap.core.probe import AppView

VIEW = AppView(protocol="HTTP/1.1", method="GET", headers=(("host", "x"),), in_flight=1)


@dataclass
class Body:
    """The events of a drip's body, by kind, and the bytes of each numbered one, its two line breaks included."""

    opening: dict[str, Any]
    numbered: list[dict[str, Any]]
    sizes: list[int]
    done: dict[str, Any] | None
    comments: list[bytes]


def taken_apart(body: bytes) -> Body:
    opening: dict[str, Any] = {}
    done = None
    numbered, sizes, comments = [], [], []
    for event in events(body):
        if event.startswith(b":"):
            comments.append(event)
            continue
        first, _, rest = event.partition(b"\n")
        data = json.loads(rest.removeprefix(b"data: "))
        if first == b"event: drip-open":
            opening = data
        elif first == b"event: done":
            done = data
        else:
            assert first == b"id: %d" % data["i"]
            numbered.append(data)
            sizes.append(len(event) + 2)
    return Body(opening, numbered, sizes, done, comments)


@dataclass
class Clock:
    """Reads in seconds; whoever sleeps on it wakes `late_s` after the time, and waits for nothing."""

    late_s: float = 0.0
    now_s: float = 100.0
    slept_s: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s

    def wait(self, wait_s: float) -> None:
        self.slept_s.append(wait_s)
        self.now_s += wait_s + (self.late_s if wait_s else 0.0)

    async def sleep(self, wait_s: float) -> None:
        self.wait(wait_s)
