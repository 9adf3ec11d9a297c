"""Label values stay a bounded set of harmless strings."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgap.service.labels import OTHER, UNKNOWN, LabelBook


def test_first_come_first_kept_the_rest_is_other() -> None:
    """The first N values keep their names, later ones fold into `other` and are counted."""
    overflows = Counter[str]()
    book = LabelBook(limit=2, on_overflow=lambda: overflows.update(["label"]))
    assert [book.fold(v) for v in ("/a", "/b", "/c", "/a", "/d")] == ["/a", "/b", OTHER, "/a", OTHER]
    assert overflows == {"label": 2}


def test_nothing_is_unknown_and_takes_no_place() -> None:
    """An empty value has a name of its own; it and `other` leave all N places to values."""
    book = LabelBook(limit=1, on_overflow=lambda: None)
    assert [book.fold(v) for v in ("", OTHER, UNKNOWN, "/a", "/b")] == [UNKNOWN, OTHER, UNKNOWN, "/a", OTHER]


@pytest.mark.parametrize(
    "value", ["/chat/{id}", "models/gemini-3.5-flash", "<int:pk>", "a@b+c*", "x" * 128], ids=lambda v: v[:20]
)
def test_ordinary_routes_and_models_keep_their_names(value: str) -> None:
    """Templates of the common frameworks and model names pass."""
    assert LabelBook(limit=1, on_overflow=lambda: None).fold(value) == value


@pytest.mark.parametrize(
    "value", ['" } 1\nevil 1', "a\n", "a b", "\0", "\ud800", "é", "a\\b", "x" * 129, "\x1b[31m"], ids=repr
)
def test_hostile_values_are_other(value: str) -> None:
    """What could break a line, a terminal or an encoder never becomes a label."""
    overflows: list[None] = []
    assert LabelBook(limit=9, on_overflow=lambda: overflows.append(None)).fold(value) == OTHER
    assert len(overflows) == 1


@given(st.lists(st.text(max_size=5), max_size=50))
def test_the_set_is_bounded(values: list[str]) -> None:
    """Whatever comes, there are at most N + 2 label values."""
    book = LabelBook(limit=3, on_overflow=lambda: None)
    assert len({book.fold(value) for value in values}) <= 5
