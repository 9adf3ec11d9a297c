"""The lines of the knowledge base's remedies, put into a configuration as a person would do it."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from streamgap.doctor.knowledge import load_hops

_TWO_WORDS = frozenset({"option", "no", "timeout", "compression", "http-response", "proxy_set_header"})
_DIRECTIVE = re.compile(r"[^;\n]+;?")


def lines_of(hop: str, remedy: str) -> str:
    """Return the lines of a remedy; a name that the knowledge base does not have fails."""
    known = {one.id: one.lines for program in load_hops() if program.name == hop for one in program.remedies}
    if remedy not in known:
        raise AssertionError(f"the zoo: expected {hop} to have the remedy {remedy!r}, got only {sorted(known)}")
    return known[remedy]


def merged(lines: str, *, hop: str, remedies: Sequence[str]) -> str:
    """Return `lines` with those of the remedies in place of what sets the same."""
    new = [line for remedy in remedies for line in _directives(lines_of(hop, remedy))]
    replaced = {_sets(one) for one in new}
    return "\n".join([*(one for one in _directives(lines) if _sets(one) not in replaced), *new])


def overlaid(settings: dict[str, Any], *, hop: str, remedies: Sequence[str]) -> dict[str, Any]:
    """Return `settings` with those of remedies that are written in YAML laid over them."""
    for remedy in remedies:
        settings = _over(settings, yaml.safe_load(lines_of(hop, remedy)))
    return settings


def _over(settings: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {name: _over(settings[name], value) for name, value in new.items() if isinstance(settings.get(name), dict)}
    return {**settings, **new, **both}


def _directives(lines: str) -> list[str]:
    found = (one.strip() for one in _DIRECTIVE.findall(lines))
    return [one for one in found if one and not one.startswith("#")]


def _sets(directive: str) -> str:
    """Return what a directive sets: its first word, and the second where the first only says that it is an option."""
    words = directive.rstrip(";").split()
    return " ".join(words[:2]) if words[0] in _TWO_WORDS else words[0]
