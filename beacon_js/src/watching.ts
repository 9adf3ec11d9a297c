import type { Beacon, WatchOptions } from "./api.ts";
import type { Context } from "./context.ts";
import { isId } from "./id.ts";
import { DONE_SENTINEL } from "./scanner.ts";
import { openStream } from "./stream.ts";

/** Measures an EventSource until it is closed, fails for good, or an event says that the stream is done. */
export const createWatch = (context: Context): Beacon["watch"] => {
  const { guard, options } = context;
  const observe = guard((source: EventSource, { sid, events = options.events ?? [] }: WatchOptions) => {
    const { url } = source;
    sid ??= new URL(url).searchParams.get(options.param ?? "sid")!;
    if (!isId(sid)) throw Error(`streamgap: expected a stream id in ${url}, open it with beacon.url(…)`);
    const { half, arrive, elapsedMs, end } = openStream(context, { via: "eventsource", sid, url, isKnown: true });
    let connections = 0;
    let droppedMs: number | undefined;

    // Capturing listeners come before those of the page, which may close the source.
    const listen = (type: string, listener: (event: MessageEvent) => void): void =>
      source.addEventListener(type, guard(listener) as EventListener, true);
    listen("open", () => {
      half.head ??= elapsedMs();
      half.tries = connections++;
      droppedMs = undefined;
    });
    listen("error", () => {
      droppedMs = elapsedMs();
      if (source.readyState > 1) end("error");
    });
    for (const type of new Set(["message", ...events]))
      listen(type, ({ data }) => (data === DONE_SENTINEL ? end("done") : arrive(1)));
    for (const type of ["done", "sg-end"]) listen(type, () => end("done"));
    // close() fires no event.
    source.close = () => {
      // In answer to an error: the page did not stop the stream, it had ended.
      end(droppedMs ? "error" : "stopped", droppedMs);
      EventSource.prototype.close.call(source);
    };
  });

  return (source, options = {}) => {
    if (globalThis.document) observe(source, options);
    return source;
  };
};
