"""Text of somebody else's, for a terminal or a message."""


def shown(text: str, *, at_most: int = 60) -> str:
    """Quote what a server sent for a terminal: control characters escaped, no more than `at_most` characters."""
    quoted = repr(text[:at_most])
    return f"{quoted}…" if len(text) > at_most else quoted


def harmless(text: str) -> str:
    """Return text that may hold what a server sent with its control characters escaped, as they would be in a repr."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
