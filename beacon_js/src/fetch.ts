import type { BeaconOptions, FetchBeacon } from "./api.ts";
import { createFetch } from "./fetching.ts";
import { createComplain } from "./guard.ts";
import { newId } from "./id.ts";
import { createOpen } from "./stream.ts";

export type { BeaconOptions, FetchBeacon } from "./api.ts";

/** Returns a beacon for `fetch` alone. */
export const createBeacon = (options: BeaconOptions): FetchBeacon => {
  const complain = createComplain(options.onError);
  return { fetch: createFetch(options, complain, createOpen(options, complain)), id: newId };
};
