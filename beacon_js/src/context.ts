import type { BeaconOptions } from "./api.ts";
import { createGuard, type Guard } from "./guard.ts";
import { newId } from "./id.ts";
import { createPost, type Post } from "./post.ts";

/** What all streams of one beacon share. */
export interface Context {
  options: BeaconOptions;
  guard: Guard;
  native: typeof fetch;
  /** random id of this page load */
  page: string;
  post: Post;
}

export const createContext = (options: BeaconOptions): Context => {
  const report = (error: unknown): void => {
    try {
      options.onError?.(error);
    } catch {
      // The page's own handler failed. There is nobody left to tell.
    }
  };
  // Kept, because the page's own may be replaced by ours.
  const native = globalThis.fetch;
  return { options, guard: createGuard(report), native, page: newId(), post: createPost(options.url, native, report) };
};
