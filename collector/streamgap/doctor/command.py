"""`streamgap doctor`: the command line."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from streamgap.doctor.asking import Asking
from streamgap.doctor.client import ClientLimits, Lag, Target, TargetError
from streamgap.doctor.examine import Examiner
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.options import Place, add_request_options, headers_of, pace, place, seconds, url
from streamgap.doctor.path import Diagnosis, Tap, examine_path
from streamgap.doctor.progress import Progress, ProgressLine
from streamgap.doctor.report import document, text

UNREACHABLE = 3
INTERRUPTED = 130

_EPILOG = """\
Exit status: 0 the stream flows, 1 it is held, 2 usage, 3 no stream came or the evidence decides nothing.
"""


def main(argv: Sequence[str]) -> int:
    """Ask, judge, print; returns the exit status."""
    given = parse(argv)
    line = ProgressLine()
    try:
        diagnosis = asyncio.run(diagnose_path(given, progress=line))
    except KeyboardInterrupt:
        return INTERRUPTED
    except TargetError as error:
        line.clear()
        sys.stderr.write(f"streamgap doctor: {error}\n")
        return UNREACHABLE
    finally:
        line.clear()
    if given.evidence:
        Path(given.evidence).write_text(document(diagnosis, evidence=True), encoding="utf-8")
    if given.json:
        sys.stdout.write(document(diagnosis))
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        sys.stdout.write(text(diagnosis, colours=colours, width=shutil.get_terminal_size((100, 24)).columns))
    return diagnosis.exit_status


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the program with 2 where it is wrong."""
    return _parser().parse_args(argv)


async def diagnose_path(given: argparse.Namespace, *, progress: Progress) -> Diagnosis:
    """Examine every place that the command line names; raises TargetError for one that cannot be asked."""
    async with Lag(time.monotonic) as lag:
        taps = [_tap(one, given, lag=lag, outermost=False) for one in given.via]
        taps.append(_tap(Place("", given.url), given, lag=lag, outermost=True))
        return await examine_path(
            taps, hops=load_hops(), examiner=lambda tap, told: _examiner(tap, given, told), progress=progress
        )


def _examiner(tap: Tap, given: argparse.Namespace, progress: Progress) -> Examiner:
    return Examiner(tap.ask, tls=tap.tls, has_body=tap.has_body, pace=given.pace or (), progress=progress)


def _tap(named: Place, given: argparse.Namespace, *, lag: Lag, outermost: bool) -> Tap:
    target = Target.of(
        named.url,
        headers=headers_of(given),
        body=given.data.encode() if given.data is not None else None,
        verify=not given.insecure,
        connect_to=given.connect_to if outermost else None,
    )
    asking = Asking(target, lag=lag, limits=ClientLimits(total_s=given.timeout))
    return Tap(
        name=named.name or target.authority,
        url=target.url,
        tls=target.scheme == "https",
        ask=asking,
        has_body=target.body is not None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamgap doctor",
        description="Name the hop that holds a stream, how, and the line of configuration that frees it.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", type=url, metavar="URL", help="what a browser asks: a drip (docs/drip.md) or any stream")
    parser.add_argument(
        "--via",
        action="append",
        default=[],
        type=place,
        metavar="[NAME=]URL",
        help="the same endpoint further in, the app first; repeatable",
    )
    parser.add_argument("--data", metavar="BODY", help="the request's body, JSON; makes it a POST")
    parser.add_argument("--pace", type=pace, metavar="SEGMENTS", help="COUNTxBYTES@MS[+SILENCE_MS],… of the drip")
    parser.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="S", help="the longest that one stream may take (60)"
    )
    parser.add_argument("--evidence", metavar="FILE", help="write every arrival of every probe there, as JSON")
    add_request_options(parser)
    return parser
