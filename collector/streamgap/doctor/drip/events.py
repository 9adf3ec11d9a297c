"""The bytes of a drip: each event exactly as long as it was asked to be."""

from collections.abc import Iterator

from streamgap.core.probe import AppView
from streamgap.core.sse import sse_comment, sse_event

OPENING = sse_comment("drip")
_MODULUS = 2**31
# The words of ordinary prose, the frequent ones first: text of them compresses about as an answer does.
_PROSE = """the of and to a in is that it for as with you can this be are on or by an from not at one your have more
when if which will use into has each also their between time they first data most then example than so may need
answer only model work way but how like all its other such system make these some large we there about would what
over two because where up new through while both many same small after different language without used using value
process number people result does should learn question energy light water often between within under every point
human change cause known order information simple common several important function state light part measure early
cell structure increase reduce network history allow provide create include write begin remember language however
therefore although finally usually"""
_WORDS = tuple(dict.fromkeys(_PROSE.split()))


def numbered(index: int, *, size_bytes: int, run: str, t_ms: float) -> bytes:
    """Return event `index`: `size_bytes` long, its two line breaks included."""
    head = f'id: {index}\ndata: {{"r":"{run}","i":{index},"t":{t_ms:.1f},"w":"'
    tail = '"}\n\n'
    return (head + filler(index, size_bytes=size_bytes - len(head) - len(tail)) + tail).encode()


def opened(view: AppView, *, run: str, expected: int) -> bytes:
    """Return the event that tells how the request came to the app."""
    seen = {
        "v": 1,
        "run": run,
        "expected": expected,
        "protocol": view.protocol,
        "method": view.method,
        "headers": view.headers,
        "in_flight": view.in_flight,
    }
    return sse_event(seen, event="drip-open")


def done(count: int, *, run: str, t_ms: float) -> bytes:
    """Return the event that proves the stream complete."""
    return sse_event({"r": run, "n": count, "t": round(t_ms, 1)}, event="done")


def heartbeat(padding_bytes: int) -> bytes:
    """Return a comment of 5 bytes and its padding."""
    return sse_comment("hb" + " " * padding_bytes)


def filler(index: int, *, size_bytes: int) -> str:
    """Return text like prose, of one byte per character, the same for the same index."""
    words, room = [], size_bytes
    for word in _prose(index):
        words.append(word)
        room -= len(word) + 1
        if room < 0:
            break
    return " ".join(words)[:size_bytes]


def _prose(seed: int) -> Iterator[str]:
    # A linear congruential generator (the constants of glibc's), squared towards the frequent words.
    state = (seed * 2_654_435_761 + 1) % _MODULUS
    while True:
        state = (state * 1_103_515_245 + 12_345) % _MODULUS
        yield _WORDS[state * state * len(_WORDS) // (_MODULUS * _MODULUS)]
