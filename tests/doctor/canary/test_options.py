"""The command line of the canary: labels come from it alone, and what is wrong is said."""

import re
from pathlib import Path

import pytest

from streamgap.doctor.canary.options import MAX_ROUTES, named_by, parse

DRIP = "https://app.example.com/drip"


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_the_usual_settings() -> None:
    """A URL is enough: once a minute, metrics on loopback."""
    given = parse([DRIP])
    assert given.routes == [("app.example.com/drip", DRIP)]
    assert (given.every, given.bind, given.once) == (60.0, ("127.0.0.1", 9465), False)


def test_routes_have_the_operators_names() -> None:
    """A name may be the app's own route, so that both alerts speak of the same."""
    given = parse(["--route", f"/chat={DRIP}?a=b", "--route", f"edge={DRIP}"])
    assert given.routes == [("/chat", f"{DRIP}?a=b"), ("edge", DRIP)]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://u:secret@app.example.com:8443/drip?token=secret#x", "app.example.com:8443/drip"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://app.example.com/" + "x" * 500, "app.example.com/" + "x" * 112),
    ],
)
def test_a_label_holds_no_secret_and_has_an_end(url: str, name: str) -> None:
    """Credentials and query stay out of the metrics."""
    assert named_by(url) == name


def test_no_route_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to give it."""
    assert "expected a URL or --route NAME=URL, got none; try" in refusal(capsys)


def test_one_name_for_two_urls_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Their numbers would mix; two URLs that differ in their query only need names."""
    assert "expected each route once, got 'app.example.com/drip' twice" in refusal(capsys, DRIP, f"{DRIP}?a=1")


def test_too_many_routes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The number of series is bounded."""
    urls = [f"{DRIP}/{n}" for n in range(MAX_ROUTES + 1)]
    assert f"expected at most {MAX_ROUTES} routes, got {MAX_ROUTES + 1}" in refusal(capsys, *urls)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["ftp://x/"], "expected a URL like https://"),
        (["--route", DRIP], "expected NAME=URL"),
        (["--route", f"={DRIP}"], "expected NAME=URL"),
        (["--route", f"a\nb={DRIP}"], "expected NAME=URL"),
        (["--route", f"{'x' * 200}={DRIP}"], "expected NAME=URL"),
        ([DRIP, "--every", "0.5"], "expected 1 to 300 seconds, got '0.5'"),
        ([DRIP, "--every", "3600"], "expected 1 to 300 seconds, got '3600'"),
        ([DRIP, "--every", "nan"], "expected 1 to 300 seconds, got 'nan'"),
        ([DRIP, "--every", "soon"], "expected 1 to 300 seconds, got 'soon'"),
        ([DRIP, "--bind", "9465"], "expected HOST:PORT"),
    ],
)
def test_what_is_wrong_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], error: str) -> None:
    """Each error says what was expected and what was got."""
    assert error in refusal(capsys, *words)


def test_the_page_tells_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    """The page names the options that there are, and no others."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    page = (Path(__file__).parents[3] / "docs" / "canary.md").read_text(encoding="utf-8")
    table = page[page.index("## Options") : page.index("## What one run does")]
    offered = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"--[a-z][a-z-]*", table)) == offered
