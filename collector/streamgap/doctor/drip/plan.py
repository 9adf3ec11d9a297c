"""The query of a drip: its grammar, read and written here and nowhere else."""

import math
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from streamgap.core.errors import StreamgapError
from streamgap.core.probe import ORDINARY, Asked, Hint, Pace, Segment
from streamgap.core.showing import shown
from streamgap.doctor.drip.limits import MAX_EVENT_BYTES, MIN_EVENT_BYTES, Limits
from streamgap.doctor.drip.schedule import Plan

_TRY = "try segments=20x110@60,150x700@8+900"
_MAX_SEGMENTS = 64
_NUMBER = r"\d{1,9}(?:\.\d{1,6})?"
# A "+" that was not escaped reaches us as the space that it stands for in a query.
_SEGMENT = re.compile(rf"(\d{{1,9}})x(\d{{1,9}})@({_NUMBER})(?:[+ ]({_NUMBER}))?", re.ASCII)
_SENT = {hint.value: hint for hint in Hint if hint is not Hint.OPENING}
_PARAMETERS = ("segments", "count", "gap_ms", "size", "open", "hints", "heartbeat_ms", "padding")
_USUAL = {"count": "40", "size": "120", "gap_ms": "50"}


class PlanError(StreamgapError):
    """A query that is no plan, or one past the limits."""


def plan_of(query: str, *, limits: Limits) -> Plan:
    """Read a query string; parameters that are not ours are passed over. Raises PlanError."""
    given = _given(query)
    plan = Plan(
        segments=_segments_of(given),
        hints=_hints_of(given),
        heartbeat_ms=_number(given, "heartbeat_ms", least=10.0, most=limits.max_s * 1000),
        padding_bytes=int(_number(given, "padding", least=1.0, most=MAX_EVENT_BYTES, whole=True)),
    )
    _check(plan, limits)
    return plan


def read_segments(text: str) -> Pace:
    """Read the value of `segments`. Raises PlanError."""
    parts = text.split(",")
    if len(parts) > _MAX_SEGMENTS:
        raise PlanError(f"drip: expected at most {_MAX_SEGMENTS} segments, got {len(parts)}; {_TRY}")
    return tuple(_segment(part) for part in parts)


def query_of(asked: Asked) -> dict[str, str]:
    """Write the query that asks for `asked`; times are rounded to 1 µs."""
    query = {}
    if asked.pace:
        query["segments"] = ",".join(_written(segment) for segment in asked.pace)
    if Hint.OPENING in asked.hints:
        query["open"] = "1"
    if sent := sorted(asked.hints - {Hint.OPENING}):
        query["hints"] = ",".join(sent)
    if asked.heartbeat_ms:
        query["heartbeat_ms"] = _ms(asked.heartbeat_ms)
    if asked.padding_bytes:
        query["padding"] = str(asked.padding_bytes)
    return query


def _written(segment: Segment) -> str:
    silence = f"+{_ms(segment.silence_ms)}" if segment.silence_ms else ""
    return f"{segment.count}x{segment.size_bytes}@{_ms(segment.gap_ms)}{silence}"


def _ms(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _given(query: str) -> dict[str, str]:
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise PlanError("drip: expected at most 100 query parameters, got more") from error
    for name in _PARAMETERS:
        if len(values := fields.get(name, ())) > 1:
            raise PlanError(f"drip: expected {name} once, got it {len(values)} times")
    return {name: fields[name][0] for name in _PARAMETERS if name in fields}


def _segments_of(given: dict[str, str]) -> Pace:
    single = [name for name in _USUAL if name in given]
    if "segments" not in given:
        return read_segments("{count}x{size}@{gap_ms}".format_map(_USUAL | given)) if single else ORDINARY
    if single:
        raise PlanError(f"drip: expected either segments or {', '.join(_USUAL)}, got segments and {single[0]}")
    return read_segments(given["segments"])


def _segment(text: str) -> Segment:
    if not (match := _SEGMENT.fullmatch(text)):
        raise PlanError(f"drip: expected segments as COUNTxSIZE@GAP_MS[+SILENCE_MS], got {shown(text)}; {_TRY}")
    count, size, gap, silence = match.groups()
    segment = Segment(count=int(count), size_bytes=int(size), gap_ms=float(gap), silence_ms=float(silence or 0))
    if not segment.count:
        raise PlanError(f"drip: expected at least one event in a segment, got {shown(text)}; {_TRY}")
    if not MIN_EVENT_BYTES <= segment.size_bytes <= MAX_EVENT_BYTES:
        raise PlanError(
            f"drip: expected a size of {MIN_EVENT_BYTES} to {MAX_EVENT_BYTES} bytes, got {shown(text)}; {_TRY}"
        )
    return segment


def _hints_of(given: Mapping[str, str]) -> frozenset[Hint]:
    names = [name for name in given.get("hints", "").split(",") if name]
    for name in names:
        if name not in _SENT:
            raise PlanError(
                f"drip: expected hints of {', '.join(sorted(_SENT))}, got {shown(name)}; the opening comment is open=1"
            )
    match given.get("open", "0"):
        case "1":
            opening = {Hint.OPENING}
        case "0":
            opening = set()
        case other:
            raise PlanError(f"drip: expected open=0 or open=1, got {shown(other)}")
    return frozenset(_SENT[name] for name in names) | opening


def _number(given: Mapping[str, str], name: str, *, least: float, most: float, whole: bool = False) -> float:
    text = given.get(name, "0")
    value = float(text) if re.fullmatch(r"\d{1,9}" if whole else _NUMBER, text, re.ASCII) else math.nan
    if value == 0 or least <= value <= most:
        return value
    kind = "a whole number" if whole else "a number"
    raise PlanError(f"drip: expected {name} to be 0 or {kind} from {least:g} to {most:g}, got {shown(text)}")


def _check(plan: Plan, limits: Limits) -> None:
    if plan.expected > limits.max_events:
        raise PlanError(f"drip: expected at most {limits.max_events} events, got {plan.expected}; try fewer")
    if plan.total_ms > limits.max_s * 1000:
        raise PlanError(
            f"drip: expected a stream of at most {limits.max_s:g} s, got {plan.total_ms / 1000:.1f} s; try shorter gaps"
        )
    if plan.total_bytes > limits.max_bytes:
        raise PlanError(
            f"drip: expected at most {limits.max_bytes} bytes, got {plan.total_bytes}; "
            "try fewer or smaller events, or less padding"
        )
