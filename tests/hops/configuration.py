"""A configuration of the zoo: what stands between an app and its users, and what is true of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamgap.core.mechanism import Mechanism

if TYPE_CHECKING:
    from hops.zoo import Zoo


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a program listens. `path` leads to the drip, `scheme` is http, https or uwsgi."""

    port: int
    path: str = "/drip"
    scheme: str = "http"

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


Origin = Callable[["Zoo"], AbstractAsyncContextManager[Site]]
Stand = Callable[["Zoo", Site], AbstractAsyncContextManager[Site]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An app's server, and the programs in front of it from the inside out."""

    origin: Origin
    stands: tuple[Stand, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a diagnosis must say.

    A path is guilty of any of `mechanisms`; with none it is clean, and may still earn one of `notes`. `hops` are the
    names in the knowledge base that are right. `tap` counts the taps from the inside: the one at which the hold
    appears. `block_bytes` and `period_ms` are inclusive ranges. What the knowledge base does not list (`unlisted`) may
    stay unnamed, but nobody else may be named for it. `also` are further holds, at other taps.
    """

    mechanisms: frozenset[Mechanism] = frozenset()
    notes: frozenset[Mechanism] = frozenset()
    hops: tuple[str, ...] = ()
    tap: int = -1
    block_bytes: tuple[int, int] | None = None
    period_ms: tuple[float, float] | None = None
    unlisted: bool = False
    also: "tuple[Truth, ...]" = ()

    @property
    def clean(self) -> bool:
        return not self.mechanisms


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """The same path with a `remedy` of the knowledge base's `hop` in it."""

    hop: str
    remedy: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One path of the zoo. With `every_tap` the inner URLs are given to the diagnosis too, as `--via` does."""

    name: str
    family: str
    route: Route
    truth: Truth
    cures: tuple[Cure, ...] = ()
    every_tap: bool = False


NOTHING = Truth()
LATE = Truth(notes=frozenset({Mechanism.LATE_HEADERS}))


def guilty(*mechanisms: Mechanism, hops: tuple[str, ...], **more: object) -> Truth:
    """Return the truth about a path that holds streams by any of `mechanisms`, at one of `hops`."""
    return Truth(mechanisms=frozenset(mechanisms), hops=hops, **more)  # type: ignore[arg-type]
