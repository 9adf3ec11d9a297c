"""All outcomes at one moment, sorted by what the streams are there for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import msgspec

from streamgap.doctor.idle.cut import How
from streamgap.doctor.idle.fate import GRACE_S, Fate, Life, Outcome, outcome_of, transit_s
from streamgap.doctor.idle.plan import KEEPERS, Plan, Role

SETTLE_S = 0.3  # what the same timer closes may be told of a little later than the first of it
AGREE_S, AGREE = 0.25, 0.03  # two silences within 0.25 s, or 3 %, are the same timer's


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known at `now_s` of the measurement's clock; `transit_s` is the path's shortest delay."""

    now_s: float
    plan: Plan
    transit_s: float
    silent: tuple[Outcome, ...]
    first_byte: tuple[Outcome, ...]
    keepers: Mapping[Role, Outcome]

    @classmethod
    def of(cls, lives: Sequence[Life], *, now_s: float, plan: Plan) -> Self:
        """Judge each stream by what is known at `now_s`."""
        base_s = transit_s(lives)
        outcomes = [outcome_of(life, now_s=now_s, transit_s=base_s, plan=plan) for life in lives]
        return cls(
            now_s=now_s,
            plan=plan,
            transit_s=base_s,
            silent=tuple(one for one in outcomes if one.stream.role is Role.SILENT),
            first_byte=tuple(one for one in outcomes if one.stream.role is Role.FIRST_BYTE),
            keepers={one.stream.role: one for one in outcomes if one.stream.role in KEEPERS},
        )

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every stream's."""
        return (*self.silent, *self.first_byte, *self.keepers.values())

    @property
    def lived_s(self) -> tuple[float, ...]:
        """The silences that streams lived through, in rising order."""
        return tuple(sorted(one.stream.lasts_s for one in self.silent if one.fate is Fate.WHOLE))

    def unsettled(self, ended: Sequence[Outcome]) -> bool:
        """Say whether the last of these ended a moment ago: the ends of others may be on their way."""
        return self.now_s < max(one.end_s for one in ended) + SETTLE_S

    @property
    def over(self) -> bool:
        """Whether no stream can tell anything more."""
        if all(one.fate is not Fate.RUNNING for one in self.outcomes):
            return True
        last_s = max(one.life.began_s for one in self.outcomes)
        return self.now_s > last_s + self.plan.longest_s + 2 * GRACE_S + self.transit_s


def agree(a_s: float, b_s: float) -> bool:
    """Say whether two silences may be the same timer's."""
    return abs(a_s - b_s) <= max(AGREE_S, AGREE * max(a_s, b_s))


def how(outcomes: Sequence[Outcome]) -> How | None:
    """Return how the streams ended, the most frequent way; None where nothing ended them."""
    ways = list(_ways(outcomes))
    return max(ways, key=ways.count) if ways else None


def _ways(outcomes: Sequence[Outcome]) -> Iterator[How]:
    for one in outcomes:
        if (probe := one.life.probe) is not None:
            yield How(ending=probe.ending, status=None if probe.is_stream else probe.status)
