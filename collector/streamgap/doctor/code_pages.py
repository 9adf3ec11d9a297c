"""The pages of the codes: prose kept in doctor/codes/<code>.toml, and which programs do it, from the knowledge base."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from streamgap.core.hops import Hop
from streamgap.core.mechanism import CODES, Mechanism, Severity
from streamgap.doctor.knowledge import KnowledgeError
from streamgap.doctor.pages import MADE_FROM

PROSE = Path(__file__).parent / "codes"
TIMED = {Mechanism.IDLE_CUT: "idle", Mechanism.AGE_CUT: "age"}
GATES = {
    Severity.FLOWING: "Exit status 0.",
    Severity.NOTE: "A note: it holds no content and fails no gate.",
    Severity.HELD: "The stream is held or lost: `streamgap doctor` exits 1.",
    Severity.DOUBT: "It decides nothing: alone, it makes `streamgap doctor` exit 3.",
}


class Prose(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written by hand about a code: what it means, how it is told, what to do, what it is mistaken for."""

    means: str
    told: str
    do: tuple[str, ...]
    mistaken: str = ""


def code_pages(hops: Sequence[Hop], *, directory: Path = PROSE) -> dict[str, str]:
    """Return every code's page and their table, by path in the repository. Raises KnowledgeError for a wrong file."""
    pages = {
        f"docs/codes/{code.code}.md": "\n".join(_page(mechanism, load_prose(directory, code.code), hops=hops))
        for mechanism, code in CODES.items()
    }
    rows = "\n".join(f"| [{c.code}]({c.code}.md) | {c.title} | {c.severity} |" for c in CODES.values())
    table = f"# Codes\n\n{MADE_FROM.format('codes/*.toml')}\n| code | what | severity |\n|---|---|---|\n{rows}\n"
    return {"docs/codes/README.md": table, **pages}


def load_prose(directory: Path, code: str) -> Prose:
    """Return what is written about a code. Raises KnowledgeError that names the file and the field."""
    path = directory / f"{code}.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Prose)
    except FileNotFoundError as error:
        raise KnowledgeError(f"{path.name}: expected a file in {directory}, found none; write one") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path.name}: expected means, told, do and mistaken, got: {error}") from error


def _page(mechanism: Mechanism, prose: Prose, *, hops: Sequence[Hop]) -> Iterator[str]:
    code = CODES[mechanism]
    yield from (f"# {code.code}: {code.title}", "", MADE_FROM.format(f"codes/{code.code}.toml"))
    yield from (GATES[code.severity], "", "## What it means", "", prose.means, "")
    yield from ("## How it is told", "", prose.told, "")
    if prose.mistaken:
        yield from ("## What it is mistaken for", "", prose.mistaken, "")
    yield from ("## What to do", "", *(f"{number}. {step}" for number, step in enumerate(prose.do, 1)), "")
    if rows := [*_doers(mechanism, hops)]:
        yield from ("## Which programs do it", "", "| program | how |", "|---|---|", *rows, "")


def _doers(mechanism: Mechanism, hops: Sequence[Hop]) -> Iterator[str]:
    for hop in hops:
        ways = [habit.because for habit in hop.habits if habit.mechanism is mechanism]
        ways += [
            f"`{timer.directive}`" + (f" ({timer.default_s:g} s by default)" if timer.default_s is not None else "")
            for timer in hop.timers
            if timer.kind == TIMED.get(mechanism)
        ]
        if ways:
            yield f"| [{hop.title}](../hops/{hop.name}.md) | {'; '.join(ways)} |".replace("||", "\\|\\|")
