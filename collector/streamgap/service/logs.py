"""One log line per event, as JSON or as text. What a stranger sent can neither break a line nor steer a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

MAX_VALUE = 256

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}


def configure(*, log_format: Literal["json", "text"], level: str, stream: TextIO | None = None) -> None:
    """Send the whole process's log to `stream` (default: standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Below this uvicorn logs one line per malformed request, which any stranger can send without end.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
    """An object per line: time, level, logger, event, the record's extra fields, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII JSON."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str).replace("\x7f", "\\u007f")


class TextFormatter(logging.Formatter):
    """A line for people: time, level, event, key=value; an exception follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, control characters escaped."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        pairs = "".join(f" {key}={value}" for key, value in _extra(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage()}{pairs}".translate(_CONTROL)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and key != "color_message"}
    return {key: value[:MAX_VALUE] if isinstance(value, str) else value for key, value in fields.items()}
