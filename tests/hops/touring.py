"""Diagnoses many configurations, a few at once: a diagnosis mostly waits."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hops.configuration import Configuration
from hops.examining import Doctors, examine
from hops.judging import Judgement, judge
from hops.zoo import Zoo

AT_ONCE = 12
LONGEST_S = 240.0

Outcome = Judgement | Exception
Told = Callable[[str, Outcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toured:
    """The outcomes by name, and how many diagnoses were made again because the prober was held up."""

    outcomes: Mapping[str, Outcome]
    repeated: int

    @property
    def judgements(self) -> list[Judgement]:
        return [one for one in self.outcomes.values() if isinstance(one, Judgement)]


async def tour(
    configurations: Sequence[Configuration],
    *,
    record: Path | None = None,
    at_once: int = AT_ONCE,
    options: Sequence[str] = (),
    told: Told = lambda _name, _outcome: None,
) -> Toured:
    """Return the judgement of each configuration by its name, or why it could not be had.

    `options` are further ones of `streamgap doctor`; evidence goes into the directory `record`.
    """
    outcomes: dict[str, Outcome] = {}
    places = asyncio.Semaphore(at_once)
    doctors = Doctors(at_once, options=options)

    async def visit(zoo: Zoo, configuration: Configuration) -> None:
        async with places:
            outcome = await _outcome(zoo, configuration, doctors=doctors, record=record)
        outcomes[configuration.name] = outcome
        told(configuration.name, outcome)

    try:
        with _open_directory() as directory:
            async with Zoo(directory) as zoo:
                await asyncio.gather(*(visit(zoo, one) for one in configurations))
    finally:
        doctors.close()
    return Toured(outcomes=outcomes, repeated=doctors.repeated)


@contextlib.contextmanager
def _open_directory() -> Iterator[Path]:
    """Make a directory for a while which servers that give up root can enter."""
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


async def _outcome(zoo: Zoo, configuration: Configuration, *, doctors: Doctors, record: Path | None) -> Outcome:
    try:
        async with asyncio.timeout(LONGEST_S):
            return judge(await examine(zoo, configuration, doctors=doctors, record=record))
    except Exception as error:  # noqa: BLE001, each configuration's test tells of its own
        error.add_note(f"configuration {configuration.name}")
        return error
