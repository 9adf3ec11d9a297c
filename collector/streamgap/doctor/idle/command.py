"""`streamgap idle`: the command line."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from streamgap.core.probe import Arrival, Asked, Probe, Protocol
from streamgap.core.showing import shown
from streamgap.doctor.client import ClientLimits, Target, TargetError, probe, settle
from streamgap.doctor.idle.fate import GRACE_S
from streamgap.doctor.idle.measure import Ask
from streamgap.doctor.idle.plan import (
    LONGEST_S,
    MAX_LONGEST_S,
    MAX_STREAMS,
    MIN_LONGEST_S,
    MIN_STREAMS,
    STREAMS,
    Plan,
)
from streamgap.doctor.idle.report import document, text
from streamgap.doctor.idle.result import Result, measure_idle
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.options import add_request_options, headers_of, seconds, url
from streamgap.doctor.progress import Progress, ProgressLine

UNREACHABLE = 3
INTERRUPTED = 130
_SLACK_S = 10.0

_EPILOG = """\
Exit status: 0 nothing cuts a stream below the longest silence, 1 something does or heartbeats do not arrive, 2 usage,
3 no drip answered or the evidence decides nothing.
"""


def main(argv: Sequence[str]) -> int:
    """Ask, judge, print; returns the exit status."""
    given = _parser().parse_args(argv)
    line = ProgressLine()
    try:
        target, result = asyncio.run(_measured(given, progress=line))
    except KeyboardInterrupt:
        return INTERRUPTED
    except TargetError as error:
        line.clear()
        sys.stderr.write(f"streamgap idle: {error}\n")
        return UNREACHABLE
    finally:
        line.clear()
    if given.json:
        sys.stdout.write(document(result, url=target.url))
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = max(shutil.get_terminal_size((100, 24)).columns, 60)
        sys.stdout.write(text(result, url=target.url, colours=colours, width=width))
    return result.exit_status


def asking(target: Target, *, clock: Callable[[], float], plan: Plan) -> Ask:
    """Return what makes one probe of `target`; it waits a little longer than the longest silence."""
    limits = ClientLimits(total_s=plan.longest_s + 4 * GRACE_S + _SLACK_S)

    async def ask(asked: Asked, heard: Callable[[Arrival], None], stop: asyncio.Event) -> Probe:
        return await probe(target, asked, clock=clock, limits=limits, on_event=heard, stop=stop)

    return ask


async def _measured(given: argparse.Namespace, *, progress: Progress) -> tuple[Target, Result]:
    asked = Target.of(
        given.url,
        headers=headers_of(given),
        verify=not given.insecure,
        connect_to=given.connect_to,
        is_drip=True,
    )
    target = await settle(asked)
    plan = Plan(longest_s=given.longest, streams=given.streams)
    protocol = Protocol.H2 if given.h2 else target.protocols[0]
    if protocol not in target.protocols:
        raise TargetError(f"--h2: expected an https URL, got {target.url}")
    result = await measure_idle(
        asking(target, clock=time.monotonic, plan=plan),
        plan=plan,
        protocol=protocol,
        hops=load_hops(),
        clock=time.monotonic,
        progress=progress,
    )
    return target, result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamgap idle",
        description=(
            "Measure how long the path lets a stream be silent. All streams are asked for at once: most of them silent "
            "for a time of their own, some that talk or send heartbeats."
        ),
        epilog=_EPILOG,
    )
    parser.add_argument("url", type=url, metavar="URL", help="a drip (docs/drip.md), where the people ask")
    parser.add_argument(
        "--longest", type=_longest, default=LONGEST_S, metavar="S", help=f"the longest silence to try ({LONGEST_S:g})"
    )
    parser.add_argument(
        "--streams",
        type=_streams,
        default=STREAMS,
        metavar="N",
        help=f"how many streams at once, {MIN_STREAMS} to {MAX_STREAMS} ({STREAMS})",
    )
    parser.add_argument("--h2", action="store_true", help="ask over HTTP/2")
    add_request_options(parser)
    return parser


def _longest(given: str) -> float:
    value = seconds(given)
    if not MIN_LONGEST_S <= value <= MAX_LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"expected seconds from {MIN_LONGEST_S:g} to {MAX_LONGEST_S:g}, got {shown(given)}"
        )
    return value


def _streams(given: str) -> int:
    if not (given.isascii() and given.isdecimal() and MIN_STREAMS <= int(given) <= MAX_STREAMS):
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {MIN_STREAMS} to {MAX_STREAMS}, got {shown(given)}"
        )
    return int(given)
