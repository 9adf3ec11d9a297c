"""The route template of a request, the label of every metric: never a path as it was asked for."""

from typing import Any

from streamgap.instrument.asgi.kinds import Scope


def route_template(scope: Scope) -> str:
    """Return the template of the route that served the request, with the prefixes of the apps it is mounted in.

    Read from what Starlette and FastAPI leave in the scope; empty for other frameworks.
    """
    route = scope.get("route")
    # FastAPI ≥ 0.165 includes routers lazily: the route itself does not know its prefix.
    included = scope.get("fastapi", {}).get("effective_route_context")
    own = getattr(included, "path_format", "") or _path(route)
    return _mounts(scope, own) + own


def _path(route: Any) -> str:
    # Of a Mount (it has `routes`), the path is part of the root path already.
    if route is None or hasattr(route, "routes"):
        return ""
    return str(getattr(route, "path_format", "") or getattr(route, "path", ""))


def _mounts(scope: Scope, own: str) -> str:
    """Return the prefixes; a mount with parameters has their values in its path, which go back to being names."""
    if "app_root_path" not in scope:
        return ""
    prefix = scope.get("root_path", "").removeprefix(scope["app_root_path"]).rstrip("/")
    names = {
        str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items() if f"{{{name}" not in own
    }
    return "/".join(names.get(segment, segment) for segment in prefix.split("/"))
