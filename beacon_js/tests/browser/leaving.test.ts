import assert from "node:assert/strict";
import type { Page } from "puppeteer-core";
import type { Beacon } from "../../src/api.ts";
import type { Collector, Report } from "../harness/collector.ts";
import { drip, events, later, SSE, stalling } from "../harness/streams.ts";
import { inEachBrowser } from "../harness/suite.ts";

declare const beacon: Beacon;
declare const read: (answer: Response) => Promise<string>;

/** Reads `/stream` and returns once its first event is there. */
const readOne = (tab: Page): Promise<void> =>
  tab.evaluate(async () => {
    const reader = (await beacon.fetch("/stream")).body!.getReader();
    await reader.read();
    void reader.read().catch(() => {});
    // The armed report follows the first chunk in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 100));
  });

/** Firefox may hide a tab before it closes it, and then lose the final report of pagehide. */
const left = ({ end }: Report): boolean => end === "left";

const assertNumberedOnce = ({ reports }: Collector): void => {
  const numbers = reports.map(({ sid, n }) => `${sid} ${n}`);
  assert.equal(new Set(numbers).size, numbers.length, `${numbers}`);
};

inEachBrowser("leaving", (play, name) => {
  // Firefox loses about one in twenty of these reports; four tabs make one loss too few to matter.
  const TABS = name === "firefox" ? 4 : 1;

  play(
    "a tab closed in the middle of a stream reports that it was left",
    { routes: { "/stream": stalling().route } },
    async ({ site, collector }, browser) => {
      for (let index = 0; index < TABS; index++) {
        const tab = await browser.newPage();
        await tab.goto(site.origin);
        await readOne(tab);
        await tab.close();
      }
      const { end, count } = await collector.report(left);
      assert.deepEqual([end, count], ["left", 2]);
      assertNumberedOnce(collector);
    },
  );

  const asked = later();
  play(
    "a tab closed before the first byte reports that it was left",
    { routes: { "/silent": asked.come } },
    async ({ site, collector }, browser) => {
      for (let index = 0; index < TABS; index++) {
        const tab = await browser.newPage();
        await tab.goto(site.origin);
        await tab.evaluate(
          () => void beacon.fetch("/silent", { headers: { Accept: "text/event-stream" } }).catch(() => {}),
        );
        await asked.comes;
        await tab.close();
      }
      const { sid, end, count, status } = await collector.report(left);
      assert.deepEqual([end, count, status], ["left", 0, undefined]);
      assert.ok(site.requests.some(({ headers }) => headers["x-stream-id"] === sid));
      assertNumberedOnce(collector);
    },
  );

  play(
    "an EventSource is left when its tab is closed",
    { routes: { "/stream": stalling().route } },
    async ({ site, collector }, browser) => {
      for (let index = 0; index < TABS; index++) {
        const tab = await browser.newPage();
        await tab.goto(site.origin);
        await tab.evaluate(
          () =>
            new Promise((resolve) => {
              beacon.watch(new EventSource(beacon.url("/stream"))).onmessage = ({ data }) =>
                data === "1" && resolve(data);
            }),
        );
        await tab.close();
      }
      const { via, end, count } = await collector.report(left);
      assert.deepEqual([via, end, count], ["eventsource", "left", 2]);
    },
  );

  play(
    "a navigation is leaving, though it fails the request first",
    { routes: { "/stream": stalling().route } },
    async ({ tab, site, collector }) => {
      await readOne(tab);
      await tab.goto(`${site.origin}/next`);
      const { end, count } = await collector.report(left);
      assert.deepEqual([end, count], ["left", 2]);
      assertNumberedOnce(collector);
    },
  );

  const shown = later();
  play(
    "a hidden tab reports what it has, goes on, and says how long it was hidden",
    {
      routes: {
        "/stream": async (_, response) => {
          response.writeHead(200, SSE);
          await drip(response, events(2), 10);
          await shown.comes;
          response.end("data: 2\n\n");
        },
      },
    },
    async ({ tab, collector }, browser) => {
      await tab.evaluate(async () => {
        const answer = await beacon.fetch("/stream");
        void read(answer);
      });
      await tab.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      const other = await browser.newPage();
      await other.bringToFront();
      const hidden = await collector.report(left);
      assert.deepEqual([hidden.final, hidden.count], [false, 2]);
      await tab.bringToFront();
      await tab.waitForFunction(() => !document.hidden);
      shown.come();
      const report = await collector.report();
      assert.deepEqual([report.end, report.count], ["done", 3]);
      assert.ok(report.n > hidden.n && report.hidden > 0 && report.hidden < report.dur);
      assertNumberedOnce(collector);
      await other.close();
    },
  );

  if (name === "chromium")
    play(
      "a crash sends the report that was armed at the first chunk",
      { routes: { "/stream": stalling().route } },
      async ({ site, collector }, browser) => {
        const tab = await browser.newPage();
        await tab.goto(site.origin);
        await readOne(tab);
        void tab.goto("chrome://crash").catch(() => {});
        const { end, final, count } = await collector.report();
        assert.deepEqual([end, final], ["lost", true]);
        assert.ok(count > 0);
      },
    );
});
