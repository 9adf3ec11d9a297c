"""What the scripts answer, as values."""

from collections.abc import Sequence
from typing import Any

from streamgap.relay.states import Appended, Claim, Claimed, Kept, Page, Standing, Status


def read_standing(told: Sequence[Any]) -> Standing:
    """Read the list that `told` in standing.lua makes."""
    epoch, fingerprint, status, reason, seq, first, lost = told
    return Standing(
        epoch=epoch,
        fingerprint=fingerprint.decode(),
        status=Status(status.decode()),
        reason=reason.decode(),
        seq=seq,
        first=first,
        lost=bool(lost),
    )


def read_claim(reply: Sequence[Any]) -> Claim:
    """Read an answer of claim.lua."""
    result, *told = reply
    return Claim(Claimed(result.decode()), read_standing(told[0]) if told else None)


def read_appended(reply: Sequence[Any]) -> Appended:
    """Read an answer of append.lua."""
    kept, *told = reply
    standing = read_standing(told[0]) if told else None
    return Appended(Kept(kept.decode()), standing, told[1] if len(told) > 1 else 0)


def read_page(reply: Sequence[Any]) -> tuple[Page, float]:
    """Read an answer of read.lua: a page, and the seconds until its owner counts as silent."""
    told, silent_in_ms, first, entries = reply
    return Page(read_standing(told), first, entries), silent_in_ms / 1000
