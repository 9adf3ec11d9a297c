import type { Post } from "./post.ts";
import { encode, type ClientHalf, type End } from "./wire.ts";

/**
 * Reports `half` as it stands, under the next number: now, or (deferred, where the browser can) when the page is gone.
 * A `lost` report insures against a page that dies without a word. It is deferred or not made; a later one replaces it.
 */
export type Report = (end: End, final: boolean, isDeferred: boolean) => void;

export const createReport = (post: Post, half: ClientHalf): Report => {
  let insurance: AbortController | undefined;
  return (end, final, isDeferred) => {
    half.n++;
    const body = encode(half, end, final);
    const deferred = isDeferred && post.defer(body);
    if (!deferred) {
      if (end === "lost") return;
      post.send(body);
    }
    // The old one goes last: a page that dies in between is then reported twice, not never.
    if (final) insurance?.abort();
    if (deferred) insurance = deferred;
  };
};
