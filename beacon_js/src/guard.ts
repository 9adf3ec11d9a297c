/** Wraps a function of ours so that it never throws into the page; what it would have thrown is reported instead. */
export type Guard = <Arguments extends unknown[], Result>(
  run: (...args: Arguments) => Result,
) => (...args: Arguments) => Result | undefined;

export type Report = (error: unknown) => void;

export const createGuard =
  (report: Report): Guard =>
  (run) =>
  (...args) => {
    try {
      return run(...args);
    } catch (error) {
      report(error);
      return undefined;
    }
  };
