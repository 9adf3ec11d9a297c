"""Redis, a model that keeps the bill, and two replicas, each a process of its own."""

import contextlib
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faults.client import Client, until
from faults.model import Model
from faults.replica import Replica
from relay.page import Told
from streamgap.core.wire import GenerationRecord
from streamgap.core.words import MODEL_CALLS
from streamgap.demo.fake_gemini import Call, FakeGemini
from streamgap.relay.states import OWNER_LOST

RENEW_S = 0.2
_figures = logging.getLogger("faults")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What stands for a module's tests; `fresh` is the view of one test: calls, records and clients since it began."""

    fake: FakeGemini
    replicas: Sequence[Replica]
    told: Told = field(default_factory=Told)
    clients: list[Client] = field(default_factory=list)
    calls_before: int = 0
    records_before: tuple[int, ...] = ()

    def fresh(self) -> "Stage":
        """Begin a test: start what the one before has ended."""
        for replica in self.replicas:
            if not replica.is_up:
                replica.start()
        before = tuple(len(replica.records()) for replica in self.replicas)
        return replace(self, told=Told(), clients=[], calls_before=len(self.fake.calls), records_before=before)

    @property
    def calls(self) -> list[Call]:
        """The bill: the calls of this test by the fake's own log."""
        return self.fake.calls[self.calls_before :]

    @property
    def records(self) -> list[GenerationRecord]:
        """What the ledgers of all replicas say of this test's model calls."""
        pairs = zip(self.replicas, self.records_before, strict=True)
        new = (record for replica, before in pairs for record in replica.records()[before:])
        return [record for record in new if record.result in MODEL_CALLS]

    @property
    def entered(self) -> set[int]:
        """The epochs of these records."""
        return {_epoch(record) for record in self.records}

    def client(self, cid: str, *, pace: str, route: str = "/chat") -> Client:
        """Make another client for the answer `cid`."""
        self.clients.append(client := Client(cid, pace=pace, told=self.told, route=route))
        return client

    def note(self, what: str, figure: float) -> None:
        """Log a figure, for `pytest -o log_cli=true -o log_cli_level=INFO` to show."""
        _figures.info("%s %.2f", what, figure)

    async def balanced(self, *, calls: int, claims_get_lost: bool = False) -> None:
        """Hold that the model was called so many times, and that clients and ledgers know of each of these calls.

        One call is one id, whoever enters it: an owner that was frozen enters its end when somebody else has. Where
        claims get lost on their way back, ledgers may have more: what Redis granted to somebody who did not hear it
        looks like an owner that died.
        """
        heard = {(client.cid, epoch) for client in self.clients for epoch in client.starts}
        assert (len(self.calls), len(heard)) == (calls, calls), heard
        epochs = {epoch for _, epoch in heard}
        await until(lambda: self.entered >= epochs, f"{epochs} in the ledgers, beside {self.entered}")
        unheard = [record for record in self.records if _epoch(record) not in epochs]
        assert {record.reason for record in unheard} <= ({OWNER_LOST} if claims_get_lost else set())
        assert len(self.calls) == calls


def new_cid() -> str:
    """Return the key of an answer that nobody has asked for."""
    return f"answer-{secrets.token_hex(8)}"


def _epoch(record: GenerationRecord) -> int:
    return int(record.id.rpartition(".")[2])


@contextlib.contextmanager
def on_stage(directory: Path, redis: Sequence[str], *, cluster: bool = False, **store: Any) -> Iterator[Stage]:
    """Run two replicas; the store of the first one is at the first of the urls, and so on."""
    settings = {"renew_s": RENEW_S, "keep_s": 60.0, "cluster": cluster, **store}
    with contextlib.ExitStack() as running:
        fake = running.enter_context(FakeGemini(Model()))
        replicas = []
        for nth, url in enumerate(redis):
            replica = Replica(directory / f"replica-{nth}", {"redis": url, "gemini": fake.base_url, "store": settings})
            running.callback(replica.kill)
            replica.start()
            replicas.append(replica)
        yield Stage(fake=fake, replicas=replicas)
