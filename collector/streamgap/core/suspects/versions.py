"""Bounds of versions, such as `>=1.13,<1.29.7`."""

import re


def within(version: str, bounds: str) -> bool:
    """Return whether `version` is inside all of `bounds` (`>=1.13,<1.29.7`); one without numbers is."""
    numbers = _numbers(version)
    return not numbers or all(_holds(numbers, bound.strip()) for bound in bounds.split(","))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number[:9]) for number in re.findall(r"\d+", version)[:4])


def _holds(numbers: tuple[int, ...], bound: str) -> bool:
    limit = _numbers(bound)
    compared = (numbers[: len(limit)] > limit) - (numbers[: len(limit)] < limit)
    return {">=": compared >= 0, "<": compared < 0, ">": compared > 0, "<=": compared <= 0}[_relation(bound)]


def _relation(bound: str) -> str:
    found = re.match(r"[<>]=?", bound)
    if found is None:
        raise ValueError(f"bound of a version: expected >=, >, <= or < and a version, got {bound!r}")
    return found.group()
