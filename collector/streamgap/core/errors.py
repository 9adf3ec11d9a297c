"""Exceptions. Every message says where, what was expected, what was got."""


class StreamgapError(Exception):
    """Base of everything this project raises on purpose."""


class InvalidReportError(StreamgapError):
    """A half that does not fit the wire schema. `reason` is one of the catalogue's rejection reasons."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SettingsError(StreamgapError):
    """A setting that is unknown or out of its range."""
