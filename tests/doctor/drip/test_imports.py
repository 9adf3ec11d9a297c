"""The drip runs inside the user's app, and brings nothing into it."""

import subprocess
import sys

LOADED = """
import sys, streamgap
before = set(sys.modules)
import streamgap.doctor
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""


def test_it_needs_no_more_than_streamgap_itself() -> None:
    """Importing `streamgap.doctor` loads no HTTP client, no web framework, nothing of the prober's."""
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert set(run.stdout.split()) == {"streamgap"}
