"""Who may report: the origin table."""

import pytest

from streamgap.service.origins import OriginPolicy

ALLOW = ("https://app.example.com", "https://*.example.org", "https://*.example.net:8443")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"https://app.example.com", True),
        (b"https://collector.test", True),
        (b"http://collector.test", True),
        (b"https://a.example.org", True),
        (b"https://a.b-c.example.org", True),
        (b"https://a.example.net:8443", True),
        (b"https://example.org", False),
        (b"https://a.example.net", False),
        (b"https://a.example.net:9443", False),
        (b"http://app.example.com", False),
        (b"https://app.example.com:444", False),
        (b"https://app.example.com.evil.test", False),
        (b"https://evilapp.example.com", False),
        (b"https://evil.test#.example.org", False),
        (b"https://evil.test/.example.org", False),
        (b"https://evil.test:80.example.org", False),
        (b"https://user@a.example.org", False),
        (b"https://.example.org", False),
        (b"https://..example.org", False),
        (b"https://.a.example.org", False),
        (b"https://xexample.org", False),
        (b"https://collector.test:8790", False),
        (b"https://", False),
        (b"collector.test", False),
        (b"file://collector.test", False),
        (b"chrome-extension://abcdefgh", False),
        (b"null", False),
        (b"", False),
        (None, False),
    ],
)
def test_only_listed_and_own_origins_may_report(origin: bytes | None, allowed: bool) -> None:  # noqa: FBT001 a table
    """An origin is allowed exactly, on a label boundary of a pattern, or as the host the collector was called by."""
    assert OriginPolicy.of(ALLOW).allows(origin, b"collector.test") is allowed


def test_missing_and_null_origins_are_opt_in() -> None:
    """Each needs its own switch; `*` opens neither."""
    assert OriginPolicy.of((), no_origin=True).allows(None, b"h")
    assert OriginPolicy.of((), null_origin=True).allows(b"null", b"h")
    everyone = OriginPolicy.of(("*",))
    assert everyone.allows(b"https://any.test", b"h")
    assert not everyone.allows(None, b"h")
    assert not everyone.allows(b"null", b"h")


def test_the_host_may_carry_a_port_and_capitals() -> None:
    """A page of the same host and port reports without any setting."""
    assert OriginPolicy.of(()).allows(b"http://localhost:8790", b"LocalHost:8790")
