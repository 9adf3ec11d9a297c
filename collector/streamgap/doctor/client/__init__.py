"""One request, every byte stamped: what a path did to one stream, as evidence."""

from streamgap.doctor.client.lag import Lag
from streamgap.doctor.client.limits import ClientLimits
from streamgap.doctor.client.probing import probe
from streamgap.doctor.client.redirects import settle
from streamgap.doctor.client.target import Target, TargetError

__all__ = ["ClientLimits", "Lag", "Target", "TargetError", "probe", "settle"]
