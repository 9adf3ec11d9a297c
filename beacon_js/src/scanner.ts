export const DONE_SENTINEL = "[DONE]";

// A line is kept only as far as it can matter, so memory is bounded whatever the size of an event.
const KEPT_CHARACTERS = 71;

/**
 * Returns a function that is fed the bytes of an SSE stream, cut anywhere, and says how many content events each cut
 * completed. A content event has a data field, a type among `contentTypes`, and data other than exactly `[DONE]`.
 */
export const createScanner = (contentTypes: readonly string[]): ((bytes: Uint8Array) => number) => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let line = "";
  let afterCarriageReturn = false;
  let type = "";
  let data: string | undefined;

  const endLine = (): number => {
    if (!line) {
      const isContent = data != null && data !== DONE_SENTINEL && contentTypes.includes(type || "message");
      type = "";
      data = undefined;
      return +isContent;
    }
    const [, field, value = ""] = /^(data|event)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") type = value;
    // Two data lines can never be exactly [DONE].
    else if (field) data = data == null ? value : "\n";
    line = "";
    return 0;
  };

  return (bytes) => {
    let text = decoder.decode(bytes, { stream: true });
    if (!text) return 0;
    if (afterCarriageReturn && text[0] === "\n") text = text.slice(1);
    afterCarriageReturn = text.endsWith("\r");
    let completed = 0;
    const lines = text.split(/\r\n?|\n/);
    lines.forEach((part, index) => {
      if (index) completed += endLine();
      line = (line + part).slice(0, KEPT_CHARACTERS);
    });
    return completed;
  };
};
