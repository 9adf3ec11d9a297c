import type { Beacon, BeaconOptions } from "./api.ts";
import { createFetch } from "./fetching.ts";
import { createComplain } from "./guard.ts";
import { idOf, newId } from "./id.ts";
import { createOpen } from "./stream.ts";
import { createWatch } from "./watching.ts";

export type { Beacon, BeaconOptions, WatchOptions } from "./api.ts";

/** Returns a beacon for `fetch` and `EventSource`. */
export const createBeacon = (options: BeaconOptions): Beacon => {
  const complain = createComplain(options.onError);
  const open = createOpen(options, complain);
  return {
    fetch: createFetch(options, complain, open),
    watch: createWatch(options, complain, open),
    id: newId,
    url: (url) => {
      const marked = new URL(url, document.baseURI);
      idOf(marked, options.param ?? "sid");
      return marked.href;
    },
  };
};
