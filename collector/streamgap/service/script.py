"""The beacon script as it is served: its bytes, its immutable name, its integrity hash."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256, sha384

from streamgap import shipped

BUNDLE = "beacon_js/beacon.iife.js"


def integrity(content: bytes) -> str:
    """Return the Subresource Integrity value of a script, for the `integrity` attribute of its tag."""
    return f"sha384-{b64encode(sha384(content).digest()).decode()}"


@dataclass(frozen=True, slots=True)
class BeaconScript:
    """The script that pages load. Its hashed path names the content, so it may be cached for ever."""

    content: bytes

    @classmethod
    def shipped(cls) -> "BeaconScript":
        """Return the script that travels with this package. Raises FileNotFoundError where it was never built."""
        return cls(shipped.read_bytes(BUNDLE))

    @property
    def integrity(self) -> str:
        """The `integrity` attribute's value."""
        return integrity(self.content)

    @property
    def path(self) -> str:
        """The immutable path, below the public app's root."""
        return f"/beacon-{sha256(self.content).hexdigest()[:16]}.js"
