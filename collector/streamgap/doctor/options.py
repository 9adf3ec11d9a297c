"""The options that the doctor's commands share, each refused with what was expected and what was got."""

import argparse
import math
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from streamgap.core.probe import Pace
from streamgap.core.showing import shown
from streamgap.doctor.drip.plan import PlanError, read_segments

_DAY_S = 86_400.0


class Place(NamedTuple):
    """A URL, and the name that people call it by."""

    name: str
    url: str


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """Add what is the same for every command that asks a URL."""
    parser.add_argument(
        "--header", action="append", default=[], type=header, metavar="'NAME: VALUE'", help="send it along; repeatable"
    )
    parser.add_argument("--token", metavar="TOKEN", help="the drip's token, where it has one")
    parser.add_argument("--insecure", action="store_true", help="do not check certificates")
    parser.add_argument(
        "--connect-to", type=host_port, metavar="HOST:PORT", help="connect there, whatever the URL's host is"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def headers_of(given: argparse.Namespace) -> Sequence[tuple[str, str]]:
    """Return the request headers that `add_request_options` collected."""
    token = [("x-drip-token", given.token)] if given.token else []
    return [*given.header, *token]


def url(text: str) -> str:
    """Return an http or https URL that has a host, else refuse it."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"expected a URL like https://app.example.com/drip, got {shown(text)}")
    return text


def place(text: str) -> Place:
    """Return a URL with the name that may stand before it: `proxy=http://…`."""
    name, equals, rest = text.partition("=")
    if equals and "/" not in name and name:
        return Place(name, url(rest))
    return Place("", url(text))


def pace(text: str) -> Pace:
    """Return the segments of a stream, as a drip's query has them."""
    try:
        return read_segments(text)
    except PlanError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def header(text: str) -> tuple[str, str]:
    """Return a header's name and value."""
    name, colon, value = text.partition(":")
    if not (colon and name.strip() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"expected 'NAME: VALUE', got {shown(text)}")
    return name.strip(), value.strip()


def host_port(text: str) -> tuple[str, int]:
    """Return a host and a port."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):  # noqa: PLR2004, ports
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, got {shown(text)}")
    return host.strip("[]"), int(port)


def seconds(text: str) -> float:
    """Return a duration above 0 and of at most a day, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _DAY_S:
        raise argparse.ArgumentTypeError(f"expected seconds above 0 and up to {_DAY_S:g}, got {shown(text)}")
    return value
