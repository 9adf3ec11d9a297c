"""Every Python block of docs/drip.md is run as it stands, by the servers that people run it with."""

import re
from pathlib import Path

import pytest

from doctor.drip.lab import taken_apart
from doctor.drip.programs import program, read_until, until_alone
from streamgap.core.probe import Hint
from streamgap.doctor.drip.limits import MAX_EVENT_BYTES, MIN_EVENT_BYTES, Limits

PAGE = (Path(__file__).parents[3] / "docs" / "drip.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FASTAPI, STARLETTE, DJANGO, FLASK = BLOCKS
UVICORN = ("uvicorn", "--port=PORT", "--timeout-graceful-shutdown=1")
GUNICORN = ("gunicorn", "--bind=127.0.0.1:PORT", "--graceful-timeout=1")
# What `django-admin startproject` puts around a project's urls.py, as far as it matters here.
DJANGO_PROJECT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.{kind} import get_{kind}_application
app = get_{kind}_application()
"""
DJANGO_SETTINGS = """
SECRET_KEY = "example"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
"""
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("files", "server", "url"),
    [
        ({"page.py": FASTAPI}, (*UVICORN, "page:app"), "/drip/"),
        ({"page.py": STARLETTE}, (*UVICORN, "page:app"), "/drip/"),
        ({"urls.py": DJANGO, "page.py": DJANGO_PROJECT.format(kind="asgi")}, (*UVICORN, "page:app"), "/drip"),
        ({"urls.py": DJANGO, "page.py": DJANGO_PROJECT.format(kind="wsgi")}, (*GUNICORN, "page:app"), "/drip"),
        ({"page.py": FLASK}, (*GUNICORN, "page:app"), "/drip"),
        ({}, (*UVICORN, "--factory", "streamgap.doctor:Drip"), "/anything"),
    ],
    ids=["fastapi", "starlette", "django-asgi", "django-wsgi", "flask", "alone"],
)
async def test_the_page_s_apps_drip(files: dict[str, str], server: tuple[str, ...], url: str, tmp_path: Path) -> None:
    """GET and POST stream what they were asked for; a wrong token, method or query gets its own status."""
    for name, text in {"settings.py": DJANGO_SETTINGS, **files}.items():
        (tmp_path / name).write_text(text)
    query, environment = f"{url}?segments=3x200@5%2B30&hints=x-accel-buffering", {"DRIP_TOKEN": "s3cret"}
    async with program(*server, probe="/", directory=tmp_path, environment=environment) as client:
        stranger = await client.get(query)
        client.headers["x-drip-token"] = "s3cret"
        got = await client.get(query)
        posted = await client.post(query, content=b"{}" * 1000)
        wrong_method = await client.put(query)
        wrong_query = await client.get(url, params={"count": 0})
        too_long = await client.post(query, content=b"x" * 65_537)
    for response, method in ((got, "GET"), (posted, "POST")):
        body = taken_apart(response.content)
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-accel-buffering"] == "no"
        assert body.opening["method"] == method
        assert body.opening["in_flight"] == 1
        assert body.sizes == [200] * 3
        assert body.done is not None
        assert body.done["t"] > 35  # uvloop rounds waits to whole ms
    assert stranger.status_code == (403 if files else 200)
    assert [wrong_method.status_code, wrong_query.status_code, too_long.status_code] == [405, 400, 413]


@pytest.mark.parametrize(("kind", "server"), [("asgi", UVICORN), ("wsgi", (*GUNICORN, "--threads=4"))])
async def test_django_passes_each_event_on(kind: str, server: tuple[str, ...], tmp_path: Path) -> None:
    """The first events are there while the stream is a minute from its end; a client that leaves frees its seat."""
    for name, text in {
        "settings.py": DJANGO_SETTINGS,
        "urls.py": DJANGO,
        "page.py": DJANGO_PROJECT.format(kind=kind),
    }.items():
        (tmp_path / name).write_text(text)
    environment = {"DRIP_TOKEN": "s3cret"}
    async with program(*server, "page:app", probe="/", directory=tmp_path, environment=environment) as client:
        client.headers["x-drip-token"] = "s3cret"
        # Beats, because a WSGI server learns of the client's leaving by writing.
        path = "/drip?segments=2x200@5,1x200@5%2B60000&heartbeat_ms=100"
        async with client.stream("GET", path) as response:
            await read_until(response, b"id: 1\n")
        await until_alone(client, "/drip")


def test_the_page_tells_the_limits_as_they_are() -> None:
    """Defaults and bounds on the page are those of the code."""
    limits = Limits()
    table = dict(re.findall(r"\| `(\w+)` \| ([^|]+) \|", PAGE.partition("## What it may cost")[2]))
    assert table == {
        "max_events": str(limits.max_events),
        "max_bytes": f"{limits.max_bytes // 1024**2} MiB",
        "max_s": f"{limits.max_s:g}",
        "max_concurrent": str(limits.max_concurrent),
        "grace_s": f"{limits.grace_s:g}",
    }
    assert f"Sizes: {MIN_EVENT_BYTES} to {MAX_EVENT_BYTES:,} bytes" in PAGE
    assert {hint.value for hint in Hint if hint is not Hint.OPENING} <= set(re.findall(r"`([\w-]+)`", PAGE))
