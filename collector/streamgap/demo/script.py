"""What the fake model says: text that breaks careless encoders, a thinking pause before and one in the middle."""

import re
from collections.abc import Sequence

from streamgap.demo.fake_gemini import GeminiRequest, Sleep, Step, Text

FIRST_CHUNK_S = 0.5
CHUNK_EVERY_S = 0.04
PAUSE_S = 1.2

ANSWER = """\
# Why did my answer arrive all at once?

A streamed answer is a **row of small writes**. Every program between the app and the screen may keep them:

- a proxy that fills its buffer first,
- a compressor that waits for enough to squeeze,
- a worker that serves one stream after the other.

Each of them answers 200 and logs nothing. The person at the screen sees six seconds of silence and then a wall of \
text.

```
event: done
data: [DONE]
```

(The block above is part of the answer. A reader that loses it here has an encoder that model text can break.)

So measure on both sides: when did the server write each chunk, and when did the browser get it? Subtract durations, \
never clocks. What is left is the time your bytes spent waiting for nobody. ✅
"""


WORDS_PER_CHUNK = 3
_WORDS = re.findall(r"\s*\S+|\s+$", ANSWER)
PIECES = tuple("".join(_WORDS[i : i + WORDS_PER_CHUNK]) for i in range(0, len(_WORDS), WORDS_PER_CHUNK))


def answer(_request: GeminiRequest) -> Sequence[Step]:
    """Return the steps of one generation: think, speak, pause, speak, end."""
    steps: list[Step] = [Sleep(FIRST_CHUNK_S)]
    for i, piece in enumerate(PIECES, start=1):
        pause_s = PAUSE_S if i == len(PIECES) // 2 else CHUNK_EVERY_S
        steps += [Text(piece, finish="STOP" if i == len(PIECES) else None), Sleep(pause_s)]
    return steps[:-1]
