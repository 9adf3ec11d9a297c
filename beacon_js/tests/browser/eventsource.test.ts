import assert from "node:assert/strict";
import type { Beacon } from "../../src/api.ts";
import type { Route } from "../harness/site.ts";
import { drip, dripping, events, SSE, stalling } from "../harness/streams.ts";
import { inEachBrowser } from "../harness/suite.ts";

declare const beacon: Beacon;
declare const complaints: string[];

const sidOf = (path: string): string | null => new URL(path, "http://site").searchParams.get("sid");

const writing =
  (...parts: string[]): Route =>
  async (_, response) => {
    response.writeHead(200, SSE);
    await drip(response, parts, 10);
    response.end();
  };

/** Breaks off after three events, and finishes with two more on the next connection. */
const breaking = (): Route => {
  let connections = 0;
  return (request, response) =>
    (connections++ ? writing(...events(2), "event: done\ndata: {}\n\n") : writing("retry: 50\n\n", ...events(3)))(
      request,
      response,
    );
};

inEachBrowser("EventSource", (play) => {
  play(
    "a stream that says it is done is reported once, with what it was",
    { routes: { "/stream": writing(":\n\n", ...events(8), "event: done\ndata: {}\n\n") } },
    async ({ tab, site, collector }) => {
      const seen = await tab.evaluate(
        () =>
          new Promise((resolve) => {
            const source = new EventSource(beacon.url("/stream?q=a%20b"));
            const watched = beacon.watch(source);
            const data: string[] = [];
            watched.onmessage = (event) => data.push(event.data);
            watched.addEventListener("done", () => {
              watched.close();
              resolve([watched === source, source.readyState, data.join("")]);
            });
          }),
      );
      assert.deepEqual(seen, [true, 2, "01234567"]);
      const report = await collector.report();
      const { path } = site.requests[0]!;
      assert.ok(path.startsWith("/stream?q=a%20b&sid="));
      const { sid, via, end, unit, count, tries, byte } = report;
      assert.deepEqual(
        { sid, via, end, unit, count, tries, byte },
        { sid: sidOf(path), via: "eventsource", end: "done", unit: "events", count: 8, tries: 0, byte: undefined },
      );
      assert.ok(report.head! <= report.at[0]!);
      assert.equal(collector.reports.length, 1);
      assert.deepEqual(await tab.evaluate(() => complaints), []);
    },
  );

  play(
    "[DONE] ends a stream and is not content",
    { routes: { "/stream": writing(...events(2), "data: [DONE]\n\n") } },
    async ({ tab, collector }) => {
      await tab.evaluate(() => void beacon.watch(new EventSource(beacon.url("/stream"))));
      const { end, count } = await collector.report();
      assert.deepEqual([end, count], ["done", 2]);
    },
  );

  play(
    "a reconnect is one stream with one try more",
    { routes: { "/stream": breaking() } },
    async ({ tab, site, collector }) => {
      await tab.evaluate(() => void beacon.watch(new EventSource(beacon.url("/stream"))));
      const { sid, end, count, tries } = await collector.report();
      assert.deepEqual([end, count, tries], ["done", 5, 1]);
      assert.deepEqual(new Set(site.requests.map(({ path }) => sidOf(path))), new Set([sid]));
    },
  );

  const stopped = stalling();
  play(
    "close() stops the stream and reaches the server",
    { routes: { "/stream": stopped.route } },
    async ({ tab, collector }) => {
      await tab.evaluate(
        () =>
          new Promise<void>((resolve) => {
            const source = beacon.watch(new EventSource(beacon.url("/stream")));
            source.onmessage = () => {
              source.close();
              resolve();
            };
          }),
      );
      await stopped.gone;
      const { end, count } = await collector.report();
      assert.deepEqual([end, count], ["stopped", 1]);
    },
  );

  play(
    "a page that closes when the server ends did not stop the stream",
    { routes: { "/stream": dripping(3) } },
    async ({ tab, collector }) => {
      await tab.evaluate(() => {
        const source = beacon.watch(new EventSource(beacon.url("/stream")));
        source.onerror = () => source.close();
      });
      const { end, count, tries } = await collector.report();
      assert.deepEqual([end, count, tries], ["error", 3, 0]);
    },
  );

  play(
    "a page that closes while the connection is broken did not stop the stream",
    { routes: { "/stream": writing("retry: 60000\n\n", ...events(3)) } },
    async ({ tab, collector }) => {
      const closedMs = await tab.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const startMs = performance.now();
            const source = beacon.watch(new EventSource(beacon.url("/stream")));
            const close = () => {
              const closedMs = performance.now() - startMs;
              source.close();
              resolve(closedMs);
            };
            source.onerror = () => setTimeout(close, 300);
          }),
      );
      const { end, count, dur } = await collector.report();
      assert.deepEqual([end, count], ["error", 3]);
      assert.ok(dur < closedMs - 200, `ended at ${dur} ms, closed at ${closedMs} ms`);
    },
  );

  const resumed = stalling();
  let connections = 0;
  play(
    "a page that closes once the connection is back stopped the stream",
    {
      routes: {
        "/stream": (request, response) =>
          (connections++ % 2 ? resumed.route : writing("retry: 50\n\n", ...events(3)))(request, response),
      },
    },
    async ({ tab, collector }) => {
      await tab.evaluate(() => {
        const source = beacon.watch(new EventSource(beacon.url("/stream")));
        let broke = false;
        source.onerror = () => (broke = true);
        source.onmessage = () => broke && source.close();
      });
      const { end, count, tries } = await collector.report();
      assert.deepEqual([end, count, tries], ["stopped", 4, 1]);
    },
  );

  play(
    "an event named error breaks nothing that goes on after it",
    {
      routes: {
        "/stream": async (_, response) => {
          response.writeHead(200, SSE);
          await drip(response, ["event: error\ndata: {}\n\n", ...events(1)], 10);
        },
      },
    },
    async ({ tab, collector }) => {
      await tab.evaluate(() => {
        const source = beacon.watch(new EventSource(beacon.url("/stream")));
        source.onmessage = () => source.close();
      });
      const { end, count } = await collector.report();
      assert.deepEqual([end, count], ["stopped", 1]);
    },
  );

  play(
    "a refused stream is an error",
    { routes: { "/stream": (_, response) => response.writeHead(500).end() } },
    async ({ tab, collector }) => {
      await tab.evaluate(() => void beacon.watch(new EventSource(beacon.url("/stream"))));
      const { end, count } = await collector.report();
      assert.deepEqual([end, count], ["error", 0]);
    },
  );

  play(
    "named events are content where the page says so",
    {
      routes: {
        "/stream": writing(
          "event: token\ndata: 1\n\n",
          "event: other\ndata: 2\n\n",
          "data: 3\n\n",
          "event: sg-end\ndata: {}\n\n",
        ),
      },
    },
    async ({ tab, collector }) => {
      await tab.evaluate(() => {
        beacon.watch(new EventSource("/stream"), { sid: "given-by-page", events: ["token"] });
      });
      const { sid, end, count } = await collector.report();
      assert.deepEqual([sid, end, count], ["given-by-page", "done", 2]);
    },
  );

  play(
    "a source without an id works, and the page is told what to do",
    { routes: { "/stream": writing(...events(1)) } },
    async ({ tab }) => {
      const [data, complaint] = await tab.evaluate(
        () =>
          new Promise<string[]>((resolve) => {
            const source = beacon.watch(new EventSource("/stream"));
            source.onmessage = ({ data }) => {
              source.close();
              resolve([data, ...complaints]);
            };
          }),
      );
      assert.equal(data, "0");
      assert.match(complaint!, /expected a stream id in .*\/stream, open it with beacon\.url/);
    },
  );
});
