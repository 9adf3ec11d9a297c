"""Waiting until a program serves: polled, with a deadline, and with its log where it never does."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from hops.configuration import Site

PATIENCE_S = 30.0
_POLL_S = 0.03
_LOG_TAIL = 3000
_NOT_FOUND = b" 404 "


async def until_listening(port: int, process: asyncio.subprocess.Process, *, what: Sequence[str], log: Path) -> None:
    """Return when `port` is listened to. Raises AssertionError with the log's end when the program cannot."""
    deadline_s = time.monotonic() + PATIENCE_S
    while process.returncode is None and time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        await asyncio.sleep(_POLL_S)
    state = "not listening" if process.returncode is None else f"ended with {process.returncode}"
    raise AssertionError(
        f"the zoo: expected {' '.join(what)} to listen on port {port}, got {state}; its log:\n{_end_of(log)}"
    )


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:]


async def until_routed(site: Site) -> None:
    """Return when a program that listens before it knows its routes answers with something else than 404."""
    deadline_s = time.monotonic() + PATIENCE_S
    line = b""
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            line = await _status_line(site)
            if line and _NOT_FOUND not in line:
                return
        await asyncio.sleep(_POLL_S)
    raise AssertionError(f"the zoo: expected {site.url} to be routed within {PATIENCE_S:g} s, got {line!r}")


async def _status_line(site: Site) -> bytes:
    context = None
    if site.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context)
    writer.write(f"HEAD {site.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    return line
