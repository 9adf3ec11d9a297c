"""`instrument_genai`: measures every streaming call of the google-genai SDK, without a line changed in the app."""

import functools
import importlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from streamgap.instrument.faults import note_fault
from streamgap.instrument.generation import Call, Generation
from streamgap.instrument.observe import face
from streamgap.instrument.shapes import GEMINI, INTERACTIONS, Shape
from streamgap.instrument.stream import CURRENT, StreamRecord

_MARK = "__streamgap_patch__"
_log = logging.getLogger("streamgap")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A streaming method. `eager`: it sends the request itself, where a lazy one leaves that to the first iteration."""

    module: str
    owner: str
    method: str
    shape: Shape
    asynchronous: bool
    eager: bool


def _targets() -> Iterator[_Target]:
    # Chats go through models, and would count twice.
    for owner, asynchronous in (("Models", False), ("AsyncModels", True)):
        yield _Target(
            module="google.genai.models",
            owner=owner,
            method="generate_content_stream",
            shape=GEMINI,
            asynchronous=asynchronous,
            eager=False,
        )
    for owner, asynchronous in (("GeminiNextGenInteractions", False), ("AsyncGeminiNextGenInteractions", True)):
        yield _Target(
            module="google.genai._gaos.google_genai",
            owner=owner,
            method="create",
            shape=INTERACTIONS,
            asynchronous=asynchronous,
            eager=True,
        )


def instrument_genai() -> None:
    """Measure every streaming call of google-genai ≥ 3 from now on: `generate_content_stream`, chats, interactions.

    Idempotent. Where OpenTelemetry's own instrumentation of google-genai is active, before or after this call, the
    `gen_ai.*` metrics are left to it. Raises ImportError where google-genai is missing: `pip install streamgap[genai]`.
    """
    for target in _targets():
        owner = _owner(target)
        if owner is None:
            continue
        if (patch := _find(owner, target.method)) is not None:
            patch.on = True
        else:
            setattr(owner, target.method, _replacement(_Patch(owner, target), vars(owner)[target.method]))


def uninstrument_genai() -> None:
    """Undo `instrument_genai`; under a wrapper that somebody else put on later, ours stays and does nothing."""
    for target in _targets():
        owner = _owner(target)
        if owner is None or (patch := _find(owner, target.method)) is None:
            continue
        patch.on = False
        outermost = vars(owner)[target.method]
        if _patch_of(outermost) is patch:
            setattr(owner, target.method, outermost.__wrapped__)


class _Patch:
    """One replaced method; `on` is false after it was undone."""

    __slots__ = ("_owner", "_target", "on")

    def __init__(self, owner: type, target: _Target) -> None:
        self._owner = owner
        self._target = target
        self.on = True

    @property
    def asynchronous(self) -> bool:
        return self._target.asynchronous

    def measures(self, arguments: Mapping[str, Any]) -> bool:
        return self.on and (not self._target.eager or arguments.get("stream") is True)

    def calling(self, resource: object, arguments: Mapping[str, Any]) -> "_Calling":
        stream = CURRENT.get()
        generation = Generation(self._call(resource, arguments), clock=stream.clock if stream else time.perf_counter_ns)
        return _Calling(generation, stream, eager=self._target.eager)

    def _call(self, resource: object, arguments: Mapping[str, Any]) -> Call:
        try:
            return Call(
                model=str(arguments.get("model") or ""),
                shape=self._target.shape,
                emits=not _measured_elsewhere(self._owner, self._target.method),
                **_server_of(resource),
            )
        except Exception as error:  # noqa: BLE001, the call survives our not knowing where it goes
            note_fault("patch", error)
            return Call(shape=self._target.shape)


class _Calling:
    """A call on its way to a stream: an eager one is on the clock already, and may fail."""

    __slots__ = ("_eager", "_generation", "_stream")

    def __init__(self, generation: Generation, stream: StreamRecord | None, *, eager: bool) -> None:
        self._generation = generation
        self._stream = stream
        self._eager = eager

    def __enter__(self) -> Callable[[Any], Any]:
        if self._eager:
            self._generation.begin()
        return lambda source: face(source, self._generation, stream=self._stream)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not self._eager:
            return
        if self._stream is not None:
            self._stream.attach(self._generation)
        self._generation.fail(error)


def _replacement(patch: _Patch, original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the method that stands in for `original`, of the same colour, so that whoever inspects it sees no other."""

    def bound(self: Any) -> Callable[..., Any]:
        # Never called with `self` in front: a wrapper of wrapt's, which may be what stood here, is bound or it errs.
        method: Callable[..., Any] = original.__get__(self, type(self))
        return method

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not patch.measures(kwargs):
            return bound(self)(*args, **kwargs)
        with patch.calling(self, kwargs) as observed:
            return observed(bound(self)(*args, **kwargs))

    @functools.wraps(original)
    async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not patch.measures(kwargs):
            return await bound(self)(*args, **kwargs)
        with patch.calling(self, kwargs) as observed:
            return observed(await bound(self)(*args, **kwargs))

    chosen = async_method if patch.asynchronous else method
    vars(chosen)[_MARK] = (patch, chosen)
    return chosen


def _owner(target: _Target) -> type | None:
    """Return the class that has the method, or None where this version of the SDK has it no longer."""
    try:
        owner = getattr(importlib.import_module(target.module), target.owner, None)
    except ImportError:
        if target.module == "google.genai.models":
            raise
        owner = None
    if isinstance(owner, type) and target.method in vars(owner):
        return owner
    _log.warning(
        "instrument_genai: expected %s.%s to have a method %s, found none; its calls are not measured",
        target.module,
        target.owner,
        target.method,
    )
    return None


def _layers(owner: type, method: str) -> Iterator[Any]:
    """Yield a method's wrappers from the outside in."""
    layer = vars(owner).get(method)
    while layer is not None:
        yield layer
        layer = getattr(layer, "__wrapped__", None)


def _find(owner: type, method: str) -> _Patch | None:
    return next(filter(None, map(_patch_of, _layers(owner, method))), None)


def _patch_of(layer: Any) -> _Patch | None:
    """Return the patch of a replacement of ours; a wrapper that copied our attributes (functools.wraps) is none."""
    patch, function = getattr(layer, "__dict__", {}).get(_MARK, (None, None))
    return patch if function is layer else None


def _measured_elsewhere(owner: type, method: str) -> bool:
    """Tell whether an OpenTelemetry instrumentation, which emits `gen_ai.*` itself, wraps the method too."""
    wrappers = (getattr(layer, "_self_wrapper", layer) for layer in _layers(owner, method))
    modules = (getattr(wrapper, "__globals__", {}).get("__name__", "") for wrapper in wrappers)
    return any(module.startswith("opentelemetry.") for module in modules)


def _server_of(resource: Any) -> dict[str, Any]:
    """Return provider, server address and port of an SDK resource, as far as it tells."""
    client = getattr(resource, "_api_client", None)
    if client is not None:
        url = getattr(getattr(client, "_http_options", None), "base_url", None) or ""
        vertex = bool(getattr(client, "vertexai", False))
    else:
        url = getattr(getattr(resource, "sdk_configuration", None), "server_url", None) or ""
        vertex = "aiplatform" in url
    parts = urlsplit(url)
    return {
        "provider": "gcp.vertex_ai" if vertex else "gcp.gemini",
        "server_address": parts.hostname or "",
        "server_port": parts.port,
    }
