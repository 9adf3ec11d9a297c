"""What can be asked, and what is refused before anything is sent."""

import pytest

from streamgap.core.probe import Hint, Protocol
from streamgap.doctor.client import Target, TargetError


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://h", "h", "/"),
        ("HTTPS://H:443/a?b=c#d", "h", "/a?b=c"),
        ("http://h:8080/ä b".replace(" ", "%20"), "h:8080", "/%C3%A4%20b"),
        ("https://[::1]:8443/?q={x}", "[::1]:8443", "/?q=%7Bx%7D"),
        ("https://bücher.example/", "xn--bcher-kva.example", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, authority: str, path: str) -> None:
    """The fragment stays here, and what HTTP cannot carry is escaped."""
    target = Target.of(url)
    assert (target.authority, target.path) == (authority, path)
    assert Target.of(target.url) == target


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "expected http://… or https://…, got ''"),
        ("ftp://h/", "got 'ftp://h/'"),
        ("http://", "got 'http://'"),
        ("http:///x", "got 'http:///x'"),
        ("h:80/x", "got 'h:80/x'"),
        ("http://h/\x1b[2J", "without spaces and control characters"),
        ("http://h/a b", "without spaces"),
        ("http://h:0/", "a port from 1 to 65535"),
        ("http://h:65536/", "a port from 1 to 65535"),
        ("http://[::1/", "got 'http://[::1/'"),
        ("http://user:secret@h/", "no user name or password"),
        ("http://h<b>/", "a host name"),
    ],
)
def test_what_is_no_url_is_refused(url: str, words: str) -> None:
    """With what was expected; a password is not repeated."""
    with pytest.raises(TargetError) as caught:
        Target.of(url)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("a b", "x"), ("a\r\n", "x"), ("a", "b\r\nc: d"), ("a", "\u20ac"), ("Transfer-Encoding", "chunked"),
     ("accept-encoding", "gzip"), ("Content-Length", "1")],
)  # fmt: skip
def test_a_header_that_would_break_the_request_is_refused(name: str, value: str) -> None:
    """Framing is the probe's, and so is what it varies."""
    with pytest.raises(TargetError, match=r"^header"):
        Target.of("http://h/", headers=[(name, value)])


def test_a_body_has_a_bound() -> None:
    """1 MiB."""
    with pytest.raises(TargetError, match=r"^body: expected at most 1048576 bytes, got 1048577"):
        Target.of("http://h/", body=b"x" * 1_048_577)


def test_the_drips_query_joins_the_urls_own() -> None:
    """Which stays as it is."""
    query = {"segments": "2x100@5+10", "hints": Hint.X_ACCEL.value}
    assert Target.of("http://h/d").path_for(query) == "/d?segments=2x100@5%2B10&hints=x-accel-buffering"
    assert Target.of("http://h/d?token=t").path_for(query).startswith("/d?token=t&segments=")
    assert Target.of("http://h/d?token=t").path_for({}) == "/d?token=t"


def test_the_scheme_says_which_protocols_there_are() -> None:
    """The ordinary one first."""
    assert Target.of("http://h/").protocols == (Protocol.CLEAR,)
    assert Target.of("https://h/").protocols == (Protocol.TLS, Protocol.H2)


def test_secrets_are_not_shown() -> None:
    """Neither a prompt nor a credential belongs in a log."""
    assert "secret" not in repr(Target.of("http://h/", body=b"secret", headers=[("Cookie", "secret")]))
