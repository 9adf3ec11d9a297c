"""What clients may speak to a program."""

from enum import StrEnum


class Front(StrEnum):
    """`h2` offers HTTP/2 and HTTP/1.1 by ALPN, `tls` HTTP/1.1 only."""

    CLEAR = "clear"
    TLS = "tls"
    H2 = "h2"

    @property
    def scheme(self) -> str:
        return "http" if self is Front.CLEAR else "https"
