import type { BeaconOptions } from "./api.ts";
import { createBeacon } from "./index.ts";

export interface AutoOptions extends BeaconOptions {
  /** Origins to measure besides the page's own. Requests to any other origin pass untouched. */
  origins?: readonly string[];
}

declare global {
  /** Options of `@streamgap/beacon/auto`, set before it is loaded. */
  var streamgapAuto: AutoOptions | undefined;
}

const install = (options: AutoOptions): void => {
  const beacon = createBeacon(options);
  const nativeFetch = globalThis.fetch;
  const isOurs = (url: string | URL): boolean => {
    try {
      const { origin } = new URL(url, document.baseURI);
      return origin === location.origin || !!options.origins?.includes(origin);
    } catch {
      return false;
    }
  };
  globalThis.fetch = (input, init) =>
    (isOurs(input instanceof Request ? input.url : input) ? beacon.fetch : nativeFetch)(input, init);
  globalThis.EventSource = class extends EventSource {
    constructor(url: string | URL, init?: EventSourceInit) {
      const ours = isOurs(url);
      super(ours ? beacon.url(url) : url, init);
      if (ours) beacon.watch(this);
    }
  };
};

if (typeof document !== "undefined") {
  const url = (document.currentScript as HTMLScriptElement | null)?.dataset.url;
  const options = globalThis.streamgapAuto ?? (url && { url });
  if (options) install(options);
}
