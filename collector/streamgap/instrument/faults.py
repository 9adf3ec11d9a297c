"""Our own failures. They are logged and counted, and never reach the user's stream."""

import contextlib
import logging
from typing import Literal

from opentelemetry import metrics

Where = Literal[
    "classify", "read", "metrics", "patch", "headers", "watch", "heartbeat", "stamp", "half", "span", "sink"
]

_log = logging.getLogger("streamgap")


def note_fault(where: Where, error: Exception) -> None:
    """Log and count (`streamgap.instrument.faults`) that a part of ours failed, and is off for the rest of a stream."""
    _log.warning(
        "streamgap %s: failed and is switched off for this stream, which goes on unharmed; please report this",
        where,
        exc_info=error,
    )
    with contextlib.suppress(Exception):  # the host survives its metrics SDK, too
        counter = metrics.get_meter("streamgap").create_counter(
            "streamgap.instrument.faults", unit="{fault}", description="Failures of the instrumentation itself."
        )
        counter.add(1, {"where": where})
