import type { BeaconOptions } from "./api.ts";
import { guard, type Complain } from "./guard.ts";
import { isSampled, newId } from "./id.ts";
import { arrive, newTimeline } from "./timeline.ts";
import { encode, MAX_MS, type ClientHalf, type End } from "./wire.ts";

declare const fetchLater: typeof fetch;

// Fields that browsers know and TypeScript does not.
interface ResourceEntry extends PerformanceResourceTiming {
  finalResponseHeadersStart?: number;
  contentEncoding?: string;
}

// A navigation fails requests before the page hears of it, and ResourceTiming entries come after the end.
const SETTLE_MS = 60;
// Of two requests for one URL, only one began with the stream.
const SAME_START_MS = 50;

/** One stream under measurement. None of its functions throws. */
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

/**
 * Starts to measure a stream, which is reported at its end, or when the page is hidden or left. An error is the page's
 * own stop where `signal` is aborted.
 */
export type Open = (via: ClientHalf["via"], sid: string, url: string, isKnown: boolean, signal?: AbortSignal) => Stream;

export const createOpen = ({ url: collector, sample = 1 }: BeaconOptions, complain: Complain): Open => {
  // Kept, because the page's own may be replaced by ours.
  const native = globalThis.fetch;
  // One page load.
  const page = newId();

  return (via, sid, url, isKnown, signal) => {
    const startMs = performance.now();
    const half: ClientHalf = { v: 1, sid, page, n: 0, via, dur: 0, hidden: 0, ...newTimeline() };
    const over = new AbortController();
    let insurance: AbortController | undefined;
    let ended: End | undefined;
    let wasHidden = document.hidden;
    let isLeaving = false;

    const elapsedMs = (): number => Math.min(performance.now() - startMs, MAX_MS);

    const measure = (): void => {
      if (ended) return;
      const beforeMs = half.dur;
      half.dur = elapsedMs();
      if (wasHidden) half.hidden += half.dur - beforeMs;
      wasHidden = document.hidden;
    };

    const observer = new PerformanceObserver((list) => {
      measure();
      for (const entry of list.getEntries() as ResourceEntry[]) {
        const fromMs = entry.startTime - startMs;
        if (entry.entryType === "longtask")
          half.busy! += Math.max(Math.min(fromMs + entry.duration, half.dur) - Math.max(fromMs, 0), 0);
        else if (entry.name === url && Math.abs(fromMs) < SAME_START_MS) {
          // Firefox resolves fetch() only at the first byte of the body. responseStart may be that of an interim response.
          const headMs = (entry.finalResponseHeadersStart || entry.responseStart) - startMs;
          if (headMs > 0 && !(headMs > half.head!)) half.head = headMs;
          // 0 where the server does not let other origins see.
          if (entry.requestStart) half.wait = entry.requestStart - entry.fetchStart;
          half.proto = entry.nextHopProtocol;
          half.enc ||= entry.contentEncoding;
          half.wire = entry.encodedBodySize;
          half.body = entry.decodedBodySize;
          // If the page has not begun to read what is all there, it will not read arrivals.
          setTimeout(() => stream.isKnown || stop(), SETTLE_MS);
        }
      }
    });
    // Firefox takes a request for long tasks without a word, and reports none.
    if (PerformanceObserver.supportedEntryTypes.includes("longtask")) half.busy = 0;
    observer.observe({ entryTypes: ["resource", "longtask"] });

    const stop = (): void => {
      over.abort();
      observer.disconnect();
    };

    /**
     * Reports the stream as it stands, under the next number: its end, `left` (for good if the page is leaving), or
     * `lost`. That one insures against a page that dies without a word: left with the browser, which sends it when the
     * page is gone, or not made.
     */
    const report = guard(complain, (end: End): void => {
      if (over.signal.aborted) return;
      measure();
      const isOver = isLeaving || end === ended;
      const isInsurance = end === "lost";
      if (isOver) stop();
      if (!stream.isKnown || !isSampled(half.sid, sample)) return;
      half.n++;
      const isFinal = isOver || isInsurance;
      const next = new AbortController();
      const init: RequestInit = {
        method: "POST",
        // A string is sent as text/plain, so it needs no preflight.
        body: encode(half, end, isFinal),
        keepalive: true,
        credentials: "omit",
        signal: next.signal,
      };
      const send = (): void => {
        if ("keepalive" in Request.prototype)
          native(collector, init).then((answer) => answer.status === 204 || complain(answer), complain);
        else navigator.sendBeacon(collector, init.body);
      };
      try {
        if (isLeaving || isInsurance) fetchLater(collector, init);
        else send();
      } catch {
        // fetchLater is absent, out of quota, or refused by policy.
        if (isInsurance) return;
        send();
      }
      // The old insurance goes last: a page that dies in between is then reported twice, not never.
      if (isFinal) {
        insurance?.abort();
        insurance = next;
      }
    });

    for (const type of ["visibilitychange", "pagehide"])
      addEventListener(
        type,
        (event) => {
          measure();
          isLeaving = type === "pagehide" || (isLeaving && document.hidden);
          // Of pagehide and then visibilitychange, Firefox loses most of what is sent in the first.
          if (document.hidden || (event as PageTransitionEvent).persisted) {
            report(!ended || (isLeaving && ended === "error") ? "left" : ended);
            report("lost");
          }
        },
        { signal: over.signal },
      );

    const stream: Stream = {
      half,
      isKnown,
      elapsedMs,
      arrive: (items) => {
        if (ended || !items) return;
        if (!half.count) {
          const { hidden } = half;
          requestAnimationFrame(() =>
            setTimeout(() => {
              if (half.hidden === hidden) half.paint = elapsedMs();
            }),
          );
          // In a task of its own: no chunk waits for us.
          setTimeout(report, 0, "lost");
        }
        arrive(half, items, elapsedMs());
      },
      end: (end, atMs) => {
        if (ended) return;
        measure();
        ended = end === "error" && signal?.aborted ? "stopped" : end;
        half.dur = atMs ?? half.dur;
        setTimeout(report, SETTLE_MS, ended);
      },
    };
    return stream;
  };
};
