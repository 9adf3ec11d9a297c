"""Settings of the collector: flag > `STREAMGAP_*` > default, from one table.

The fields of `Settings` are that table: each carries its help and its parser, and the flags, the environment names and
the reference in the docs are derived from it.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import isfinite
from typing import Any, Literal
from urllib.parse import urlsplit

from streamgap.core.errors import SettingsError
from streamgap.core.verdict import DEFAULT_THRESHOLDS, Thresholds

ENV_PREFIX = "STREAMGAP_"
FOREIGN_ENV = frozenset({"STREAMGAP_CHROMIUM", "STREAMGAP_FIREFOX"})
MIB = 1024 * 1024

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a TCP port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):  # noqa: PLR2004 the last TCP port
        raise ValueError("host:port, for example 127.0.0.1:8790 or [::1]:8790")
    return Address(host=host.removeprefix("[").removesuffix("]") or "0.0.0.0", port=int(port))  # noqa: S104 asked for


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def _number(*, at_least: float, most: float = 1e9) -> Callable[[str], float]:
    def parse(text: str) -> float:
        expected = f"a number from {at_least:g} to {most:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(expected) from None
        if not (isfinite(value) and at_least <= value <= most):
            raise ValueError(expected)
        return value

    return parse


def _integer(*, at_least: int, most: int = 10**12) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and at_least <= int(text) <= most):
            raise ValueError(f"a whole number from {at_least} to {most}")
        return int(text)

    return parse


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return parse


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(_words(text))
    for origin in origins:
        parts = urlsplit(origin)
        host = parts.netloc.removeprefix("*.")
        exact = parts.scheme in ("http", "https") and host and origin == f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and (not exact or "*" in host or "@" in host):
            raise ValueError("*, an origin like https://app.example.com, or https://*.example.com")
    return origins


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(word) for word in _words(text))
    except ValueError as error:
        raise ValueError(f"networks like 10.0.0.0/8, ::1/128 ({error})") from None


def _endpoint(text: str) -> str:
    if text and not (urlsplit(text).scheme in ("http", "https") and urlsplit(text).netloc):
        raise ValueError("an http(s) URL, or nothing")
    return text


def _read(parse: Callable[[str], Any], help_: str) -> dict[str, Any]:
    return {"parse": parse, "help": help_}


_SECONDS = _number(at_least=0.001, most=86_400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the collector can be told. Times in s, sizes in bytes, rates per second and client."""

    bind: Address = field(
        default=Address(host="127.0.0.1", port=8790),
        metadata=_read(_address, "public listener: beacons and the script"),
    )
    admin_bind: Address = field(
        default=Address(host="127.0.0.1", port=8791),
        metadata=_read(_address, "listener for /metrics, /v1/traces and the live page"),
    )
    allow_origin: tuple[str, ...] = field(
        default=(),
        metadata=_read(
            _origins, "other origins whose pages may report: exact, https://*.example.com, or *; repeatable"
        ),
    )
    allow_no_origin: bool = field(
        default=False, metadata=_read(_boolean, "accept reports without an Origin header (not from a browser)")
    )
    allow_null_origin: bool = field(
        default=False, metadata=_read(_boolean, "accept Origin: null (sandboxed frames, some privacy modes)")
    )
    trusted_proxies: tuple[Network, ...] = field(
        default=(), metadata=_read(_networks, "networks whose X-Forwarded-For is believed")
    )
    client_rate: float = field(
        default=5.0, metadata=_read(_number(at_least=0.01), "reports per second one client address may keep up")
    )
    client_burst: int = field(
        default=30, metadata=_read(_integer(at_least=1, most=10**6), "reports one client address may send at once")
    )
    ttl_s: float = field(default=60.0, metadata=_read(_SECONDS, "how long a half waits for its other half"))
    pending_entries: int = field(
        default=100_000, metadata=_read(_integer(at_least=1), "streams that may wait for a half")
    )
    pending_bytes: int = field(
        default=64 * MIB, metadata=_read(_integer(at_least=1), "bytes that waiting halves may take")
    )
    window_s: float = field(default=300.0, metadata=_read(_SECONDS, "length of the window that counts one client once"))
    hold_s: float = field(
        default=DEFAULT_THRESHOLDS.hold / 1000, metadata=_read(_SECONDS, "hold beyond which the path is to blame")
    )
    gap_s: float = field(
        default=DEFAULT_THRESHOLDS.gap / 1000, metadata=_read(_SECONDS, "gap beyond which the path is to blame")
    )
    page_s: float = field(
        default=DEFAULT_THRESHOLDS.page / 1000, metadata=_read(_SECONDS, "arrival to paint: the page is to blame")
    )
    app_s: float = field(
        default=DEFAULT_THRESHOLDS.app / 1000, metadata=_read(_SECONDS, "time in the app: the app is to blame")
    )
    model_s: float = field(
        default=DEFAULT_THRESHOLDS.model / 1000, metadata=_read(_SECONDS, "time in the model: the model is to blame")
    )
    max_routes: int = field(
        default=20, metadata=_read(_integer(at_least=1, most=10_000), "routes told apart; the rest is `other`")
    )
    max_models: int = field(
        default=20, metadata=_read(_integer(at_least=1, most=10_000), "models told apart; the rest is `other`")
    )
    otlp_endpoint: str = field(
        default="", metadata=_read(_endpoint, "OTLP/HTTP base URL that gets metrics and client spans; empty: off")
    )
    otlp_interval_s: float = field(
        default=60.0, metadata=_read(_number(at_least=0.1, most=86_400.0), "time between two pushes")
    )
    otlp_timeout_s: float = field(
        default=3.0, metadata=_read(_number(at_least=0.1, most=60.0), "how long a push may take")
    )
    drain_s: float = field(
        default=10.0, metadata=_read(_number(at_least=0.0, most=3600.0), "how long open requests may take on SIGTERM")
    )
    log_format: Literal["json", "text"] = field(default="json", metadata=_read(_choice("json", "text"), "json or text"))
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata=_read(_choice("debug", "info", "warning", "error"), "debug, info, warning or error")
    )

    @property
    def thresholds(self) -> Thresholds:
        """The verdict's limits, in ms as the core wants them."""
        seconds = {"hold": self.hold_s, "gap": self.gap_s, "page": self.page_s, "app": self.app_s}
        return Thresholds(model=self.model_s * 1000.0, **{name: value * 1000.0 for name, value in seconds.items()})


