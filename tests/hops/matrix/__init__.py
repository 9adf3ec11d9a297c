"""Every configuration of the zoo."""

from hops.configuration import Configuration
from hops.matrix import apps, chains, nginx, proxies

CONFIGURATIONS: tuple[Configuration, ...] = (
    *nginx.CONFIGURATIONS,
    *proxies.CONFIGURATIONS,
    *apps.CONFIGURATIONS,
    *chains.CONFIGURATIONS,
)
