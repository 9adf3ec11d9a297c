import type { BeaconOptions, FetchBeacon } from "./api.ts";
export type { BeaconOptions, FetchBeacon } from "./api.ts";
/** Returns a beacon for `fetch` alone. */
export declare const createBeacon: (options: BeaconOptions) => FetchBeacon;
