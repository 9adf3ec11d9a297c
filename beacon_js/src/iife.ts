import { createBeacon } from "./index.ts";

declare global {
  var streamgap: { createBeacon: typeof createBeacon };
}

globalThis.streamgap = { createBeacon };
