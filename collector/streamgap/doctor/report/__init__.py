"""What a person, or a program, gets to read."""

from streamgap.doctor.report.document import document
from streamgap.doctor.report.text import text

__all__ = ["document", "text"]
