"""Diagnoses chosen configurations by hand: `python tests/hops/run.py [NAME…] [--record DIR] [--pace SEGMENTS]`."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from hops.judging import Judgement
from hops.matrix import CONFIGURATIONS
from hops.table import table
from hops.touring import AT_ONCE, Outcome, tour


def main() -> int:
    """Print each outcome as it comes and the table at the end; 1 where anything was not as it must be."""
    given = _parser().parse_args()
    chosen = [one for one in CONFIGURATIONS if not given.names or any(name in one.name for name in given.names)]
    if given.list:
        _say("\n".join(f"{one.name:<32}{', '.join(sorted(one.truth.mechanisms)) or 'clean'}" for one in chosen))
        return 0
    if given.record is not None:
        given.record.mkdir(parents=True, exist_ok=True)
    options = ("--pace", given.pace) if given.pace else ()
    began_s = time.monotonic()
    toured = asyncio.run(tour(chosen, record=given.record, at_once=given.at_once, options=options, told=_tell))
    _say(f"\n{table(toured.judgements)}\n\n{len(toured.outcomes)} paths in {time.monotonic() - began_s:.0f} s")
    _say(f"{toured.repeated} diagnoses were made again because the prober was held up")
    return 0 if all(map(_well, toured.outcomes.values())) else 1


def _tell(name: str, outcome: Outcome) -> None:
    if isinstance(outcome, Judgement):
        _say(f"{outcome.mark:<20} {name:<30} {outcome.said} {'; '.join(outcome.cure_faults.values())}")
    else:
        _say(f"{'could not be had':<20} {name:<30} {type(outcome).__name__}: {outcome}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _well(outcome: Outcome) -> bool:
    return isinstance(outcome, Judgement) and not outcome.fault and not outcome.cure_faults


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of configurations; none: all")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write the probes of each diagnosis there, as JSON")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N")
    parser.add_argument("--pace", metavar="SEGMENTS", help="another pace of the drip than the doctor's own")
    parser.add_argument("--list", action="store_true", help="only list what is there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
