"""From a finding to the programs that may be the cause: traces, habits, and how they add up."""

from streamgap.core.suspects.ranking import suspects
from streamgap.core.suspects.sightings import Sighting, traced

__all__ = ["Sighting", "suspects", "traced"]
