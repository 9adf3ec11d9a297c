"""Measures every place at the same time: each spends its time waiting."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

from doctor.idle.places import LONGEST_S, UVICORN, Place
from hops.configuration import Site
from hops.zoo import Zoo
from streamgap.core.probe import Protocol
from streamgap.doctor.client import Target
from streamgap.doctor.idle.command import asking
from streamgap.doctor.idle.plan import Plan
from streamgap.doctor.idle.result import Result, measure_idle
from streamgap.doctor.knowledge import load_hops

APART_S = 0.3
"""Hundreds of streams that begin at the same moment would measure this machine."""


async def tour(places: Sequence[Place], *, directory: Path) -> dict[str, Result]:
    """Start everything, then measure; return the results by name."""
    async with Zoo(directory) as zoo, contextlib.AsyncExitStack() as standing:
        app = await standing.enter_async_context(UVICORN(zoo))
        sites = [await standing.enter_async_context(_stood(place, zoo, app)) for place in places]
        results = await asyncio.gather(*map(_measured, places, sites, count(0.0, APART_S)))
    return {place.name: result for place, result in zip(places, results, strict=True)}


@contextlib.asynccontextmanager
async def _stood(place: Place, zoo: Zoo, app: Site) -> AsyncIterator[Site]:
    inner = Site(port=app.port, path=place.path)
    if place.origin is not None:
        async with place.origin(zoo) as site:
            yield site
    elif place.stand is not None:
        async with place.stand(zoo, inner) as site:
            yield site
    else:
        yield inner


async def _measured(place: Place, site: Site, wait_s: float) -> Result:
    await asyncio.sleep(wait_s)
    plan = Plan(longest_s=LONGEST_S, streams=place.streams)
    target = Target.of(site.url, verify=False, is_drip=True)
    return await measure_idle(
        asking(target, clock=time.monotonic, plan=plan),
        plan=plan,
        protocol=Protocol.H2 if place.h2 else target.protocols[0],
        hops=load_hops(),
        clock=time.monotonic,
    )
