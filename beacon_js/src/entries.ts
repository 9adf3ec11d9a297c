import { MAX_MS, type ClientHalf } from "./wire.ts";

// Fields that browsers know and TypeScript does not.
interface ResourceEntry extends PerformanceResourceTiming {
  finalResponseHeadersStart?: number;
  contentEncoding?: string;
}

/**
 * Tells of finished requests and, where the browser has them, of long tasks: then `half.busy` is a number. Returns how
 * to stop, which tells of what is still queued.
 */
export const observeEntries = (half: ClientHalf, onEntries: (entries: PerformanceEntryList) => void): (() => void) => {
  const observer = new PerformanceObserver((list) => onEntries(list.getEntries()));
  const entryTypes = ["resource", "longtask"].filter((type) => PerformanceObserver.supportedEntryTypes.includes(type));
  // Firefox takes a request for long tasks without a word, and reports none.
  if (entryTypes[1]) half.busy = 0;
  observer.observe({ entryTypes });
  return () => {
    onEntries(observer.takeRecords());
    observer.disconnect();
  };
};

/** Adds what the browser measured of the request; `startMs` is when the stream began on the clock of the entry. */
export const addResource = (half: ClientHalf, entry: ResourceEntry, startMs: number): void => {
  // responseStart may be that of an interim response.
  const headAt = entry.finalResponseHeadersStart || entry.responseStart;
  // Firefox resolves fetch() only at the first byte of the body.
  if (headAt) half.head = Math.max(Math.min(headAt - startMs, half.head ?? MAX_MS), 0);
  // 0 where the server does not let other origins see.
  if (entry.requestStart) half.wait = entry.requestStart - entry.fetchStart;
  half.proto = entry.nextHopProtocol;
  half.enc ??= entry.contentEncoding;
};
