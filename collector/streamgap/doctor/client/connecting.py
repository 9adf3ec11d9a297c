"""DNS, TCP and TLS; and what went wrong with them in words."""

import asyncio
import errno
import socket
import ssl

from streamgap.core.probe import Protocol
from streamgap.doctor.client.limits import ClientLimits
from streamgap.doctor.client.target import Target
from streamgap.doctor.client.wire import Wire

_ALPN = {Protocol.TLS: ["http/1.1"], Protocol.H2: ["h2", "http/1.1"]}
_HAPPY_EYEBALLS_S = 0.25  # RFC 8305; uvloop has none, so the probe runs on asyncio's own loop
_PLAIN_ANSWERS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


async def connect(wire: Wire, target: Target, protocol: Protocol) -> None:
    """Connect `wire`; raises OSError (ssl.SSLError is one)."""
    host, port = target.connect_to or (target.host, target.port)
    # Reading the certificate authorities takes 35 ms: not in the loop whose lateness is evidence.
    tls = None if protocol is Protocol.CLEAR else await asyncio.to_thread(tls_context, protocol, verify=target.verify)
    await asyncio.get_running_loop().create_connection(
        lambda: wire,
        host,
        port,
        ssl=tls,
        server_hostname=None if tls is None else target.host,
        happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
    )


def tls_context(protocol: Protocol, *, verify: bool) -> ssl.SSLContext:
    """Return what a client offers: the system's authorities (or SSL_CERT_FILE), and ALPN."""
    if verify:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(_ALPN[protocol])
    return context


def not_connected(error: BaseException, target: Target, limits: ClientLimits) -> str:
    """Say what was expected of the connection and what was got."""
    host, port = target.connect_to or (target.host, target.port)
    match error:
        case TimeoutError():
            return f"expected a connection to {host}:{port} within {limits.connect_s:g} s, got none"
        case ssl.SSLError():
            return _no_tls(error, target, f"{host}:{port}")
        case socket.gaierror():
            return f"expected an address for {host!r}, got {error.strerror}"
        case OSError(errno=errno.ECONNREFUSED):
            return f"expected a listener at {host}:{port}, got connection refused"
    return f"expected a connection to {host}:{port}, got {str(error) or type(error).__name__}"


def _no_tls(error: ssl.SSLError, target: Target, where: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "try --insecure, or set SSL_CERT_FILE to your certificate authority"
        return f"expected a certificate for {target.host} that holds from {where}, got {error.verify_message!r}; {hint}"
    if error.reason in _PLAIN_ANSWERS:
        return f"expected TLS from {where}, got something else ({error.reason}); try http://"
    return f"expected a TLS handshake with {where}, got {error.reason or str(error)}"
