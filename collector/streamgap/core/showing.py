"""Text of somebody else's, for a terminal or a message."""


def shown(text: str, *, at_most: int = 60) -> str:
    """Quote what a server sent for a terminal: control characters escaped, no more than `at_most` characters."""
    quoted = repr(text[:at_most])
    return f"{quoted}…" if len(text) > at_most else quoted
