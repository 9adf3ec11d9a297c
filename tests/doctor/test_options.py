"""The options that the doctor's commands share."""

import argparse
from collections.abc import Callable

import pytest

from streamgap.doctor import options


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (options.url, "ftp://app.test/drip"),
        (options.url, "app.test/drip"),
        (options.url, "http://"),
        (options.url, "http://app.test:70000/"),
        (options.url, "http://app.test/\x1b[2J"),
        (options.place, "=http://app.test/"),
        (options.header, "no colon"),
        (options.header, "x: line\nbreak"),
        (options.host_port, "app.test"),
        (options.host_port, "app.test:0"),
        (options.seconds, "0"),
        (options.seconds, "soon"),
        (options.seconds, "1e9"),
        (options.pace, "20@60"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_was_got(read: Callable[[str], object], text: str) -> None:
    """The message says what was expected, and quotes what was given without obeying it."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected") as refused:
        read(text)
    assert "\x1b" not in str(refused.value)


def test_a_place_may_have_a_name() -> None:
    """`proxy=URL` is called proxy; a URL that holds an equals sign is still a URL."""
    assert options.place("proxy=http://10.0.0.5/drip") == ("proxy", "http://10.0.0.5/drip")
    assert options.place("http://app.test/drip?a=b") == ("", "http://app.test/drip?a=b")


def test_an_address_in_brackets_is_taken_apart() -> None:
    """IPv6 literals are written as in a URL."""
    assert options.host_port("[::1]:8443") == ("::1", 8443)


def test_the_token_travels_in_a_header() -> None:
    """A token in the URL would be in every log on the path."""
    parser = argparse.ArgumentParser()
    options.add_request_options(parser)
    given = parser.parse_args(["--token", "s3cret", "--header", "Host: app.test"])
    assert options.headers_of(given) == [("Host", "app.test"), ("x-drip-token", "s3cret")]
