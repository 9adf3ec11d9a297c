import type { BeaconOptions } from "./api.ts";
import { guard, type Complain } from "./guard.ts";
import { idOf, isId, newId } from "./id.ts";
import { createScanner } from "./scanner.ts";
import type { Open, Stream } from "./stream.ts";
import { tap } from "./tap.ts";

const HEADER = "x-stream-id";
const STREAM_TYPE = /^(text\/event-stream)|^application\/(x-ndjson|jsonl|stream\+json)/i;
const ASKS_FOR_STREAM = /event-stream|"stream": ?true/;

/** A drop-in for `fetch` that measures the streams it opens. */
export const createFetch = (
  { events = [], header, isStream, param = "sid" }: BeaconOptions,
  complain: Complain,
  openStream: Open,
): typeof fetch => {
  // Kept, because the page's own may be replaced by ours.
  const native = globalThis.fetch;

  /** Puts an id on the call, where that can neither add a preflight nor fail one, and opens its stream. */
  const open = guard(complain, (call: Parameters<typeof fetch>): Stream => {
    const [input, init] = call;
    const request = new Request(input, init);
    // From here on the body belongs to the new Request.
    call.splice(0, 2, request);
    const { headers } = request;
    const url = new URL(request.url);
    let sid = headers.get(HEADER);
    if (!isId(sid)) {
      sid = newId();
      if (url.origin === location.origin || header === "always") headers.set(HEADER, sid);
      else if (/GET|HEAD/.test(request.method)) {
        sid = idOf(url, param);
        call[0] = new Request(url, request);
      }
    }
    const isKnown = isStream
      ? isStream(input, init)
      : ASKS_FOR_STREAM.test(headers.get("accept") + (typeof init?.body === "string" ? init.body : ""));
    return openStream("fetch", sid, url.href, isKnown, request.signal);
  });

  const onResponse = guard(complain, (stream: Stream, response: Response): void => {
    const { half } = stream;
    const { headers, ok, status, body } = response;
    const type = STREAM_TYPE.exec(headers.get("content-type")!);
    const sid = headers.get(HEADER);
    if (isId(sid)) half.sid = sid;
    half.status = status;
    half.enc = headers.get("content-encoding") || "";
    half.head = stream.elapsedMs();
    // Nothing is known of a body that the page never reads, and that of a failure often is one.
    stream.isKnown = !ok && (stream.isKnown || !!type);
    if (!ok || !type || !body) return stream.end("error");
    const scan = type[1] && createScanner(["message", ...events]);
    if (!scan) half.unit = "bytes";
    tap(
      response,
      guard(complain, (bytes) => {
        stream.isKnown = true;
        if (!bytes) return;
        half.byte ??= stream.elapsedMs();
        stream.arrive(scan ? scan(bytes) : bytes.length);
      }),
      stream.end,
    );
  });

  return async (...call) => {
    const stream = globalThis.document && open(call);
    try {
      const response = await native(...call);
      if (stream) onResponse(stream, response);
      return response;
    } catch (error) {
      stream?.end("error");
      throw error;
    }
  };
};
