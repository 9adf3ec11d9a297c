"""A stream that needs no model: numbered events at a given pace, with the app's own times in them (docs/drip.md)."""

from streamgap.doctor.drip.asgi import Drip
from streamgap.doctor.drip.limits import Limits
from streamgap.doctor.drip.plan import PlanError, plan_of, query_of
from streamgap.doctor.drip.schedule import Plan
from streamgap.doctor.drip.wsgi import DripWsgi

__all__ = ["Drip", "DripWsgi", "Limits", "Plan", "PlanError", "plan_of", "query_of"]
