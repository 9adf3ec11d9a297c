import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Route } from "./site.ts";

export const SSE = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };

export const events = (count: number): string[] => Array.from({ length: count }, (_, index) => `data: ${index}\n\n`);

/** Writes `chunks` `gapMs` apart until the client goes, and leaves the response open. */
export const drip = async (
  response: ServerResponse,
  chunks: Iterable<string | Uint8Array>,
  gapMs: number,
): Promise<void> => {
  for (const chunk of chunks) {
    if (response.destroyed) return;
    response.write(chunk);
    await delay(gapMs);
  }
};

/** A route that writes an opening comment and `count` events `gapMs` apart, and ends. */
export const dripping =
  (count: number, gapMs = 10): Route =>
  async (_, response) => {
    response.writeHead(200, SSE);
    await drip(response, [":\n\n", ...events(count)], gapMs);
    response.end();
  };

/** A moment that is yet to come. */
export const later = (): { comes: Promise<void>; come: () => void } => {
  let come!: () => void;
  const comes = new Promise<void>((resolve) => (come = resolve));
  return { comes, come };
};

/** A route that sends two events and then nothing for as long as the client stays. `gone` comes when it has left. */
export const stalling = (): { route: Route; gone: Promise<void> } => {
  const { comes: gone, come } = later();
  const route: Route = async (_, response) => {
    response.on("close", come);
    response.writeHead(200, SSE);
    await drip(response, events(2), 10);
  };
  return { route, gone };
};

/** A route that never answers. */
export const silent: Route = () => {};
