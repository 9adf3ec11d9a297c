"""Where the pages stand that alerts, reports and the live page send people to."""

DOCS_URL = "https://github.com/streamgap/streamgap/blob/main/docs/"


def code_page(code: str) -> str:
    """Return the page of a stable code such as `SG103`."""
    return f"{DOCS_URL}codes/{code}.md"


def hop_page(name: str) -> str:
    """Return the page of a program of the knowledge base."""
    return f"{DOCS_URL}hops/{name}.md"


def runbook(alert: str) -> str:
    """Return the runbook of an alert."""
    return f"{DOCS_URL}runbooks/{alert}.md"
