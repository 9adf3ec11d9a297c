"""The command line says what it can do, and what is missing."""

import json
import subprocess
import sys

import pytest
import yaml

from streamgap.cli import main


def test_rules_and_dashboards_print_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    """`rules` prints YAML in either format, `dashboards` JSON."""
    for words in (["rules"], ["rules", "--format", "grafana"]):
        assert main(words) == 0
        assert yaml.safe_load(capsys.readouterr().out)["groups"]
    assert main(["dashboards"]) == 0
    assert json.loads(capsys.readouterr().out)["panels"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the following arguments are required: command"),
        (["sevre"], "invalid choice: 'sevre'"),
        (["demo", "--once", "--streams", "0"], "--streams: expected at least 1, got 0"),
        (["rules", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_told(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line exits with 2 and says what was wrong."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_the_module_is_the_command() -> None:
    """`python -m streamgap` is `streamgap`."""
    command = [sys.executable, "-m", "streamgap", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("streamgap ")
