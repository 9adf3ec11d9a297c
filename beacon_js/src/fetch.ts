import type { BeaconOptions, FetchBeacon } from "./api.ts";
import { createContext } from "./context.ts";
import { createFetch } from "./fetching.ts";
import { newId } from "./id.ts";

export type { BeaconOptions, FetchBeacon } from "./api.ts";

/** Returns a beacon for `fetch` alone. */
export const createBeacon = (options: BeaconOptions): FetchBeacon => ({
  fetch: createFetch(createContext(options)),
  id: newId,
});
