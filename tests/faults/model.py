"""What the fake Gemini says: which call it is and which piece, at a pace that the prompt names."""

from collections import Counter

from streamgap.demo.fake_gemini import GeminiRequest, Sleep, Step, Text

PIECES = 80
FEW = 8
LONG_S = 60.0
STEADY_S = 0.05
EVERY_S = {
    "quick": 0.005,
    "brisk": 0.02,
    "steady": STEADY_S,
    "brief": STEADY_S,
    "endless": STEADY_S,
    "silent": STEADY_S,
}


class Model:
    """A script for prompts that begin with the pace of the first call and of the others, such as `endless/quick`.

    An answer has `PIECES` pieces: `quick` takes 0.4 s, `brisk` 1.6 s, `steady` 4 s. `brief` has `FEW` and takes 0.4 s;
    `endless` speaks and `silent` thinks for a minute.
    """

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def __call__(self, request: GeminiRequest) -> list[Step]:
        """Answer one call."""
        first, again = request.prompt.split(" ")[0].split("/")
        pace = again if self._asked[request.prompt] else first
        self._asked[request.prompt] += 1
        pieces = {"endless": round(LONG_S / STEADY_S), "brief": FEW}.get(pace, PIECES)
        steps: list[Step] = [Sleep(LONG_S if pace == "silent" else 0)]
        for nth in range(1, pieces + 1):
            steps += [Text(f"{request.nth}:{nth}", finish="STOP" if nth == pieces else None), Sleep(EVERY_S[pace])]
        return steps[:-1]


def spoken(call: int | None, pieces: int = PIECES) -> str:
    """Return the first pieces of the answer of a call, by its number; by default all of one with `PIECES`."""
    return "".join(f"{call}:{nth}" for nth in range(1, pieces + 1))
