// The metric is arrival. A page that reads slowly would otherwise be measured in place of the path.
const READ_AHEAD_BYTES = 65536;

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Watches `response.body` while the page reads it: `onRead` hears that the page reads (no bytes) and that bytes
 * arrived, `onEnd` how it ended. Neither may throw. The response stays the same object, nothing is read before the
 * page reads, and `text()` and its like stay native: they want the end, not the stream. (Observing by `clone()` or
 * `tee()` would keep a cancelled stream running.)
 */
export const tap = (
  response: Response,
  onRead: (bytes?: Bytes) => void,
  onEnd: (end: "done" | "stopped" | "error") => void,
): void => {
  let reader: ReadableStreamDefaultReader<Bytes> | undefined;
  // clone() replaces the native stream, so it is looked up as late as possible.
  const nativeReader = (): ReadableStreamDefaultReader<Bytes> =>
    (reader ??= (Reflect.get(Response.prototype, "body", response) as ReadableStream<Bytes>).getReader());

  const newBody = (type?: "bytes"): ReadableStream =>
    new ReadableStream(
      {
        type: type as "bytes",
        pull: async (controller: ReadableByteStreamController) => {
          try {
            onRead();
            while (controller.desiredSize! > -READ_AHEAD_BYTES) {
              const { done, value } = await nativeReader().read();
              if (done) {
                onEnd("done");
                controller.close();
                // A BYOB reader's last read stays open until it is answered.
                return controller.byobRequest?.respond(0);
              }
              onRead(value);
              if (value.length) controller.enqueue(value);
            }
          } catch (error) {
            onEnd("error");
            throw error;
          }
        },
        cancel: (reason) => {
          onEnd("stopped");
          return nativeReader().cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );

  let value: ReadableStream;
  try {
    value = newBody("bytes");
  } catch {
    // Safari before 26 has no byte streams.
    value = newBody();
  }
  Object.defineProperty(response, "body", { value });
};
