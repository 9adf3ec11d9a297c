// The metric is arrival. A page that reads slowly would otherwise be measured in place of the path.
const READ_AHEAD_BYTES = 65536;

type Bytes = Uint8Array<ArrayBuffer>;

/** What a tap tells of the body it watches. None of these may throw. */
export interface Listener {
  /** The page began to read (no bytes), or bytes arrived. */
  onRead: (bytes?: Bytes) => void;
  onEnd: (end: "done" | "stopped" | "error") => void;
}

/**
 * Watches `response.body` while the page reads it. The response stays the same object, nothing is read before the page
 * reads, and `text()` and its like stay native: they want the end, not the stream. (Observing by `clone()` or `tee()`
 * would keep a cancelled stream running.)
 */
export const tap = (response: Response, { onRead, onEnd }: Listener): void => {
  let reader: ReadableStreamDefaultReader<Bytes> | undefined;
  // clone() replaces the native stream, so it is looked up as late as possible.
  const nativeBody = (): ReadableStream<Bytes> => Reflect.get(Response.prototype, "body", response)!;

  const pull = async (controller: ReadableByteStreamController): Promise<void> => {
    if (!reader) {
      reader = nativeBody().getReader();
      onRead();
    }
    while (controller.desiredSize! > -READ_AHEAD_BYTES) {
      const { done, value } = await reader.read();
      if (done) {
        onEnd("done");
        controller.close();
        // A BYOB reader's last read stays open until it is answered.
        return controller.byobRequest?.respond(0);
      }
      onRead(value);
      if (value.length) controller.enqueue(value);
    }
  };
  const source = {
    pull: (controller: ReadableByteStreamController) =>
      pull(controller).catch((error: unknown) => {
        onEnd("error");
        throw error;
      }),
    cancel: (reason: unknown) => {
      onEnd("stopped");
      return (reader ?? nativeBody()).cancel(reason);
    },
  };
  const strategy = { highWaterMark: 0 };
  let body: ReadableStream;
  try {
    body = new ReadableStream({ ...source, type: "bytes" }, strategy);
  } catch {
    // Safari before 26 has no byte streams.
    body = new ReadableStream(source as object, strategy);
  }

  Object.defineProperty(response, "body", { value: body });
};
