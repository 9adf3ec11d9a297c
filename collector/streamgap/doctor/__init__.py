"""Active probes of a path: the endpoint they ask (`Drip`), and the programs that ask it (docs/doctor.md)."""

from streamgap.doctor.drip import Drip, DripWsgi

__all__ = ["Drip", "DripWsgi"]
