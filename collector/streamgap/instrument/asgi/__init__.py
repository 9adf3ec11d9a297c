"""The ASGI middleware: the app server's half of each streamed response."""
