import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgap.relay.event_ids import EventId, parse_event_id
from streamgap.relay.states import draw_epoch

NINE_DIGITS = 999_999_999


@settings(deadline=None)
@given(st.integers(1, NINE_DIGITS), st.none() | st.integers(0, NINE_DIGITS))
def test_an_id_is_read_as_it_was_written(epoch: int, seq: int | None) -> None:
    """Every place in a log, its beginning and its end included, survives the way through a browser."""
    assert parse_event_id(str(EventId(epoch, seq))) == EventId(epoch, seq)


@pytest.mark.parametrize(
    ("text", "place"), [("1.0", EventId(1, 0)), ("7.12", EventId(7, 12)), ("518204773.end", EventId(518204773, None))]
)
def test_ids_on_the_wire(text: str, place: EventId) -> None:
    """An id is `<epoch>.<seq>`, 0 before the first entry, and `<epoch>.end` past the last."""
    assert parse_event_id(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", ".", "1", "1.", ".1", "end", ".end", "1.1.1", "1,1", "1.x"],
        *["0.1", "01.1", "1.01", "1.00", "-1.1", "1.-1", "+1.1", "1.+1", "1e1.1", "1_0.1"],
        *[" 1.1", "1.1 ", "1. 1", "1.1\n", "1.1\0", "1.END", "1.ende"],
        *["1234567890.1", "1.1234567890", "٣.1", "1.²"],
    ],
    ids=ascii,
)
def test_an_id_that_was_never_sent_is_refused(text: str) -> None:
    """Only what this relay writes is read: one spelling per place, and numbers of a bounded length."""
    with pytest.raises(ValueError, match=r"Last-Event-ID: expected <epoch>\.<seq> or <epoch>\.end, got "):
        parse_event_id(text)


def test_a_complaint_about_an_id_is_short() -> None:
    """However long what was sent, the message shows its beginning only."""
    with pytest.raises(ValueError) as refused:
        parse_event_id("9" * 100_000)
    assert len(str(refused.value)) < 120


def test_drawn_epochs_fit_an_id() -> None:
    """The first epoch of a key, and those of its restarts, can be read back."""
    for _ in range(1000):
        epoch = draw_epoch()
        for restart in (0, 1, 1000):
            assert parse_event_id(f"{epoch + restart}.1").epoch == epoch + restart
