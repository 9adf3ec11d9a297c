import type { Beacon, BeaconOptions } from "./api.ts";
import { createContext } from "./context.ts";
import { createFetch } from "./fetching.ts";
import { idOf, newId } from "./id.ts";
import { createWatch } from "./watching.ts";

export type { Beacon, BeaconOptions, WatchOptions } from "./api.ts";

/** Returns a beacon for `fetch` and `EventSource`. */
export const createBeacon = (options: BeaconOptions): Beacon => {
  const context = createContext(options);
  return {
    fetch: createFetch(context),
    watch: createWatch(context),
    id: newId,
    url: (url) => {
      const marked = new URL(url, document.baseURI);
      idOf(marked, options.param ?? "sid");
      return marked.href;
    },
  };
};