OPTIONS: Mapping[str, dataclasses.Field[Any]] = {option.name: option for option in dataclasses.fields(Settings)}


def flag_of(name: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def env_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one flag per setting; `load` reads what was given."""
    for name, option in OPTIONS.items():
        text = option.metadata["help"].replace("%", "%%")
        default = default_text(name)
        kind: dict[str, Any] = {"metavar": name.rpartition("_")[2].upper()}
        if isinstance(option.default, bool):
            kind = {"nargs": "?", "const": "true", "metavar": "BOOL"}
        elif isinstance(option.default, tuple):
            kind["action"] = "append"
        help_ = f"{text} (default: {default or 'none'}; {env_of(name)})"
        parser.add_argument(flag_of(name), dest=name, default=None, help=help_, **kind)


def load(namespace: argparse.Namespace | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a command line and an environment.

    Raises SettingsError for a value out of range and for a `STREAMGAP_*` variable that is none of ours.
    """
    names = {env_of(name): name for name in OPTIONS}
    given: dict[str, tuple[str, str]] = {}
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX) and variable not in FOREIGN_ENV:
            if variable not in names:
                raise _unknown(variable, list(names), "environment")
            given[names[variable]] = (variable, environ[variable])
    for name in OPTIONS:
        flag = getattr(namespace, name, None)
        if flag is not None:
            given[name] = (flag_of(name), ",".join(flag) if isinstance(flag, list) else flag)
    return Settings(**{name: _parse(name, where=where, text=text) for name, (where, text) in given.items()})


def default_text(name: str) -> str:
    """Return a setting's default as one would write it."""
    default = OPTIONS[name].default
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}"


def reference() -> str:
    """Return the Markdown table of all settings."""
    rows = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    for name, option in OPTIONS.items():
        default = f"`{default_text(name)}`" if default_text(name) else "none"
        rows.append(f"| `{flag_of(name)}` | `{env_of(name)}` | {default} | {option.metadata['help']} |")
    return "\n".join(rows) + "\n"


def _parse(name: str, *, where: str, text: str) -> Any:
    try:
        return OPTIONS[name].metadata["parse"](text)
    except ValueError as error:
        default = default_text(name) or "none"
        raise SettingsError(
            f"{where}: expected {error}, got {text!r}. Leave it out for the default, {default}"
        ) from None


def _unknown(name: str, known: list[str], where: str) -> SettingsError:
    # Compared without the prefix they share, or every misspelling would look like every setting.
    bare = {candidate.removeprefix(ENV_PREFIX): candidate for candidate in known}
    close = get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=1)
    advice = f"did you mean {bare[close[0]]}?" if close else f"one of: {', '.join(known)}"
    return SettingsError(f"{where}: expected settings of streamgap, got {name!r}; {advice}")
