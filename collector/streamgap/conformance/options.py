"""The options of `streamgap conformance`, each refused with what was expected and what was got."""

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any

import httpx2

from streamgap.conformance.reading import Reading
from streamgap.conformance.target import KeyPlace, Target
from streamgap.core.showing import shown

_EPILOG = """\
Exit status: 0 every rule that applies holds, 1 one is broken, 2 usage, 3 one could not be decided, or nothing answered.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the program with 2 where it is wrong."""
    return _parser().parse_args(argv)


def target_of(given: argparse.Namespace) -> Target:
    """Return the endpoint that is asked for, and how it is asked."""
    method = (given.method or ("GET" if given.data is None else "POST")).upper()
    usual = KeyPlace("query", "cid") if method == "GET" else KeyPlace("header", "Idempotency-Key")
    return Target(
        url=given.url,
        method=method,
        headers=given.header,
        body=given.data,
        key_in=given.key_in or usual,
        vary=given.vary,
    )


def reading_of(given: argparse.Namespace) -> Reading:
    """Return how its answers are read."""
    return Reading(
        content_types=frozenset(given.content_event or ("message",)),
        text_path=tuple(given.text.split(".")) if given.text else (),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamgap conformance",
        description="Check an endpoint of streamed answers against the rules that make reconnects safe.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", type=_url, metavar="URL", help="the endpoint, http or https")
    parser.add_argument("--method", help="GET, or POST where there is --data")
    parser.add_argument("--data", type=_json, metavar="JSON", help="""the request's body, such as '{"prompt":"hi"}'""")
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'NAME: VALUE'", help="repeatable"
    )
    parser.add_argument(
        "--key-in",
        type=_key_place,
        metavar="header:NAME|query:NAME",
        help="where the idempotency key goes (default: query:cid for GET, header:Idempotency-Key for others)",
    )
    parser.add_argument("--vary", default="", metavar="NAME", help="field or parameter that holds the prompt")
    parser.add_argument(
        "--content-event", action="append", metavar="TYPE", help="event type that carries content (message); repeatable"
    )
    parser.add_argument(
        "--text", default="", metavar="PATH", help="compare this part of each event's JSON only, such as delta.text"
    )
    parser.add_argument("--heartbeat", type=_number, default=15.0, metavar="S", help="longest wanted silence (15)")
    parser.add_argument("--timeout", type=_number, default=60.0, metavar="S", help="time for one answer (60)")
    parser.add_argument("--wait", type=_number, metavar="S", help="pause before the reconnect (what retry: asks for)")
    parser.add_argument("--burst", type=_count, default=0, metavar="N", help="also ask N times at once (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _url(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"expected a URL like https://app.example.com/chat, got {shown(text)}")
    return url


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON, got {shown(text)} ({error})") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"expected 'NAME: VALUE', got {shown(text)}")
    return name.strip(), value.strip()


def _key_place(text: str) -> KeyPlace:
    kind, _, name = text.partition(":")
    if kind == "header" and name:
        return KeyPlace("header", name)
    if kind == "query" and name:
        return KeyPlace("query", name)
    raise argparse.ArgumentTypeError(f"expected header:NAME or query:NAME, got {shown(text)}")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 86_400:  # noqa: PLR2004, a day
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to 86400, got {shown(text)}")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 1000):  # noqa: PLR2004, more needs another tool
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 1000, got {shown(text)}")
    return int(text)
