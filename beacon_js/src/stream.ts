import type { Context } from "./context.ts";
import { addResource, observeEntries } from "./entries.ts";
import { isSampled } from "./id.ts";
import { watchPresence } from "./presence.ts";
import { createReport, type Report } from "./reports.ts";
import { arrive, newTimeline } from "./timeline.ts";
import { MAX_MS, type ClientHalf, type End } from "./wire.ts";

// A navigation fails requests before the page hears of it, and ResourceTiming entries come after the end.
const SETTLE_MS = 60;
// Of two requests for one URL, only one began with the stream.
const SAME_START_MS = 50;

/** One stream under measurement. */
export interface Stream {
  half: ClientHalf;
  /** Whether it is certain enough to be a stream that it is worth a report. */
  isKnown: boolean;
  /** Time since the start of the request, in ms. */
  elapsedMs: () => number;
  /** `items` content events, or bytes, have arrived together. */
  arrive: (items: number) => void;
  /** The first end counts. `atMs` is when it was, if not now. */
  end: (end: End, atMs?: number) => void;
}

interface Opening extends Pick<ClientHalf, "via" | "sid"> {
  url: string;
  isKnown: boolean;
}

/** Starts to measure a stream, which is reported at its end, or when the page is hidden or left. */
export const openStream = (context: Context, { via, sid, url, isKnown }: Opening): Stream => {
  const { guard, page, post, options } = context;
  const startMs = performance.now();
  const half: ClientHalf = { v: 1, sid, page, n: 0, via, dur: 0, hidden: 0, ...newTimeline() };
  const send = createReport(post, half);
  const over = new AbortController();
  let ended: End | undefined;

  const elapsedMs = (): number => Math.min(performance.now() - startMs, MAX_MS);
  const measure = (): void => {
    if (ended) return;
    half.dur = elapsedMs();
    half.hidden = hiddenMs();
  };
  const report: Report = (...args) => {
    measure();
    if (stream.isKnown && isSampled(half.sid, options.sample ?? 1)) send(...args);
  };
  const insure = guard(() => {
    if (!ended && "fetchLater" in globalThis) report("lost", true, true);
  });
  const conclude = guard((isLeaving: boolean) => {
    if (over.signal.aborted) return;
    over.abort();
    stopEntries();
    report(isLeaving && (!ended || ended === "error") ? "left" : ended!, true, isLeaving);
  });
  const onAway = guard((isLeaving: boolean) => {
    if (isLeaving || ended) return conclude(isLeaving);
    report("left", false, false);
    insure();
  });
  const hiddenMs = watchPresence(elapsedMs, onAway, over.signal);

  // If the page has not begun to read what is all there, it will not read arrivals.
  const dropUnread = (): void => {
    if (stream.isKnown) return;
    ended = "error";
    conclude(false);
  };
  const onEntries = guard((entries: PerformanceEntryList) => {
    for (const entry of entries) {
      const fromMs = entry.startTime - startMs;
      if (entry.entryType === "longtask") {
        const endMs = ended ? half.dur : elapsedMs();
        half.busy! += Math.max(Math.min(fromMs + entry.duration, endMs) - Math.max(fromMs, 0), 0);
      } else if (entry.name === url && Math.abs(fromMs) < SAME_START_MS) {
        addResource(half, entry as PerformanceResourceTiming, startMs);
        setTimeout(dropUnread, SETTLE_MS);
      }
    }
  });
  const stopEntries = observeEntries(half, onEntries);

  const awaitPaint = (): void => {
    const hiddenBeforeMs = hiddenMs();
    requestAnimationFrame(() =>
      setTimeout(() => {
        if (hiddenMs() === hiddenBeforeMs) half.paint = elapsedMs();
      }),
    );
  };

  const stream: Stream = {
    half,
    isKnown,
    elapsedMs,
    arrive: (items) => {
      if (ended || !items) return;
      if (!half.count) {
        awaitPaint();
        // In a task of its own: no chunk waits for us.
        setTimeout(insure);
      }
      arrive(half, items, elapsedMs());
    },
    end: (end, atMs) => {
      if (ended) return;
      measure();
      ended = end;
      half.dur = atMs ?? half.dur;
      setTimeout(conclude, SETTLE_MS, false);
    },
  };
  return stream;
};
