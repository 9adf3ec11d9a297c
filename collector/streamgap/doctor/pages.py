"""The pages of the hops, written from the knowledge base: docs/hops/<name>.md and their table."""

from collections.abc import Iterator, Sequence

from streamgap.core.hops import Habit, Hop, Remedy, Source, Timer, Trace
from streamgap.core.mechanism import CODES, Mechanism

MADE_FROM = "Generated from `collector/streamgap/doctor/{}` by `make generate`; change it there.\n"
MARKS = {
    "measured": "**measured**: seen here, with the version named",
    "documented": "**documented**: said by its maker, at the address",
    "reported": "**reported**: told by users, at the address",
}
INDEX = """\
# Hops

What is known of {count} programs that stand between an app and its people, and what frees a stream that they hold.
{made}
{marks}. What nobody said or saw is left out. A
remedy is *proven* where a test of this repository applies its lines to the real program and sees the stream flow.

| program | kind | holds streams by | shows itself by |
|---|---|---|---|
{rows}

## How a suspect's confidence is made

Each way of holding in these files starts at odds of its `prior`. Every sign is a factor on them: how many times oftener
it is seen where this is the cause than where it is not.

| sign | for | against |
|---|---|---|
| the size of the blocks, or the period | × 8 (a narrow range), × 2 (a wide one) | × 0.05 |
| held under these protocols or methods, and not under others that were tried | × 4 | × 0.2 |
| the content coding | × 4 where others were spared | × 0.05 |
| the protocol in which the app was asked | × 4 | × 0.05 |
| the headers come early or late, where everything comes at the end | × 3 where that is unusual, else × 1.2 | × ⅓ |
| freed by `X-Accel-Buffering: no` | × 15 | × 0.02 where it is not known to obey that |
| freed by another hint of the app | × 1.5 to × 3 | × 0.05 where that is known not to free it |
| a hint that frees it did not | | × 0.1 |
| traces in headers, together | up to × 4 (new outside of a tap that flows: × 12) | × (1 − strength) where missing |

Confidence = that of the finding · odds ÷ (1 + Σ odds of every program's best way). The 1 is the hop that nobody thought
of. A program that shows no trace, by a way that many programs have, stays below 0.3.
"""


def hop_pages(hops: Sequence[Hop]) -> dict[str, str]:
    """Return every page by its path in the repository."""
    pages = {f"docs/hops/{hop.name}.md": "\n".join(_page(hop)) for hop in hops}
    rows = "\n".join(_row(hop) for hop in hops)
    made = MADE_FROM.format("hops/*.toml")
    marks = " · ".join(MARKS.values())
    return {"docs/hops/README.md": INDEX.format(count=len(hops), rows=rows, made=made, marks=marks), **pages}


def code_link(mechanism: Mechanism, *, towards: str = "../codes/") -> str:
    """Return a link to a mechanism's page."""
    code = CODES[mechanism]
    return f"[{code.code}]({towards}{code.code}.md) {code.title}"


def _page(hop: Hop) -> Iterator[str]:
    yield from (f"# {hop.title}", "", MADE_FROM.format(f"hops/{hop.name}.toml"))
    yield from (hop.about, "", "## How it shows itself", "")
    yield from _traces(hop.traces)
    yield from ("", "## How it holds streams", "")
    yield from _habits(hop.habits)
    if hop.timers:
        yield from ("## When it ends streams", "", *_timers(hop.timers), "")
    if hop.remedies:
        yield from ("## Remedies", "")
        for remedy in hop.remedies:
            yield from _remedy(remedy)


def _traces(traces: Sequence[Trace]) -> Iterator[str]:
    if not traces:
        yield "Not at all: no header of the response or of the request that the app sees is its own."
        return
    yield "| where | header | value | strength | known from |"
    yield "|---|---|---|---|---|"
    for trace in traces:
        where = "response" if trace.where == "response" else "request, as the app sees it"
        value = f"`{_cell(trace.pattern)}`" if trace.pattern else "any"
        value = "missing" if trace.absent else value
        yield f"| {where} | `{trace.header}` | {value} | {trace.strength:g} | {_source(trace.source)} |"


def _habits(habits: Sequence[Habit]) -> Iterator[str]:
    if not habits:
        yield from ("No way is known.", "")
    for habit in habits:
        yield from (f"### {habit.id}", "", f"{code_link(habit.mechanism)}: {habit.because}.", "")
        yield from (f"- {line}" for line in _conditions(habit))
        remedies = ", ".join(f"[{name}](#remedy-{name})" for name in habit.remedies)
        yield from (f"- remedies: {remedies}", f"- {_source(habit.source)}", "")


def _conditions(habit: Habit) -> Iterator[str]:
    heads = {"early": "at once", "late": "with the first event"}
    told = {
        "only to clients of {}": _listed(habit.protocols),
        "only with the content coding {}": _listed(habit.encodings),
        "only for {}": _listed(habit.methods),
        "in blocks of {} bytes as seen outside": _span(habit.block_bytes),
        "for {} ms": _span(habit.period_ms),
        "the app is asked in {}": habit.request_protocol,
        "the headers come {}": heads.get(habit.head, ""),
        "versions {}": habit.versions,
        "freed by {}": _listed(habit.freed_by),
        "not freed by {}": _listed(habit.not_freed_by),
    }
    yield from (form.format(value) for form, value in told.items() if value)


def _span(span: tuple[float, float] | None) -> str:
    return f"{span[0]:,.0f} to {span[1]:,.0f}" if span else ""


def _timers(timers: Sequence[Timer]) -> Iterator[str]:
    yield "| setting | counts | default | the client sees | remedy | known from |"
    yield "|---|---|---|---|---|---|"
    counts = {"idle": "silence", "first_byte": "time to the first byte", "age": "age, silent or not"}
    for timer in timers:
        default = "none" if timer.default_s is None else f"{timer.default_s:g} s"
        remedy = f"[{timer.remedy}](#remedy-{timer.remedy})" if timer.remedy else ""
        cells = (f"`{_cell(timer.directive)}`", counts[timer.kind], default, _cell(timer.ends), remedy)
        yield f"| {' | '.join(cells)} | {_source(timer.source)} |"


def _remedy(remedy: Remedy) -> Iterator[str]:
    yield from (f"### Remedy: {remedy.id}", "", f"Place: {remedy.place}.", "")
    yield from ("```", remedy.lines.strip("\n"), "```", "")
    if remedy.note:
        yield from (remedy.note.strip(), "")
    proven = "Proven by a test; " if remedy.proven else ""
    yield from (f"{proven}{_source(remedy.source)}.", "")


def _row(hop: Hop) -> str:
    ways = sorted({CODES[habit.mechanism].code for habit in hop.habits})
    holds = ", ".join(f"[{code}](../codes/{code}.md)" for code in ways) or "no way is known"
    shows = ", ".join(dict.fromkeys(f"`{trace.header}`" for trace in hop.traces)) or "nothing"
    return f"| [{hop.title}]({hop.name}.md) | {hop.kind.replace('_', ' ')} | {holds} | {shows} |"


def _source(source: Source) -> str:
    return f"{source.mark}: {_cell(source.text)}"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
