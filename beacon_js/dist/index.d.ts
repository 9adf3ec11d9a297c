import type { Beacon, BeaconOptions } from "./api.ts";
export type { Beacon, BeaconOptions, WatchOptions } from "./api.ts";
/** Returns a beacon for `fetch` and `EventSource`. */
export declare const createBeacon: (options: BeaconOptions) => Beacon;
