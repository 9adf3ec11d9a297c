import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { createScanner } from "../../src/scanner.ts";
import { arrive, newTimeline, type Timeline } from "../../src/timeline.ts";

interface ScannerCase {
  name: string;
  content_types: string[];
  chunks: string[];
  expect: number[];
}

interface TimelineCase {
  name: string;
  unit: Timeline["unit"];
  arrivals: [items: number, atMs: number][];
  expect: Pick<Timeline, "count" | "stride" | "at" | "longest" | "gaps"> & { last: number | null };
}

const golden = <Case>(file: string): Case[] =>
  JSON.parse(readFileSync(new URL(`../../../tests/golden/${file}`, import.meta.url), "utf8"));

describe("the scanner counts content events exactly as the server's does", () => {
  for (const { name, content_types, chunks, expect } of golden<ScannerCase>("scanner.json")) {
    test(name, () => {
      const scan = createScanner(content_types);
      const encoder = new TextEncoder();
      assert.deepEqual(
        chunks.map((chunk) => scan(encoder.encode(chunk))),
        expect,
      );
    });

    test(`${name}, cut at every byte`, () => {
      const scan = createScanner(content_types);
      const bytes = new TextEncoder().encode(chunks.join(""));
      let completed = 0;
      for (const byte of bytes) completed += scan(Uint8Array.of(byte));
      assert.equal(
        completed,
        expect.reduce((sum, count) => sum + count, 0),
      );
    });
  }
});

describe("the timeline records exactly what the server's does", () => {
  for (const { name, unit, arrivals, expect } of golden<TimelineCase>("timeline.json")) {
    test(name, () => {
      const timeline = { ...newTimeline(), unit };
      for (const [items, atMs] of arrivals) arrive(timeline, items, atMs);
      const { last = null, ...rest } = timeline;
      assert.deepEqual({ last, ...rest }, { unit, ...expect });
    });
  }
});
