/**
 * Watches until `signal` aborts whether anybody can see the page. `onAway` hears that the tab was hidden and may come
 * back, or that the page is leaving and nothing runs after this. Returns how to ask for how long it was hidden so far.
 */
export const watchPresence = (
  elapsedMs: () => number,
  onAway: (isLeaving: boolean) => void,
  signal: AbortSignal,
): (() => number) => {
  let isLeaving = false;
  let hiddenBeforeMs = 0;
  let hiddenFromMs = document.hidden ? 0 : Infinity;
  const hiddenMs = (): number => hiddenBeforeMs + Math.max(elapsedMs() - hiddenFromMs, 0);

  const onChange = (event: Event): void => {
    const { type, persisted } = event as PageTransitionEvent;
    hiddenBeforeMs = hiddenMs();
    hiddenFromMs = document.hidden ? elapsedMs() : Infinity;
    isLeaving = type === "pagehide" || (isLeaving && document.hidden);
    // Of pagehide and then visibilitychange, Firefox loses most of what is sent in the first.
    if (document.hidden || persisted) onAway(isLeaving);
  };
  for (const type of ["visibilitychange", "pagehide"]) addEventListener(type, onChange, { capture: true, signal });
  return hiddenMs;
};
