"""Which pages may report. CORS is no gate: a foreign page's POST arrives all the same, so the check is ours."""

from collections.abc import Iterable
from dataclasses import dataclass

ANY = "*"


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Decides on the Origin header of a report."""

    exact: frozenset[bytes]
    suffixes: tuple[tuple[bytes, bytes], ...]
    any_origin: bool
    no_origin: bool
    null_origin: bool

    @classmethod
    def of(cls, allow: Iterable[str], *, no_origin: bool = False, null_origin: bool = False) -> "OriginPolicy":
        """Build the policy from exact origins, `https://*.example.com` patterns and `*`."""
        patterns = [origin.lower().partition("*") for origin in allow if origin != ANY]
        return cls(
            exact=frozenset(before.encode() for before, star, _ in patterns if not star),
            suffixes=tuple((before.encode(), after.encode()) for before, star, after in patterns if star),
            any_origin=ANY in allow,
            no_origin=no_origin,
            null_origin=null_origin,
        )

    def allows(self, origin: bytes | None, host: bytes) -> bool:
        """Say whether a page of `origin` may report to us, who were called as `host`."""
        if origin is None:
            return self.no_origin
        if origin in self.exact:
            return True
        if origin == b"null":
            return self.null_origin
        scheme, separator, authority = origin.partition(b"://")
        if scheme not in (b"http", b"https") or not separator or not authority:
            return False
        # Behind a proxy that ends TLS our own scheme is unknown; the host name alone tells the site.
        return self.any_origin or authority == host.lower() or any(self._under(origin, s) for s in self.suffixes)

    @staticmethod
    def _under(origin: bytes, pattern: tuple[bytes, bytes]) -> bool:
        """Match `https://*.example.com` on a label boundary: the star stands for one or more whole labels."""
        before, after = pattern
        labels = origin[len(before) : -len(after)]
        safe = labels.translate(None, b".-_").isalnum()
        return origin.startswith(before) and origin.endswith(after) and safe and not labels.startswith(b".")
