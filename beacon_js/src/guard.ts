/** Tells the page what is wrong inside the beacon. Never throws. */
export type Complain = (error: unknown) => void;

export const createComplain =
  (onError?: Complain): Complain =>
  (error) => {
    try {
      onError?.(error);
    } catch {
      // The page's own handler failed. There is nobody left to tell.
    }
  };

/** Wraps a function of ours so that it never throws into the page, and complains instead. */
export const guard =
  <Arguments extends unknown[], Result>(complain: Complain, run: (...args: Arguments) => Result) =>
  (...args: Arguments): Result | undefined => {
    try {
      return run(...args);
    } catch (error) {
      complain(error);
      return undefined;
    }
  };
