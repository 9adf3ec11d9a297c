"""The collector: admission → pending → join → exposition and the live page."""

from streamgap.service.admin import create_admin_app
from streamgap.service.collector import Collector
from streamgap.service.joiner import Joiner, Sink
from streamgap.service.public import create_public_app
from streamgap.service.settings import Settings

__all__ = ["Collector", "Joiner", "Settings", "Sink", "create_admin_app", "create_public_app"]
