export const DONE_SENTINEL = "[DONE]";

// A line is kept only as far as it can matter, so memory is bounded whatever the size of an event.
const KEPT_BYTES = 71;
const LF = 10;
const CR = 13;

/**
 * Returns a function that is fed the bytes of an SSE stream, cut anywhere, and says how many content events each cut
 * completed. A content event has a data field, a type among `contentTypes` (in ASCII), and data other than exactly
 * `[DONE]`.
 */
export const createScanner = (contentTypes: readonly string[]): ((bytes: Uint8Array) => number) => {
  let line = "";
  let type = "";
  let data = "";
  let previous: number;

  return (bytes) => {
    let completed = 0;
    for (const byte of bytes) {
      if (byte !== LF && byte !== CR) {
        if (line.length < KEPT_BYTES) line += String.fromCharCode(byte);
      } else if (line) {
        const [field, value = ""] = line.split(/: ?(.*)/);
        if (field === "event") type = value;
        if (field === "data") data += value + "\n";
        line = "";
      } else if (byte === CR || previous !== CR) {
        if (data && data !== `${DONE_SENTINEL}\n` && contentTypes.includes(type || "message")) completed++;
        type = data = "";
      }
      previous = byte;
    }
    return completed;
  };
};
