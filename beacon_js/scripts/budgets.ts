/** Most bytes that each file may take after gzip -9. */
export const BUDGETS_BYTES: Readonly<Record<string, number>> = {
  "index.js": 3300,
  "fetch.js": 2950,
  "beacon.iife.js": 3350,
  "auto.js": 3500,
};
