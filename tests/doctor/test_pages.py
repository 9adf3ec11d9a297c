"""The pages of hops and codes: complete, linked, and saying what the knowledge base says."""

import re
from pathlib import Path, PurePosixPath

import pytest

from streamgap.core.mechanism import CODES
from streamgap.doctor.code_pages import code_pages, load_prose
from streamgap.doctor.knowledge import KnowledgeError, load_hops
from streamgap.doctor.pages import hop_pages

HOPS = load_hops()
PAGES = {**hop_pages(HOPS), **code_pages(HOPS)}
ROOT = Path(__file__).parents[2]


def test_there_is_a_page_for_every_program_and_every_code() -> None:
    """A report links to them by name."""
    expected = {f"docs/hops/{hop.name}.md" for hop in HOPS} | {f"docs/codes/{code.code}.md" for code in CODES.values()}
    assert set(PAGES) == expected | {"docs/hops/README.md", "docs/codes/README.md"}


def test_the_committed_pages_are_current() -> None:
    """What lies in docs/ is what the knowledge base says now, and nothing else lies there."""
    for name, text in PAGES.items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name} is stale: run `make generate`"
    for folder in ("hops", "codes"):
        lying = {f"docs/{folder}/{path.name}" for path in (ROOT / "docs" / folder).iterdir()}
        assert lying <= set(PAGES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_link_leads_somewhere(name: str) -> None:
    """Links between the pages, and to the remedies inside of one, meet a page and a heading."""
    slugs = {
        re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", PAGES[name], re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith("#"):
            assert target[1:] in slugs, target
        elif not target.startswith("http"):
            parts: list[str] = []
            for part in (PurePosixPath(name).parent / target).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert "/".join(parts) in PAGES, target


@pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.name)
def test_a_program_s_page_has_its_remedies_to_the_letter(hop: object) -> None:
    """The lines can be copied from the page as the report prints them, with their place and where they come from."""
    (known,) = (one for one in HOPS if one == hop)
    page = PAGES[f"docs/hops/{known.name}.md"]
    for remedy in known.remedies:
        assert f"```\n{remedy.lines.strip(chr(10))}\n```" in page
        assert remedy.place in page
    for timer in known.timers:
        assert timer.directive in page
    for habit in known.habits:
        assert habit.because in page
        assert f"[{CODES[habit.mechanism].code}]" in page


def test_a_code_s_page_names_who_does_it() -> None:
    """The list of programs comes from the knowledge base."""
    assert "[HAProxy](../hops/haproxy.md)" in PAGES["docs/codes/SG104.md"]
    assert "`route timeout` (15 s by default)" in PAGES["docs/codes/SG121.md"]
    assert "Which programs" not in PAGES["docs/codes/SG202.md"]


def test_every_code_has_its_prose_and_a_wrong_file_is_told(tmp_path: Path) -> None:
    """A code without a page, or with a field that is none, is an error that says which."""
    with pytest.raises(KnowledgeError, match=r"SG101.toml: expected a file in .*, found none"):
        load_prose(tmp_path, "SG101")
    (tmp_path / "SG101.toml").write_text('means = "a"\ntold = "b"\ndo = ["c"]\nwhy = "d"\n')
    with pytest.raises(KnowledgeError, match=r"SG101.toml: expected means.*why"):
        load_prose(tmp_path, "SG101")
