declare const fetchLater: typeof fetch;

/** The way to the collector. The body is a string, so it is `text/plain` and needs no preflight. */
export interface Post {
  send: (body: string) => void;
  /** Leaves `body` with the browser, which sends it when the page is gone. Undefined where it cannot. */
  defer: (body: string) => AbortController | undefined;
}

export const createPost = (url: string, native: typeof fetch, report: (error: unknown) => void): Post => {
  const init = (body: string): RequestInit => ({ method: "POST", body, keepalive: true, credentials: "omit" });
  return {
    send: (body) => {
      if (!("keepalive" in Request.prototype)) navigator.sendBeacon(url, body);
      else
        native(url, init(body))
          .then(({ status }) => {
            if (status !== 204) throw Error(`streamgap: expected 204 from ${url}, got ${status}`);
          })
          .catch(report);
    },
    defer: (body) => {
      try {
        const deferred = new AbortController();
        fetchLater(url, { ...init(body), signal: deferred.signal });
        return deferred;
      } catch {
        // Absent, out of quota, or refused by policy: all mean that the caller has to send.
        return undefined;
      }
    },
  };
};
