"""Runs the whole zoo once; each test reads what came of its configuration."""

from typing import Any

import pytest
import pytest_asyncio

from hops.matrix import CONFIGURATIONS
from hops.touring import Toured, tour


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def toured(request: pytest.FixtureRequest) -> Toured:
    """Visit every configuration that a chosen test asks for."""
    wanted = {name for item in request.session.items if (name := _name_asked_by(item))}
    everything = any(item.name == "test_the_table" for item in request.session.items)
    chosen = [one for one in CONFIGURATIONS if everything or one.name in wanted]
    return await tour(chosen)


def _name_asked_by(item: Any) -> str | None:
    chosen: str | None = getattr(getattr(item, "callspec", None), "params", {}).get("name")
    return chosen
