import type { BeaconOptions } from "./api.ts";
export interface AutoOptions extends BeaconOptions {
    /** Origins to measure besides the page's own. Requests to any other origin pass untouched. */
    origins?: readonly string[];
}
declare global {
    /** Options of `@streamgap/beacon/auto`, set before it is loaded. */
    var streamgapAuto: AutoOptions | undefined;
}
