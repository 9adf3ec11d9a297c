"""`streamgap conformance`: the command line."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Sequence

import httpx2

from streamgap.conformance.conversation import GENERATIONS, MAX_REQUESTS, Conversation, Interviewer
from streamgap.conformance.endpoint import Endpoint
from streamgap.conformance.options import parse, reading_of, target_of
from streamgap.conformance.report import document, exit_status, table
from streamgap.conformance.rules import judge, rules_for
from streamgap.conformance.target import Target

UNREACHABLE = 3
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Ask, judge, print; returns the exit status."""
    given = parse(argv)
    target = target_of(given)
    progress = _Progress(most=MAX_REQUESTS + given.burst)
    sys.stderr.write(
        f"streamgap conformance: up to {MAX_REQUESTS + given.burst} requests. Model calls: {GENERATIONS + given.burst} "
        f"where the rules hold, up to one per request where they do not.\n"
    )
    try:
        talk = asyncio.run(_converse(given, target, progress))
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        progress.clear()
    if talk.first.status is None:
        sys.stderr.write(
            f"streamgap conformance: {target.url}: expected an answer within {given.timeout:g} s, "
            f"got {talk.first.summary}; try `curl -N` with the same URL\n"
        )
        return UNREACHABLE
    judged = judge(rules_for(method=target.method, heartbeat_s=given.heartbeat), talk)
    if given.json:
        sys.stdout.write(document(judged, url=str(target.url), requests=len(talk.exchanges)))
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        sys.stdout.write(table(judged, colours=colours, width=_columns()))
    return exit_status(judged)


async def _converse(given: argparse.Namespace, target: Target, progress: Callable[[str], None]) -> Conversation:
    async with httpx2.AsyncClient(timeout=None) as client:
        endpoint = Endpoint(
            client=client, target=target, reading=reading_of(given), timeout_s=given.timeout, progress=progress
        )
        return await Interviewer(endpoint=endpoint, wait_s=given.wait, burst=given.burst).converse()


class _Progress:
    """One line on a terminal that says what is being asked."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._count = 0
        self._shown = sys.stderr.isatty()

    def __call__(self, asked: str) -> None:
        self._count += 1
        if self._shown:
            line = f"[{self._count} of up to {self._most}] {asked}"
            sys.stderr.write(f"\r\x1b[K{line[: _columns() - 1]}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def _columns() -> int:
    """Return the width of the terminal, 120 where there is none."""
    return max(shutil.get_terminal_size((120, 24)).columns, 60)
