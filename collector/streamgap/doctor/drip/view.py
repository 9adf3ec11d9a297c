"""The request as the app saw it, told back: what the hops before it changed is evidence, credentials are hidden."""

import re
from collections.abc import Iterable, Iterator

from streamgap.core.probe import AppView

HIDDEN = "***"
MAX_HEADERS = 64
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 256
MAX_CHARS = 8192

# By what names usually say: session cookies, API keys, and the identity that balancers add (x-amzn-oidc-data, ...).
_SECRET = re.compile(
    r"cookie|token|secret|passw|session|jwt|oidc|credential|assertion|signature|(^|[-_])(api|)key([-_]|$)"
    r"|(^|[-_])auth([-_]|$|oriz|oris|ent)"
)
_ADDRESS = re.compile(r"referer$|ur[il]$|path$")


def app_view(*, protocol: str, method: str, headers: Iterable[tuple[str, str]], in_flight: int) -> AppView:
    """Return what is told, with credentials hidden and everything bounded; names come in lower case."""
    return AppView(protocol=protocol, method=method, headers=tuple(_bounded(headers)), in_flight=in_flight)


def _bounded(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    room = MAX_CHARS
    for told, (name, value) in enumerate(headers):
        shown = name[:MAX_NAME_CHARS], _shown(name, value)[:MAX_VALUE_CHARS]
        room -= sum(map(len, shown))
        if told == MAX_HEADERS or room < 0:
            return
        yield shown


def _shown(name: str, value: str) -> str:
    if _SECRET.search(name):
        return HIDDEN
    # Proxies hand on the address that was asked for, and a query may hold anything, our own token too.
    path, question, _ = value.partition("?")
    return f"{path}?{HIDDEN}" if question and _ADDRESS.search(name) else value
