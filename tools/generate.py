"""Write every generated file of the repository, or with --check name the stale ones and exit 1."""

import argparse
import sys
from pathlib import Path

from streamgap.alerting import stale, write_all

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a file is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's root (default: this checkout)")
    options = parser.parse_args()
    if not options.check:
        write_all(options.root)
        return 0
    names = stale(options.root)
    for name in names:
        print(
            f"{name}: expected what tools/generate.py writes, got something else; run `make generate`", file=sys.stderr
        )
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
