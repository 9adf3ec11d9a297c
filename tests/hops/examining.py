"""Diagnoses a standing route as `streamgap doctor` does: same options, same code, in a process that does nothing else.

One process for all would not do: while one diagnosis is computed, the others would find their own clock late.
"""

import asyncio
import dataclasses
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hops.configuration import Configuration, Site
from hops.standing import standing
from hops.zoo import Zoo
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import Asked, Probe
from streamgap.doctor.command import diagnose_path, parse
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.path import Diagnosis
from streamgap.doctor.path import Examined as ExaminedTap
from streamgap.doctor.progress import silent

ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of one configuration: where it was asked, what was said, and what of it with each cure."""

    configuration: Configuration
    taps: tuple[Site, ...]
    diagnosis: Diagnosis
    cured: tuple[Diagnosis, ...] = ()


class Doctors:
    """As many processes as diagnoses may run at once; `options` are of the command line."""

    def __init__(self, at_once: int, *, options: Sequence[str] = ()) -> None:
        self._options = options
        self.repeated = 0
        spawning = multiprocessing.get_context("spawn")
        self._pool: Executor = ProcessPoolExecutor(at_once, mp_context=spawning, initializer=load_hops)

    async def diagnose(self, taps: Sequence[Site]) -> Diagnosis:
        """Diagnose a path by its URLs from the inside out.

        A diagnosis that says that the prober itself was held up says nothing of the path: it is made again, as its
        reader would, at most `ATTEMPTS` times, and `repeated` counts it.
        """
        inner = [option for tap in taps[:-1] for option in ("--via", tap.url)]
        arguments = [taps[-1].url, "--insecure", *inner, *self._options]
        for _ in range(ATTEMPTS - 1):
            diagnosis = await self._diagnose(arguments)
            if diagnosis.outermost.findings[0].mechanism is not Mechanism.CLIENT:
                return diagnosis
            self.repeated += 1
        return await self._diagnose(arguments)

    async def _diagnose(self, arguments: Sequence[str]) -> Diagnosis:
        return await asyncio.get_running_loop().run_in_executor(self._pool, diagnosed, arguments)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def diagnosed(arguments: Sequence[str]) -> Diagnosis:
    """Return what `streamgap doctor` finds; a diagnosis that can be sent to another process."""
    found = asyncio.run(diagnose_path(parse(arguments), progress=silent))
    taps = tuple(_over(tap) for tap in found.taps)
    return dataclasses.replace(found, taps=taps)


async def examine(zoo: Zoo, configuration: Configuration, *, doctors: Doctors, record: Path | None = None) -> Examined:
    """Start, diagnose and end a configuration, then with each cure; `record` is where the evidence goes."""
    async with standing(zoo, configuration.route) as taps:
        asked = taps if configuration.every_tap else taps[-1:]
        diagnosis = await doctors.diagnose(asked)
    cured = []
    for cure in configuration.cures:
        async with standing(zoo, cure.route) as cured_taps:
            cured.append(await doctors.diagnose(cured_taps[-1:]))
    if record is not None:
        write_evidence(diagnosis, record / f"{configuration.name}.json")
        for cure, one in zip(configuration.cures, cured, strict=True):
            write_evidence(one, record / f"{configuration.name}.{cure.remedy}.json")
    return Examined(configuration=configuration, taps=asked, diagnosis=diagnosis, cured=tuple(cured))


def write_evidence(diagnosis: Diagnosis, file: Path) -> None:
    """Write the probes of the outermost tap as JSON to `file`, those of tap 0, 1, … inside beside it."""
    *inner, outermost = diagnosis.taps
    file.write_bytes(msgspec.json.encode(outermost.examination.probes))
    for place, tap in enumerate(inner):
        file.with_suffix(f".tap{place}.json").write_bytes(msgspec.json.encode(tap.examination.probes))


def _over(examined: ExaminedTap) -> ExaminedTap:
    """Return a tap that nobody asks any more: a connection cannot be sent to another process."""
    return dataclasses.replace(examined, tap=dataclasses.replace(examined.tap, ask=_ask_no_more))


async def _ask_no_more(asked: Asked) -> Probe:
    raise RuntimeError(f"the zoo: expected no more probes of a path that was taken down, got {asked.name}")
