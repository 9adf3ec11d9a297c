/** What a page configures. Everything but `url` may be left out. */
export interface BeaconOptions {
    /** Where reports go: the collector's `/v1/beacon`. */
    url: string;
    /** Share of streams to report, 0 to 1 (default 1). Decided by a hash of the stream id, so both halves agree. */
    sample?: number;
    /**
     * Which requests carry the id in the request header `x-stream-id`: `same-origin` (default), or `always`, for
     * cross-origin servers that allow this header. A header that the server does not allow would fail the request.
     */
    header?: "same-origin" | "always";
    /** Query parameter that carries the id where a header cannot (default `sid`). */
    param?: string;
    /** Types of SSE events that are content, besides `message`, in ASCII. The server has to be told the same. */
    events?: readonly string[];
    /**
     * Says of a request whether its answer will be a stream, to report those abandoned before their headers came. By
     * default it will if `Accept` names `text/event-stream` or the body is a string with `"stream": true`. Once headers
     * are there, their content type decides.
     */
    isStream?: (...request: Parameters<typeof fetch>) => boolean;
    /**
     * Called with whatever went wrong inside the beacon, which never throws into the page: an error, or the collector's
     * `Response` where it refused a report.
     */
    onError?: (error: unknown) => void;
}
export interface WatchOptions {
    /** Stream id; by default it is read from the URL of the EventSource. */
    sid?: string;
    /** Types of events that are content, besides `message`; by default those of the beacon. */
    events?: readonly string[];
}
/** The part of a beacon that measures `fetch`. */
export interface FetchBeacon {
    /** A drop-in for `fetch`. Streams it opens are measured and reported; everything else passes untouched. */
    fetch: typeof fetch;
    /** A new stream id. */
    id: () => string;
}
/** A beacon for `fetch` and `EventSource`. */
export interface Beacon extends FetchBeacon {
    /** The absolute form of `url` with a new stream id in its query. An id that is there already is kept. */
    url: (url: string | URL) => string;
    /** Measures an EventSource that was opened with `new EventSource(beacon.url(…))`, and returns it. */
    watch: <Source extends EventSource>(source: Source, options?: WatchOptions) => Source;
}
