"""Follows redirects once, before anything is measured."""

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urljoin

from streamgap.core.probe import Asked
from streamgap.doctor.client.limits import ClientLimits
from streamgap.doctor.client.probing import DEFAULTS, probe
from streamgap.doctor.client.target import CREDENTIALS, Target, TargetError

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})


async def settle(
    target: Target, *, clock: Callable[[], float] = time.monotonic, limits: ClientLimits = DEFAULTS
) -> Target:
    """Return the target that answers: `target` itself, or where its redirects lead.

    Each step is one request, dropped as soon as its headers came. A server that does not answer is no redirect; the
    probes will tell. Credentials do not follow to another origin, nor does `connect_to`. Raises TargetError for more
    than 5 redirects, for a loop, for a Location that cannot be asked for, and for one that leaves TLS.
    """
    limits = replace(limits, total_s=min(limits.total_s, limits.settle_s))
    seen = [target.url]
    for _ in range(MAX_REDIRECTS + 1):
        location = await _redirect(target, clock=clock, limits=limits)
        if location is None:
            return target
        target = _follow(target, location[0], location[1])
        if target.url in seen:
            raise TargetError(f"redirects: expected an answer, got a loop: {_chain(seen, target)}")
        seen.append(target.url)
    raise TargetError(f"redirects: expected at most {MAX_REDIRECTS}, got more: {_chain(seen[:-1], target)}")


async def _redirect(target: Target, *, clock: Callable[[], float], limits: ClientLimits) -> tuple[int, str] | None:
    method = "GET" if target.body is None else "POST"
    asked = Asked(name="settle", protocol=target.protocols[0], accept_encoding="identity", method=method)
    answer = await probe(replace(target, is_drip=False), asked, clock=clock, limits=limits, head_only=True)
    return (answer.status, answer.header("location")) if answer.status in _REDIRECTS else None


def _follow(target: Target, status: int, location: str) -> Target:
    if not location:
        raise TargetError(f"redirects: expected a Location from {target.url}, got status {status} without one")
    try:
        found = Target.of(urljoin(target.url, location))
    except (TargetError, ValueError) as error:
        where = f"Location of {target.url}"
        raise TargetError(f"redirects: expected an http or https URL in the {where}, got {location!r}") from error
    if target.scheme == "https" and found.scheme == "http":
        raise TargetError(
            f"redirects: expected {target.url} to stay on https, got {found.url!r}; ask that URL yourself"
        )
    same_origin = found.origin == target.origin
    return replace(
        target,
        scheme=found.scheme,
        host=found.host,
        port=found.port,
        path=found.path,
        headers=target.headers if same_origin else _without_credentials(target),
        body=target.body if status in _KEEPS_METHOD else None,
        connect_to=target.connect_to if same_origin else None,
    )


def _without_credentials(target: Target) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in target.headers if name.lower() not in CREDENTIALS)


def _chain(seen: list[str], target: Target) -> str:
    return " → ".join([*seen, target.url])
