"""Files that travel with the package: the beacon's build, the dashboards, the alert rules.

In a wheel they lie in `streamgap/_shipped`; in a checkout they are read from where they are made.
"""

from pathlib import Path

_PACKAGED = Path(__file__).parent / "_shipped"
_CHECKOUT = Path(__file__).parents[2]
_MADE_IN = {"beacon_js": "beacon_js/dist", "dashboards": "dashboards", "alerts": "alerts"}


def path(kind: str, name: str) -> Path:
    """Return the file `name` of `kind` (`beacon_js`, `dashboards`, `alerts`).

    Raises FileNotFoundError that says where it was looked for and how to make it.
    """
    found = (_PACKAGED / kind if _PACKAGED.is_dir() else _CHECKOUT / _MADE_IN[kind]) / name
    if not found.is_file():
        raise FileNotFoundError(f"shipped {kind}: expected {found}, found no file; in a checkout run `make generate`")
    return found


def read_bytes(relative: str) -> bytes:
    """Return the content of `<kind>/<name>`, such as `beacon_js/beacon.iife.js`."""
    kind, _, name = relative.partition("/")
    return path(kind, name).read_bytes()
