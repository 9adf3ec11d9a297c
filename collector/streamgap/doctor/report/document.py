"""The diagnosis as one JSON document; its schema is told in docs/doctor.md and only ever grows."""

from typing import Any

import msgspec

from streamgap.core.hops import Suspect
from streamgap.core.mechanism import CODES, Finding
from streamgap.core.probe import Probe
from streamgap.doctor.path import Charge, Diagnosis, Examined

SCHEMA = 1


def document(diagnosis: Diagnosis, *, evidence: bool = False) -> str:
    """Return everything as one line of JSON; with `evidence` every arrival of every probe, too."""
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": diagnosis.verdict,
        "exit_status": diagnosis.exit_status,
        "charges": [_charge(one) for one in diagnosis.charges],
        "taps": [_tap(one, evidence=evidence) for one in diagnosis.taps],
    }
    return msgspec.json.encode(made).decode() + "\n"


def _charge(charge: Charge) -> dict[str, Any]:
    return {
        **_finding(charge.finding),
        "tap": charge.tap,
        "inner": charge.inner,
        "suspects": [_suspect(one) for one in charge.suspects],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    code = CODES[finding.mechanism]
    return {"code": code.code, "title": code.title, "severity": code.severity, **msgspec.to_builtins(finding)}


def _suspect(suspect: Suspect) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(suspect)
    return made


def _tap(examined: Examined, *, evidence: bool) -> dict[str, Any]:
    probes = examined.examination.probes
    return {
        "name": examined.tap.name,
        "url": examined.tap.url,
        "drip": examined.examination.is_drip,
        "sightings": msgspec.to_builtins(examined.sightings),
        "findings": [_finding(one) for one in examined.examination.findings],
        "probes": [msgspec.to_builtins(one) if evidence else _summary(one) for one in probes],
    }


def _summary(probe: Probe) -> dict[str, Any]:
    """Return a probe without its arrivals."""
    made: dict[str, Any] = msgspec.to_builtins(probe)
    for bulky in ("events", "reads", "comments_ms"):
        made.pop(bulky, None)
    first_ms = probe.events[0].came_ms if probe.events else None
    return {**made, "events": len(probe.events), "reads": len(probe.reads), "first_event_ms": first_ms}
