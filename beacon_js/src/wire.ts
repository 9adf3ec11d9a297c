import type { Timeline } from "./timeline.ts";

/** No time on the wire is longer. */
export const MAX_MS = 3.6e6;

export type End = "done" | "stopped" | "error" | "left" | "lost";

/** The client half, field by field as in docs/wire.md. */
export interface ClientHalf extends Timeline {
  v: 1;
  sid: string;
  page: string;
  n: number;
  via: "fetch" | "eventsource";
  dur: number;
  hidden: number;
  busy?: number | undefined;
  status?: number;
  head?: number;
  byte?: number;
  paint?: number;
  wait?: number;
  tries?: number;
  proto?: string;
  enc?: string | undefined;
  wire?: number;
  body?: number;
}

/** One report as JSON, times rounded to 0.1 ms. At its very longest it stays below the 4096 bytes of the wire. */
export const encode = (half: ClientHalf, end: End, final: boolean): string =>
  JSON.stringify({ ...half, end, final }, (_, value: unknown) =>
    typeof value === "number" ? Math.round(value * 10) / 10 : value,
  );
