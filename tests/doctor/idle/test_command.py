"""The command, on real streams that last two seconds."""

import asyncio
import json

import pytest

from instrument.lab import HOST, serving
from streamgap.demo.processes import free_port
from streamgap.doctor import Drip
from streamgap.doctor.idle.command import main

SHORT = ("--longest", "2", "--streams", "10")


async def run(*words: str) -> int:
    """Run the command beside the server of the test's own loop."""
    return await asyncio.to_thread(main, words)


@pytest.mark.slow
async def test_a_path_that_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Every silence is lived through: 0, and up to where that is known."""
    async with serving(Drip()) as port:
        assert await run(*SHORT, f"http://{HOST}:{port}/") == 0
    out, err = capsys.readouterr()
    assert "SG100 the stream flows" in out
    assert "no idle cut up to 2.0 s" in out
    assert ("\x1b" in out, err) == (False, "")


@pytest.mark.slow
async def test_token_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With its token the drip is measured; --json prints one document."""
    async with serving(Drip(token="sesame")) as port:
        assert await run(*SHORT, "--json", "--token", "sesame", f"http://{HOST}:{port}/") == 0
    assert json.loads(capsys.readouterr().out)["longest_s"] == 2.0


async def test_a_wrong_token_is_no_drip(capsys: pytest.CaptureFixture[str]) -> None:
    """What was expected, what was got, and 3, at once."""
    async with serving(Drip(token="sesame")) as port:
        assert await run(*SHORT, f"http://{HOST}:{port}/") == 3
    assert "expected a drip" in capsys.readouterr().out


async def test_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is 3."""
    assert await run(*SHORT, f"http://{HOST}:{free_port()}/") == 3
    assert "SG301" in capsys.readouterr().out


async def test_h2_needs_tls(capsys: pytest.CaptureFixture[str]) -> None:
    """--h2 over http is refused with what to change."""
    async with serving(Drip()) as port:
        assert await run(*SHORT, "--h2", f"http://{HOST}:{port}/") == 3
    assert "--h2: expected an https URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--longest", "1000", "http://x/"], "expected seconds from 2 to 890, got '1000'"),
        (["--streams", "9", "http://x/"], "expected a whole number from 10 to 60, got '9'"),
        (["ftp://x/"], "expected a URL like"),
        ([], "the following arguments are required: URL"),
    ],
)
def test_usage_is_refused_with_2(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was expected, what was got."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
