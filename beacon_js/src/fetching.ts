import type { Context } from "./context.ts";
import { idOf, isId, newId } from "./id.ts";
import { createScanner } from "./scanner.ts";
import { openStream, type Stream } from "./stream.ts";
import { tap } from "./tap.ts";
import type { End } from "./wire.ts";

const HEADER = "x-stream-id";
const STREAM_TYPE = /^(text\/event-stream|application\/(x-ndjson|jsonl|stream\+json))/i;
const ASKS_FOR_STREAM = /event-stream|"stream": ?true/;

/** A drop-in for `fetch` that measures the streams it opens. */
export const createFetch = (context: Context): typeof fetch => {
  const { guard, native, options } = context;
  const { header, param = "sid", events = [], isStream } = options;

  /** Puts an id on the call, where that can neither add a preflight nor fail one, and opens its stream. */
  const open = guard((call: Parameters<typeof fetch>): Stream => {
    const [input, init] = call;
    const request = new Request(input, init);
    // From here on the body belongs to the new Request.
    call.splice(0, 2, request);
    const { headers } = request;
    const url = new URL(request.url);
    let sid = headers.get(HEADER);
    if (!isId(sid)) {
      if (url.origin === location.origin || header === "always") headers.set(HEADER, (sid = newId()));
      else if (/GET|HEAD/.test(request.method)) {
        sid = idOf(url, param);
        call[0] = new Request(url, request);
      } else sid = newId();
    }
    const isKnown = isStream
      ? isStream(input, init)
      : ASKS_FOR_STREAM.test(headers.get("accept") + (typeof init?.body === "string" ? init.body : ""));
    return openStream(context, { via: "fetch", sid, url: url.href, isKnown });
  });

  const onResponse = guard((stream: Stream, response: Response, end: (end: End) => void) => {
    const { half } = stream;
    const { headers, ok, status, body } = response;
    const type = STREAM_TYPE.exec(headers.get("content-type")!)?.[1];
    const sid = headers.get(HEADER);
    if (isId(sid)) half.sid = sid;
    half.status = status;
    half.enc = headers.get("content-encoding")?.slice(0, 64);
    half.head = stream.elapsedMs();
    // Nothing is known of a body that the page never reads, and that of a failure often is one.
    stream.isKnown = !ok && (stream.isKnown || !!type);
    if (!ok || !type || !body) return end("error");
    let scan = (bytes: Uint8Array): number => bytes.length;
    if (/^t/i.test(type)) scan = createScanner(["message", ...events]);
    else half.unit = "bytes";
    tap(response, {
      onRead: guard((bytes) => {
        stream.isKnown = true;
        if (!bytes) return;
        half.byte ??= stream.elapsedMs();
        stream.arrive(scan(bytes));
      }),
      onEnd: end,
    });
  });

  return (...call) => {
    const stream = globalThis.document && open(call);
    const answer = native(...call);
    if (!stream) return answer;
    const { signal } = call[0] as Request;
    const end = guard((end: End) => stream.end(end === "error" && signal.aborted ? "stopped" : end));
    return answer.then(
      (response) => {
        onResponse(stream, response, end);
        return response;
      },
      (error: unknown) => {
        end("error");
        throw error;
      },
    );
  };
};
