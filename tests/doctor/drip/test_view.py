"""The request is told back without what only the user may know."""

import pytest

from streamgap.doctor.drip.view import app_view


def told(*headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return app_view(protocol="HTTP/1.1", method="GET", headers=headers, in_flight=1).headers


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "proxy-authorization", "cookie", "x-drip-token", "x-api-key", "x-goog-api-key", "apikey"),
        *("x-amzn-oidc-data", "x-goog-iap-jwt-assertion", "cf-access-jwt-assertion", "x-auth-request-access-token"),
        *(
            "x-csrf-token",
            "x-session-id",
            "x-forwarded-authorisation",
            "x-auth-user",
            "x-hub-signature",
            "ocp-apim-key",
        ),
    ],
)
def test_credentials_are_hidden(name: str) -> None:
    """That the header came is told, its value is not."""
    assert told((name, "s3cret")) == ((name, "***"),)


@pytest.mark.parametrize(
    "name",
    ["via", "x-forwarded-for", "cf-ray", "x-amzn-trace-id", "accept-encoding", "x-envoy-attempt-count", "author"],
)
def test_the_evidence_of_hops_is_told(name: str) -> None:
    """What proxies add is told as it came, a question mark in it too."""
    assert told((name, "1.1 x?y")) == ((name, "1.1 x?y"),)


@pytest.mark.parametrize("name", ["referer", "x-original-uri", "x-original-url", "x-envoy-original-path"])
def test_the_query_of_an_address_is_hidden(name: str) -> None:
    """A proxy that hands the address on does not make us tell the token in its query."""
    assert told((name, "https://a/drip?token=s3cret")) == ((name, "https://a/drip?***"),)


def test_what_is_told_is_bounded() -> None:
    """At most 64 headers, 256 characters of a value, 64 of a name, 8 KiB in all."""
    assert len(told(*((f"x-{nth}", "1") for nth in range(100)))) == 64
    assert told(("n" * 100, "v" * 1000)) == (("n" * 64, "v" * 256),)
    assert sum(len(name) + len(value) for name, value in told(*[("name", "v" * 1000)] * 60)) <= 8192
