// What the page says: durations, verdicts and one sentence per stream.

/** Formats ms with at most three digits, on one line: "8.2 ms", "240 ms", "2.10 s", "75.0 s"; "–" where unknown. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const size = Math.abs(ms);
  const [value, digits, unit] =
    size < 999.5 ? [ms, size && size < 9.95 ? 1 : 0, "ms"] : [ms / 1000, size < 9995 ? 2 : size < 99_950 ? 1 : 0, "s"];
  return `${value.toFixed(digits).replace("-", "−")}\u00a0${unit}`;
}

/** Formats a round number of ms for an axis: "0", "250 ms", "1.5 s". */
export function tickLabel(ms) {
  if (ms === 0) return "0";
  return ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}

/** Formats how long ago something was: "now", "40 s ago", "3 min ago", "2 h ago". */
export function ago(ms) {
  if (ms < 2000) return "now";
  if (ms < 90_000) return `${Math.round(ms / 1000)} s ago`;
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min ago`;
  return `${Math.round(ms / 3_600_000)} h ago`;
}

export const amount = new Intl.NumberFormat("en").format;

/** Says how much one side had: "1 event", "1,200 bytes". */
export const quantity = ({ count, unit }) => `${amount(count)} ${count === 1 ? unit.slice(0, -1) : unit}`;

/** Verdicts worst first, each with its word and a shape of its own: colour never speaks alone. */
export const VERDICTS = {
  held: { word: "held", shape: "M2 2h10v10H2z" },
  cut: { word: "cut", shape: "M2 4 4 2l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z" },
  slow_page: { word: "slow page", shape: "M1 12 7 2l6 10z" },
  slow_app: { word: "slow app", shape: "M7 1l6 6-6 6-6-6z" },
  slow_model: { word: "slow model", shape: "M1 2h12L7 12z" },
  abandoned: { word: "abandoned", shape: "M7 1a6 6 0 1 0 .01 0zm0 2.4a3.6 3.6 0 1 1-.01 0z" },
  incomplete: { word: "incomplete", shape: "M7 1a6 6 0 0 0 0 12z" },
  flowing: { word: "flowing", shape: "M7 1.5a5.5 5.5 0 1 0 .01 0z" },
};

/** Says in one sentence what the verdict rests on. */
export function sentence(stream) {
  switch (stream.verdict) {
    case "held":
      if (stream.gap_ms === null) return "The reader left while content the server had written was still under way.";
      return `The path kept content back for ${duration(stream.hold_ms || stream.gap_ms)} that the server had already written.`;
    case "cut":
      return `${amount(stream.client.count)} of ${quantity(stream.server)} arrived; the rest was lost on the path.`;
    case "slow_page":
      return "The bytes were there; the page was hidden or busy and read them late.";
    case "slow_app":
      return `The app itself took ${duration(stream.app_ms)} before its first chunk left.`;
    case "slow_model":
      return `The model took ${duration(stream.model_ms)} to its first chunk.`;
    case "abandoned":
      return "The reader left before any content could have been there.";
    case "incomplete":
      return stream.outcome === "complete"
        ? "The two halves do not fit together."
        : `The answer was never finished: ${stream.outcome.replaceAll("_", " ")}.`;
    default:
      return stream.hold_ms === null
        ? "Nothing stood in the way."
        : `No chunk waited longer than ${duration(stream.hold_ms)} on the path.`;
  }
}

/** Says by what a stream was held, as far as its two halves can tell. */
export const likely = ({ name, title }) =>
  name === "unknown"
    ? "These two halves do not tell how it was held; streamgap doctor asks the path itself."
    : `Likely: ${title}.`;

/** Describes the chart for people who do not see it. */
export function description(stream) {
  const first = (side) => (side.at_ms.length ? `first chunk after ${duration(side.at_ms[0])}` : "no chunk");
  return (
    `${VERDICTS[stream.verdict].word}. Server: ${first(stream.server)}, ${quantity(stream.server)}. ` +
    `Browser: ${first(stream.client)}, ${quantity(stream.client)}. ` +
    `Gap ${duration(stream.gap_ms)}, hold ${duration(stream.hold_ms)}.` +
    (stream.mechanism ? ` ${likely(stream.mechanism)}` : "")
  );
}
