"""A route, standing: its origin and every program in front of it run, and each place where it can be asked is known."""

import contextlib
from collections.abc import AsyncIterator

from hops.configuration import Route, Site
from hops.zoo import Zoo


@contextlib.asynccontextmanager
async def standing(zoo: Zoo, route: Route) -> AsyncIterator[tuple[Site, ...]]:
    """Start a route from the inside out, yield its taps in that order, and end it from the outside in."""
    async with contextlib.AsyncExitStack() as closing:
        taps = [await closing.enter_async_context(route.origin(zoo))]
        for stand in route.stands:
            taps.append(await closing.enter_async_context(stand(zoo, taps[-1])))
        yield tuple(taps)
