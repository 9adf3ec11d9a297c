import assert from "node:assert/strict";
import { test } from "node:test";
import { arrive, newTimeline } from "../../src/timeline.ts";
import { encode, MAX_MS, type ClientHalf } from "../../src/wire.ts";
import { refusals } from "../harness/collector.ts";

const MAX_BYTES = 4096;
const half: ClientHalf = {
  v: 1,
  sid: "12345678",
  page: "f".repeat(32),
  n: 1,
  via: "fetch",
  dur: 0,
  hidden: 0,
  ...newTimeline(),
};

test("the longest report that there can be fits, and the collector takes it", () => {
  const longest: ClientHalf = {
    ...half,
    sid: "s".repeat(64),
    n: 10_000,
    via: "eventsource",
    status: 599,
    ...{
      unit: "events",
      at: Array(256).fill(MAX_MS - 0.1),
      stride: 2 ** 24,
      count: 2 ** 32,
      // fewer than count, together
      gaps: Array(15).fill(Math.floor((2 ** 32 - 1) / 15)),
    },
    ...{ last: MAX_MS - 0.1, longest: MAX_MS - 0.1, dur: MAX_MS - 0.1, hidden: MAX_MS - 0.1, busy: MAX_MS - 0.1 },
    ...{ head: MAX_MS - 0.1, byte: MAX_MS - 0.1, paint: MAX_MS - 0.1, wait: MAX_MS - 0.1 },
    ...{ tries: 10_000, proto: "p".repeat(64), enc: "e".repeat(64), wire: 2 ** 32, body: 2 ** 32 },
  };
  const body = encode(longest, "stopped", false);
  assert.ok(body.length <= MAX_BYTES, `${body.length}`);
  assert.equal(refusals([body]), "");
});

test("a stream without content is a report that the collector takes", () => {
  assert.equal(refusals([encode(half, "left", true)]), "");
});

test("times are rounded to 0.1 ms without ever running backwards", () => {
  const stream = { ...half, ...newTimeline() };
  for (const atMs of [0.04, 0.05, 0.14, 0.15, 1e3 / 3, 1e3 / 3]) arrive(stream, 1, atMs);
  const body = encode(stream, "done", true);
  assert.deepEqual(JSON.parse(body).at, [0, 0.1, 0.1, 0.2, 333.3, 333.3]);
  assert.equal(refusals([body]), "");
});

test("the collector's parser refuses a field that it does not know", () => {
  assert.match(refusals([encode({ ...half, extra: 1 } as ClientHalf, "done", true)]), /extra/);
});
