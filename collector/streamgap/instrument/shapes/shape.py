"""What there is to know of one kind of chunk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from streamgap.core.words import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a chunk says of the whole answer; None and empty where it says nothing. Tokens are running totals."""

    outcome: Outcome | None = None
    error: str = ""
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


NOTHING = Facts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One SDK's kind of chunk.

    `text` is what a person could read in a chunk, empty where there is nothing: no thought, tool call or bookkeeping;
    of several answers in one stream, the first one's. `media` tells of what else a person could be shown. `ends_aloud`:
    an answer that ends without saying why was cut off. `lingers`: the stream's own `aclose()` leaves its socket open.
    """

    provider: str
    operation: str
    recognises: Callable[[Any], bool]
    text: Callable[[Any], str]
    read: Callable[[Any], Facts]
    media: Callable[[Any], bool] = lambda _chunk: False
    ends_aloud: bool = True
    lingers: bool = False

    def content(self, chunk: Any) -> bool:
        """Tell whether a person could be shown anything of the chunk."""
        return bool(self.text(chunk)) or self.media(chunk)


def merged(facts: Iterable[Facts]) -> Facts:
    """Fold facts in order of arrival: of each, the last one said. Totals are never summed."""
    total = NOTHING
    for said in facts:
        total = Facts(
            outcome=said.outcome or total.outcome,
            error=said.error or total.error,
            model=said.model or total.model,
            input_tokens=total.input_tokens if said.input_tokens is None else said.input_tokens,
            output_tokens=total.output_tokens if said.output_tokens is None else said.output_tokens,
        )
    return total


def total(*counts: int | None) -> int | None:
    """Add the parts of one total, or None where all of them are missing."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
