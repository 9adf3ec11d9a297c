"""Settings: one table, three sources, and a helpful no."""

import argparse
from ipaddress import ip_network

import pytest

from streamgap.core.errors import SettingsError
from streamgap.core.verdict import DEFAULT_THRESHOLDS
from streamgap.service.settings import (
    OPTIONS,
    Address,
    Settings,
    add_arguments,
    default_text,
    env_of,
    flag_of,
    load,
    reference,
)


def parse(*argv: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return load(parser.parse_args(argv), environ)


def test_a_flag_beats_the_environment_beats_the_default() -> None:
    """Flag > STREAMGAP_* > default."""
    assert parse().ttl_s == 60.0
    assert parse(STREAMGAP_TTL_S="30").ttl_s == 30.0
    assert parse("--ttl-s", "10", STREAMGAP_TTL_S="30").ttl_s == 10.0


def test_every_default_reads_back_as_itself() -> None:
    """What the table prints as a default parses to that default."""
    written = {env_of(name): default_text(name) for name in OPTIONS}
    assert parse(**written) == Settings()


def test_lists_come_repeated_or_with_commas() -> None:
    """--allow-origin a --allow-origin b is --allow-origin a,b."""
    expected = ("https://a.example", "https://*.b.example")
    assert parse("--allow-origin", expected[0], "--allow-origin", expected[1]).allow_origin == expected
    assert parse(STREAMGAP_ALLOW_ORIGIN=" , ".join(expected)).allow_origin == expected
    assert parse("--trusted-proxies", "10.0.0.0/8,::1").trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))


def test_a_boolean_flag_needs_no_value() -> None:
    """--allow-no-origin means true; a value can still say false."""
    assert parse("--allow-no-origin").allow_no_origin is True
    assert parse("--allow-no-origin", "false", STREAMGAP_ALLOW_NO_ORIGIN="true").allow_no_origin is False


def test_addresses_name_ipv4_ipv6_or_every_host() -> None:
    """host:port, [v6]:port, and :port for every interface."""
    assert parse("--bind", "[::1]:0").bind == Address(host="::1", port=0)
    assert parse("--bind", ":80").bind == Address(host="0.0.0.0", port=80)
    assert str(Address(host="::1", port=1)) == "[::1]:1"


def test_thresholds_are_the_cores_in_seconds() -> None:
    """The defaults are the verdict's own, and what is set reaches it in ms."""
    assert Settings().thresholds == DEFAULT_THRESHOLDS
    assert parse("--hold-s", "2.5").thresholds.hold == 2500.0


def test_an_unknown_variable_is_an_error_with_a_suggestion() -> None:
    """A misspelt STREAMGAP_* is not ignored."""
    with pytest.raises(SettingsError, match=r"environment: .* got 'STREAMGAP_TTLS'; did you mean STREAMGAP_TTL_S\?"):
        parse(STREAMGAP_TTLS="30")
    with pytest.raises(SettingsError, match="one of: STREAMGAP_BIND"):
        parse(STREAMGAP_QQQQQQQQ="30")
    assert parse(STREAMGAP_CHROMIUM="/usr/bin/chromium", PATH="/bin") == Settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bind", "localhost"),
        ("bind", "localhost:99999"),
        ("bind", "localhost:http"),
        ("allow_origin", "example.com"),
        ("allow_origin", "https://example.com/"),
        ("allow_origin", "https://*"),
        ("allow_origin", "https://a.*.example.com"),
        ("allow_origin", "ftp://example.com"),
        ("allow_no_origin", "maybe"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("client_rate", "0"),
        ("client_rate", "nan"),
        ("client_burst", "1.5"),
        ("ttl_s", "soon"),
        ("ttl_s", "inf"),
        ("pending_bytes", "-1"),
        ("otlp_endpoint", "collector:4318"),
        ("log_format", "xml"),
    ],
)
def test_a_bad_value_is_an_error_that_says_what_was_expected(name: str, text: str) -> None:
    """The message names the source, what was expected, what was got, and the default."""
    with pytest.raises(SettingsError, match=rf"^{env_of(name)}: expected .*, got .*\. Leave it out for the default, "):
        load(None, {env_of(name): text})


def test_the_reference_names_every_setting() -> None:
    """The table for the docs has a row per setting with its flag and its variable."""
    for name in OPTIONS:
        assert f"| `{flag_of(name)}` | `{env_of(name)}` |" in reference()
