"""One event is one line, whatever strangers wrote into it."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from streamgap.service import logs

HOSTILE = 'x\r\n{"event": "forged"}\x1b[31m\x7f\x9b\u2028"'


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, level, uvicorn_level = root.handlers[:], root.level, uvicorn.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    uvicorn.setLevel(uvicorn_level)


def test_json_lines_cannot_be_forged() -> None:
    """Control characters come escaped, each line parses, and the fields say what was logged."""
    out = io.StringIO()
    logs.configure(log_format="json", level="info", stream=out)
    logging.getLogger("a").warning("refused %s", HOSTILE, extra={"why": HOSTILE * 100})
    (line,) = out.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    fields = json.loads(line)
    assert (fields["level"], fields["logger"], fields["event"]) == ("warning", "a", f"refused {HOSTILE}")
    assert fields["why"] == (HOSTILE * 100)[: logs.MAX_VALUE]


def test_text_lines_cannot_steer_a_terminal() -> None:
    """The text format escapes what a terminal would obey."""
    out = io.StringIO()
    logs.configure(log_format="text", level="info", stream=out)
    logging.getLogger("a").info("refused %s", HOSTILE, extra={"why": HOSTILE})
    assert out.getvalue().rstrip("\n").isprintable()
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_exceptions_are_logged_with_their_place(log_format: str) -> None:
    """An error of ours can be found from its log."""
    out = io.StringIO()
    logs.configure(log_format="json" if log_format == "json" else "text", level="error", stream=out)
    try:
        int("lost")
    except ValueError:
        logging.getLogger("a").exception("join")
    assert "ValueError: invalid literal" in out.getvalue()
    assert __name__.rpartition(".")[2] in out.getvalue()


def test_the_level_and_the_destination_are_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the level nothing is written; without a stream it goes to standard error; strangers' noise is kept out."""
    logs.configure(log_format="json", level="warning")
    logging.getLogger("a").info("quiet")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert capsys.readouterr().err == ""
    assert sys.stderr is not None
