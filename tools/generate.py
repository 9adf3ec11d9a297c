"""Write every generated file of the repository, or with --check name the stale ones and exit 1."""

import argparse
import sys
from pathlib import Path

from streamgap.alerting import rendered
from streamgap.doctor.code_pages import code_pages
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.pages import hop_pages
from streamgap.service import settings

ROOT = Path(__file__).parents[1]
SETTINGS_DOC = """\
# Settings of `streamgap serve`

Flag > environment > default. An unknown `STREAMGAP_*` variable is an error. Generated from `service/settings.py`.

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a file is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's root (default: this checkout)")
    options = parser.parse_args()
    stale = 0
    hops = load_hops()
    made = {**rendered(), "docs/settings.md": SETTINGS_DOC + settings.reference()}
    for name, text in {**made, **hop_pages(hops), **code_pages(hops)}.items():
        path: Path = options.root / name
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale = 1
            said = "expected what tools/generate.py writes, got something else; run `make generate`"
            print(f"{name}: {said}", file=sys.stderr)
    return stale


if __name__ == "__main__":
    sys.exit(main())
