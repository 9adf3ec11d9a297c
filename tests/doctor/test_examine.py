"""Which probes are made, and when no more are: over simulated paths, for what is asked is what is tested."""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from core import paths
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import ORDINARY, Asked, Ending, Hint, Probe, Protocol
from streamgap.doctor.examine import MAX_STREAMS_ASKED, Examination, Examiner


class Asking:
    """Answers over a simulated path, and remembers what was asked."""

    def __init__(self, *stages: paths.Stage, timed: bool = True, secure: bool = False, refused: str = "") -> None:
        self.path = paths.Path(stages=stages, timed=timed, secure=secure)
        self.asked: list[Asked] = []
        self._refused = refused
        self._chance = random.Random(7)  # noqa: S311, a seed that is repeatable

    async def __call__(self, asked: Asked) -> Probe:
        self.asked.append(asked)
        if self._refused:
            return Probe(asked=asked, ending=Ending.REFUSED, failure=self._refused, end_ms=1.0)
        paced = asked if asked.pace else replace(asked, pace=ORDINARY)
        probe = paths.probe_of(self.path, paced, chance=self._chance, began_ms=len(self.asked) * 5000.0, waits_ms=0.0)
        return replace(probe, asked=asked)

    async def examined(self) -> Examination:
        return await Examiner(self, tls=self.path.secure).examine()

    @property
    def names(self) -> Sequence[str]:
        return [asked.name for asked in self.asked]


async def test_a_path_that_flows_is_acquitted_without_a_third_round() -> None:
    """Nothing differs, so nothing is repeated and no header is tried."""
    asking = Asking()
    examination = await asking.examined()
    assert [finding.mechanism for finding in examination.findings] == [Mechanism.FLOWING]
    assert not any(asked.hints for asked in asking.asked)
    assert examination.held == ()


async def test_a_path_that_holds_is_asked_again_with_every_header() -> None:
    """A hold must repeat before anybody is accused, and what frees it names the hop."""
    asking = Asking(paths.whole)
    examination = await asking.examined()
    assert examination.held[0].mechanism is Mechanism.WHOLE
    assert "confirm" in asking.names
    assert {hint for asked in asking.asked if len(asked.hints) == 1 for hint in asked.hints} == set(Hint)


async def test_over_tls_both_protocols_are_asked() -> None:
    """The same nginx holds HTTP/1.1 and passes h2."""
    asking = Asking(paths.only(paths.tls, paths.blocks(16_384, framing=True)), secure=True)
    examination = await asking.examined()
    assert {asked.protocol for asked in asking.asked} == {Protocol.TLS, Protocol.H2}
    assert examination.held[0].protocols == (Protocol.TLS,)


async def test_the_first_probe_is_asked_as_the_url_stands() -> None:
    """Whether it is a drip only its answer tells: a stranger's endpoint gets no parameters of ours."""
    asking = Asking()
    await asking.examined()
    assert asking.asked[0].pace == ()
    assert all(asked.pace for asked in asking.asked[1:])


async def test_a_stream_that_is_no_drip_is_asked_a_few_times_only() -> None:
    """Each answer may be a model call that somebody pays for; and no parameters are added to it."""
    asking = Asking(timed=False, secure=True)
    examination = await asking.examined()
    assert len(asking.asked) <= MAX_STREAMS_ASKED
    assert all(asked.pace == () for asked in asking.asked)
    assert not examination.is_drip


async def test_what_cannot_be_reached_is_asked_once() -> None:
    """A refused connection is an answer, too."""
    asking = Asking(refused="expected a connection, got refused")
    examination = await asking.examined()
    assert asking.names == ["alone"]
    assert examination.findings[0].mechanism is Mechanism.REFUSED
