"""The API docs as one page without a script: FastAPI's own loads Swagger from a CDN and is blank without one."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#16202b, #e6edf3); --soft: light-dark(#5b6b7a, #93a1b0);
  --line: light-dark(#d9e0e7, #2b3641); --ground: light-dark(#fbfbf9, #0e141a); --verb: light-dark(#0a66c2, #6cb6ff) }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 24px 16px 48px; max-width: 960px; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere }
h2 b { color: var(--verb); margin-right: .5em } p { margin: 6px 0; max-width: 75ch } .soft { color: var(--soft) }
section { border-top: 1px solid var(--line); padding: 16px 0 } a { color: var(--verb) }
table { border-collapse: collapse } td { padding: 3px 16px 3px 0; vertical-align: top }
pre { overflow: auto; padding: 12px; border: 1px solid var(--line); border-radius: 8px; font-size: .8rem }
summary { cursor: pointer; color: var(--soft) }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the HTML of an OpenAPI document: every operation with what it takes and what it answers."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f'<p>{escape(info.get("description", ""))}</p><p class="soft">Also as <a href="openapi.json">OpenAPI</a>.</p>'
        f"{operations}</html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    parts = [
        f"<section><h2><b>{escape(method.upper())}</b>{escape(path)}</h2>",
        f"<p>{escape(operation.get('summary', ''))}</p>",
        *(f'<p class="soft">{escape(text)}</p>' for text in _paragraphs(operation.get("description", ""))),
        "<table>",
        *(f'<tr><td class="soft">takes<td>{escape(kind)}' for kind in content),
    ]
    for status, response in operation["responses"].items():
        said = response.get("description", "")
        kinds = ", ".join(response.get("content", {}))
        parts.append(
            f'<tr><td class="soft">{escape(status)}<td>{escape(said)} <span class="soft">{escape(kinds)}</span>'
        )
    return "".join([*parts, "</table>", *_schemas(content), "</section>"])


def _schemas(content: Mapping[str, Any]) -> Iterator[str]:
    for media in content.values():
        if schema := media.get("schema"):
            yield f"<details><summary>Schema</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"


def _paragraphs(text: str) -> Iterator[str]:
    return (" ".join(part.split()) for part in text.split("\n\n") if part.strip())
