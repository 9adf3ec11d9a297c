"""The options of `streamgap canary`."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from streamgap.core.showing import shown
from streamgap.doctor.options import add_request_options, host_port, url

MAX_ROUTES = 50
MAX_NAME = 128
EVERY_S = (1.0, 300.0)
_EPILOG = """\
A URL is a drip's (docs/drip.md): it is asked for ever, so it should not cost a model call. Its route label is its host
and path; --route gives it another, such as the route of the app whose path it shares. Exit status of --once: 0 every
route flows, 1 one is held, 2 usage, 3 one could not be reached or decided. Without --once: 0 when ended by a signal.
"""


class Route(NamedTuple):
    """The label of a route, and the URL that is asked for it."""

    name: str
    url: str


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line, its routes in `routes`; ends the program with 2 where it is wrong."""
    parser = _parser()
    given = parser.parse_args(argv)
    given.routes = [*(Route(named_by(address), address) for address in given.url), *given.route]
    names = [route.name for route in given.routes]
    if not names:
        parser.error(
            "expected a URL or --route NAME=URL, got none; try `streamgap canary https://app.example.com/drip`"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        parser.error(f"expected each route once, got {shown(twice)} twice; try --route with another name")
    if len(names) > MAX_ROUTES:
        parser.error(f"expected at most {MAX_ROUTES} routes, got {len(names)}; try a second canary")
    return given


def named_by(address: str) -> str:
    """Return the label of a URL that was given no name: host, port and path, without credentials and query."""
    parts = urlsplit(address)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"[:MAX_NAME]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamgap canary",
        description="Probe streams for ever, export what is seen to Prometheus, and say when a path begins to hold.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", nargs="*", type=url, metavar="URL", help="a drip, http or https")
    parser.add_argument("--route", action="append", default=[], type=_route, metavar="NAME=URL", help="repeatable")
    parser.add_argument("--every", type=_every, default=60.0, metavar="S", help="seconds between two runs (60)")
    parser.add_argument(
        "--bind", type=host_port, default=("127.0.0.1", 9465), metavar="HOST:PORT", help="metrics (127.0.0.1:9465)"
    )
    parser.add_argument("--once", action="store_true", help="ask once in every way, print, and end")
    add_request_options(parser)
    return parser


def _route(text: str) -> Route:
    name, equals, address = text.partition("=")
    if not (equals and name and name.isprintable() and len(name) <= MAX_NAME):
        raise argparse.ArgumentTypeError(f"expected NAME=URL, such as /chat=https://…/drip, got {shown(text)}")
    return Route(name, url(address))


def _every(text: str) -> float:
    least, most = EVERY_S
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not least <= value <= most:
        # The rules look 15 minutes back: with too few runs in them a slow canary would look like one that fails.
        raise argparse.ArgumentTypeError(f"expected {least:g} to {most:g} seconds, got {shown(text)}")
    return value
