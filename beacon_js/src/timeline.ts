const MAX_OFFSETS = 256;
const GAP_BOUNDS_MS = [5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, Infinity];

/** One stream's arrivals in constant memory. Names, units and maths are those of the wire (docs/wire.md). */
export interface Timeline {
  unit: "events" | "bytes";
  /** ms at which index 0, stride, 2·stride, … arrived */
  at: number[];
  stride: number;
  count: number;
  last?: number;
  longest: number;
  /** chunk gaps per bucket, upper bounds inclusive */
  gaps: number[];
}

export const newTimeline = (): Timeline => ({
  unit: "events",
  at: [],
  stride: 1,
  count: 0,
  longest: 0,
  gaps: GAP_BOUNDS_MS.map(() => 0),
});

/** Records `items` content events, or bytes (which make one chunk), that came together at `atMs`. */
export const arrive = (timeline: Timeline, items: number, atMs: number): void => {
  if (!items) return;
  const { gaps, last } = timeline;
  if (last != null) {
    const gapMs = Math.max(atMs - last, 0);
    atMs = last + gapMs;
    gaps[GAP_BOUNDS_MS.findIndex((bound) => gapMs <= bound)]!++;
    timeline.longest = Math.max(timeline.longest, gapMs);
  }
  if (timeline.unit === "events") gaps[0]! += items - 1;
  timeline.count += items;
  timeline.last = atMs;
  while (timeline.at.length * timeline.stride < timeline.count) {
    if (timeline.at.length < MAX_OFFSETS) timeline.at.push(atMs);
    else {
      timeline.at = timeline.at.filter((_, index) => index % 2 === 0);
      timeline.stride *= 2;
    }
  }
};
