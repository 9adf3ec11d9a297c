"""What has been seen is remembered, within a bound."""

from streamgap.service.seen import Seen


def test_a_span_is_new_once() -> None:
    """The same id again is known, another one is new, and what has no id is always new."""
    seen = Seen()
    assert [seen.first(span_id) for span_id in ("a", "a", "b", "", "")] == [True, False, True, True, True]


def test_memory_is_bounded_and_the_last_are_remembered() -> None:
    """Of any number of spans the last `most` are known, and never more than twice as many."""
    seen = Seen(most=3)
    ids = [str(i) for i in range(100)]
    assert all(seen.first(span_id) for span_id in ids)
    assert not any(seen.first(span_id) for span_id in ids[-3:])
    assert len(seen._ids) + len(seen._before) <= 6
