"""The schemas are strict, and what they accept survives a round trip."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halves import client_half, client_halves, generation_record, generation_records, server_half, server_halves
from streamgap.core.errors import InvalidReportError
from streamgap.core.wire import (
    MAX_BEACON_BYTES,
    ClientHalf,
    GenerationRecord,
    ServerHalf,
    dump_client,
    generation_attributes,
    pack_server,
    parse_client,
    parse_generation,
    parse_server,
    to_attributes,
    unpack_server,
)
from streamgap.core.words import Reason


@given(client_halves)
def test_client_halves_survive_the_wire(half: ClientHalf) -> None:
    """parse(dump(x)) = x for every report that fits the size limit; a larger one is refused for its size."""
    body = dump_client(half)
    if len(body) <= MAX_BEACON_BYTES:
        assert parse_client(body) == half
    else:
        with pytest.raises(InvalidReportError, match="expected at most 4096 bytes"):
            parse_client(body)


@given(server_halves)
def test_server_halves_survive_span_attributes_and_the_store(half: ServerHalf) -> None:
    """A server half is the same after attributes and after the pending store's encoding."""
    assert parse_server(to_attributes(half)) == half
    assert unpack_server(pack_server(half)) == half


@given(generation_records)
def test_generation_records_survive_span_attributes(record: GenerationRecord) -> None:
    """A generation's record is the same after a span's attributes."""
    assert parse_generation(generation_attributes(record)) == record


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_junk_is_refused_with_a_reason_of_the_closed_set(body: bytes) -> None:
    """Bytes that are no report raise InvalidReportError, and nothing else, with a reason that has a counter."""
    with pytest.raises(InvalidReportError) as refused:
        parse_client(body)
    assert refused.value.reason in set(Reason)


GOOD = msgspec.json.decode(dump_client(client_half([10.0, 20.0])))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": 2}, "expected v = 1, got 2"),
        ({"sid": "short"}, r"\$\.sid"),
        ({"sid": "has space in it"}, r"\$\.sid"),
        ({"at": [10.0]}, "expected 2 offsets for count 2 and stride 1, got 1"),
        ({"at": [20.0, 10.0]}, "never decrease"),
        ({"last": 15.0}, r"expected last ≥ the last offset 20\.0, got 15\.0"),
        ({"stride": 3}, "power of two, got 3"),
        ({"dur": -1}, ">= 0"),
        ({"dur": 3_600_001}, "<= 3600000"),
        ({"gaps": [0] * 16}, "length <= 15"),
        ({"gaps": [2]}, "expected fewer gaps than count 2, got 2"),
        ({"gaps": [1], "count": 0, "at": []}, "expected fewer gaps than count 0, got 1"),
        ({"end": "finished"}, r"\$\.end"),
        ({"prompt": "hello"}, "unknown field `prompt`"),
    ],
)
def test_contradictions_are_refused_with_where_and_what(change: dict[str, object], says: str) -> None:
    """A report that contradicts the schema or itself is refused, and the message says where and what was expected."""
    with pytest.raises(InvalidReportError, match=says):
        parse_client(msgspec.json.encode({**GOOD, **change}))


def test_foreign_attributes_are_ignored() -> None:
    """A span carries other instrumentation's attributes too; they are no reason to refuse the half."""
    half = server_half([5.0])
    assert parse_server({**to_attributes(half), "http.request.method": "GET"}) == half


def test_the_spans_own_context_is_not_an_attribute() -> None:
    """Trace id, span id and start time travel in the span itself."""
    half = server_half([5.0], trace_id="ab" * 16, span_id="cd" * 8, start_unix_ns=7)
    attributes = to_attributes(half)
    assert "trace_id" not in attributes
    assert parse_server(attributes, trace_id="ab" * 16, span_id="cd" * 8, start_unix_ns=7) == half


GENERATION = generation_attributes(generation_record(delivered=5))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"streamgap.generation.result": "attached"}, "expected result started, .*refused, got attached"),
        ({"streamgap.generation.result": "replayed"}, "got replayed"),
        ({"streamgap.generation.result": "refused"}, "expected status refused where the result is, .*got done"),
        ({"streamgap.generation.status": "refused"}, "got refused for started"),
        ({"streamgap.generation.status": "running"}, r"'running' - at `\$\.status`"),
        ({"streamgap.generation.id": "x" * 97}, r"length <= 96 - at `\$\.id`"),
        ({"streamgap.generation.reason": "x" * 65}, r"length <= 64 - at `\$\.reason`"),
        ({"streamgap.tokens.delivered": -1}, r">= 0 - at `\$\.delivered`"),
        ({"streamgap.tokens.unheard": 1.5}, r"\$\.unheard"),
        ({"streamgap.duration_ms": 3_600_001.0}, r"<= 3600000.* - at `\$\.dur`"),
    ],
)
def test_a_record_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    """A record that contradicts the schema or itself is refused, and the message names the span and the field."""
    with pytest.raises(InvalidReportError, match=rf"^span streamgap\.generation: .*{says}") as refused:
        parse_generation({**GENERATION, **change})
    assert refused.value.reason == Reason.SCHEMA


@pytest.mark.parametrize("missing", ["id", "result", "status"])
def test_a_record_says_which_generation_why_and_how_it_ended(missing: str) -> None:
    """Without its id, result or status a record says nothing."""
    attributes = {key: value for key, value in GENERATION.items() if key != f"streamgap.generation.{missing}"}
    with pytest.raises(InvalidReportError, match=f"missing required field `{missing}`"):
        parse_generation(attributes)


def test_a_refusal_is_a_record() -> None:
    """A request that got no generation is one record, whose result and status both say so."""
    record = generation_record(result="refused", status="refused", reason="busy")
    assert parse_generation(generation_attributes(record)) == record
