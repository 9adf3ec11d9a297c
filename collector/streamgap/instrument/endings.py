"""Exceptions → outcome and `error.type`, by their classes' names: no SDK is imported to recognise its errors."""

import asyncio
from dataclasses import dataclass

from streamgap.core.words import Outcome


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call or a response ended: `error` is OpenTelemetry's `error.type`, an HTTP status or a class; or empty."""

    outcome: Outcome
    error: str


def ending_of(error: BaseException) -> Ending:
    """Say what an exception that ended a model call means.

    The same fault has many names: a silent model is `httpx2.ReadTimeout`, `aiohttp.ServerTimeoutError`,
    `openai.APITimeoutError` or the built-in `TimeoutError`, as the SDK and its HTTP client would have it.
    """
    error = innermost(error)
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        return Ending(Outcome.CLIENT_GONE, "")
    if not isinstance(error, Exception):
        return Ending(Outcome.APP_ERROR, class_of(error))
    if any("Timeout" in base.__name__ for base in type(error).__mro__):
        return Ending(Outcome.TIMEOUT, class_of(error))
    return Ending(Outcome.UPSTREAM_ERROR, _status_of(error) or class_of(error))


def class_of(error: BaseException) -> str:
    """Name an exception's class with its top-level package: `httpx2.ReadError`, but `ValueError` for a built-in one."""
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def innermost(error: BaseException) -> BaseException:
    """Unwrap the groups of one that task groups raise."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _status_of(error: Exception) -> str:
    """Return the HTTP status an SDK's error carries: google-genai in `code`, OpenAI and Anthropic in `status_code`."""
    for name in ("status_code", "code"):
        code = getattr(error, name, None)
        if isinstance(code, int) and 400 <= code <= 599:  # noqa: PLR2004, the range of HTTP statuses
            return str(code)
    return ""
