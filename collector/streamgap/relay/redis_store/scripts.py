"""The Lua scripts: each call of the store is one of them, and so happens at once or not at all."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

_LUA = Path(__file__).with_name("lua")


@dataclass(frozen=True, slots=True)
class Script:
    """A script by its text, and the digest under which a server that has seen it knows it."""

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


def _script(name: str) -> Script:
    return Script("".join((_LUA / f"{part}.lua").read_text("utf-8") for part in ("standing", name)))


CLAIM = _script("claim")
APPEND = _script("append")
RESTORE = _script("restore")
READ = _script("read")
STOP = _script("stop")
ATTEND = _script("attend")
