import type { Beacon, BeaconOptions, WatchOptions } from "./api.ts";
import { guard, type Complain } from "./guard.ts";
import { isId } from "./id.ts";
import { DONE_SENTINEL } from "./scanner.ts";
import type { Open } from "./stream.ts";

const ENDS = ["done", "sg-end"];

/** Measures an EventSource until it is closed, fails for good, or an event says that the stream is done. */
export const createWatch = (
  { events: contentTypes = [], param = "sid" }: BeaconOptions,
  complain: Complain,
  openStream: Open,
): Beacon["watch"] => {
  const observe = guard(complain, (source: EventSource, { sid, events = contentTypes }: WatchOptions = {}) => {
    const { url, close } = source;
    sid ??= new URL(url).searchParams.get(param)!;
    if (!isId(sid)) throw Error(`expected a stream id in ${url}, open it with beacon.url`);
    const { half, arrive, elapsedMs, end } = openStream("eventsource", sid, url, true);
    let connections = 0;
    /** when the connection broke, while it is broken */
    let brokenMs: number | undefined;

    const onEvent = ({ type, data }: MessageEvent): void => {
      brokenMs = undefined;
      if (type === "open") {
        half.head ??= elapsedMs();
        half.tries = connections++;
      } else if (type === "error") {
        brokenMs = elapsedMs();
        if (source.readyState > 1) end("error");
      } else if (data === DONE_SENTINEL || ENDS.includes(type)) end("done");
      else arrive(1);
    };
    // Capturing listeners come before those of the page, which may close the source.
    for (const type of ["open", "error", "message", ...ENDS, ...events])
      source.addEventListener(type, onEvent as EventListener, true);
    // close() fires no event.
    source.close = () => {
      // The page did not stop a stream that was broken.
      end(brokenMs ? "error" : "stopped", brokenMs);
      close.call(source);
    };
  });

  return (source, options) => {
    observe(source, options);
    return source;
  };
};
